import { createSimulation, startActor } from '@millrace/actor';
import { expect, test } from 'vitest';
import {
  type PublicationEffect,
  type PublicationMessage,
  type PublicationState,
  receivePublication,
  startPublication,
} from './publication.ts';

const pace = { minPublishIntervalMs: 2_000, checkIntervalMs: 60_000 };

/** A table whose pointer moves, and a catalog that fails, in virtual time and a seeded order. */
function simulate(seed: number, failShare: number) {
  const simulation = createSimulation(seed);
  const { clock, random } = simulation;
  const world = { pointer: 0, shown: -1, attempts: [] as number[], running: 0, answers: new Map<number, number>() };
  const start = clock.now();
  const actor = startActor<PublicationState, PublicationMessage, PublicationEffect>({
    name: 'publication',
    recover: async () => startPublication(),
    receive: receivePublication(pace),
    async perform(effect, signal) {
      if (effect.kind === 'sleep') {
        await clock.sleep(effect.ms, signal);
        return { kind: 'woke', sleep: effect.sleep };
      }
      if (effect.kind === 'answer') {
        for (const id of effect.ids) world.answers.set(id, world.shown);
        return undefined;
      }
      expect(++world.running, `seed ${seed}: one attempt at a time`).toBe(1);
      world.attempts.push(clock.now() - start);
      const { pointer } = world;
      await clock.sleep(Math.floor(random() * 5_000), signal);
      world.running--;
      if (random() < failShare) return { kind: 'ended', failed: true };
      world.shown = pointer;
      return { kind: 'ended', failed: false };
    },
    failed: () => ({ kind: 'ended', failed: true }),
    clock,
    scheduler: simulation.scheduler,
  });
  const change = () => {
    world.pointer++;
    actor.tell({ kind: 'changed' });
  };
  return { ...simulation, world, actor, change };
}

test('whatever fails and whenever news comes, the newest pointer is shown in the end', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { world, change, run, random, actor } = simulate(seed, 0.5);
    for (let i = 0; i < 20; i++) {
      change();
      await run(Math.floor(random() * 4_000));
    }
    await run(600_000);
    expect(world.shown, `seed ${seed}`).toBe(20);
    await actor.stop();
  }
});

test('a burst of news is few publications; then one check an interval', async () => {
  const { world, change, run } = simulate(7, 0);
  for (let i = 0; i < 100; i++) {
    change();
    await run(100);
  }
  await run(10_000);
  expect(world.shown).toBe(100);
  expect(world.attempts.length).toBeLessThanOrEqual(8);
  const before = world.attempts.length;
  await run(600_000);
  expect(world.attempts.length - before).toBeGreaterThanOrEqual(9);
  expect(world.attempts.length - before).toBeLessThanOrEqual(10);
});

test('failures are spaced wider and wider, up to the check interval', async () => {
  const { world, run } = simulate(3, 1);
  await run(600_000);
  const gaps = world.attempts.slice(1).map((at, i) => at - world.attempts[i]!);
  expect(gaps[0]).toBeLessThan(7_000);
  expect(gaps.at(-1)).toBeGreaterThanOrEqual(60_000);
  expect(gaps.at(-1)).toBeLessThan(70_000);
});

test('who asks by hand overtakes every pause and gets an attempt that began afterwards', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world, actor, run, random } = simulate(seed, 0);
    for (let id = 1; id <= 5; id++) {
      world.pointer = id;
      actor.tell({ kind: 'publish-now', id });
      await run(Math.floor(random() * 3_000));
    }
    await run(15_000);
    for (let id = 1; id <= 5; id++) expect(world.answers.get(id), `seed ${seed}`).toBeGreaterThanOrEqual(id);
  }
});
