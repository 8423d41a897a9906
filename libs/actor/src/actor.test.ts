import { expect, test } from 'vitest';
import { createSimulation, startActor } from './index.ts';

type Message = { kind: 'add'; n: number } | { kind: 'saved'; n: number } | { kind: 'failed' } | { kind: 'break' };
type Effect = { kind: 'save'; n: number };

function counter(seed: number, failShare: number) {
  const simulation = createSimulation(seed);
  const saved: number[] = [];
  const crashes: string[] = [];
  let durable = 0;
  const actor = startActor<{ sum: number; failures: number }, Message, Effect>({
    name: 'counter',
    recover: async () => ({ state: { sum: durable, failures: 0 }, effects: [] }),
    receive(state, message) {
      switch (message.kind) {
        case 'add':
          return { state: { ...state, sum: state.sum + message.n }, effects: [{ kind: 'save', n: message.n }] };
        case 'saved':
          return { state, effects: [] };
        case 'failed':
          return { state: { ...state, failures: state.failures + 1 }, effects: [] };
        case 'break':
          throw new Error('defect');
      }
    },
    async perform(effect) {
      await simulation.clock.sleep(Math.floor(simulation.random() * 100));
      if (simulation.random() < failShare) throw new Error('disk');
      saved.push(effect.n);
      durable += effect.n;
      return { kind: 'saved', n: effect.n };
    },
    failed: () => ({ kind: 'failed' }),
    mailboxLimit: 50,
    onCrash: (error) => crashes.push(error.message),
    clock: simulation.clock,
    scheduler: simulation.scheduler,
  });
  return { simulation, actor, saved, crashes };
}

test('every message is received once, every effect answered, whatever the order', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const { simulation, actor, saved } = counter(seed, 0.3);
    for (let n = 1; n <= 40; n++) actor.tell({ kind: 'add', n });
    await simulation.run(10_000);
    expect(actor.state!.sum, `seed ${seed}`).toBe(820);
    expect(saved.length + actor.state!.failures, `seed ${seed}`).toBe(40);
  }
});

test('the same seed gives the same order, another seed another', async () => {
  const orderOf = async (seed: number) => {
    const { simulation, actor, saved } = counter(seed, 0);
    for (let n = 1; n <= 20; n++) actor.tell({ kind: 'add', n });
    await simulation.run(10_000);
    return saved.join();
  };
  expect(await orderOf(7)).toBe(await orderOf(7));
  expect(await orderOf(7)).not.toBe(await orderOf(8));
});

test('a full mailbox refuses with exhausted', async () => {
  const { actor } = counter(1, 0);
  expect(() => {
    for (let n = 0; n < 51; n++) actor.tell({ kind: 'add', n });
  }).toThrow(expect.objectContaining({ kind: 'exhausted', code: 'mailbox-full' }));
});

test('a defect in receive is told, and the actor goes on from what is durable', async () => {
  const { simulation, actor, crashes } = counter(3, 0);
  actor.tell({ kind: 'add', n: 5 });
  await simulation.run(1_000);
  actor.tell({ kind: 'break' });
  actor.tell({ kind: 'add', n: 1 });
  await simulation.run(1_000);
  expect(crashes).toEqual(['defect']);
  expect(actor.state!.sum).toBe(6);
});

test('stop aborts and awaits running effects, and refuses more', async () => {
  let aborted = false;
  const actor = startActor<number, 'go', 'wait'>({
    name: 'waiter',
    recover: async () => ({ state: 0, effects: [] }),
    receive: (state) => ({ state: state + 1, effects: ['wait'] }),
    perform: (_, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(signal.reason);
        });
      }),
    failed: () => 'go',
  });
  actor.tell('go');
  await expect.poll(() => actor.state).toBe(1);
  await actor.stop();
  expect(aborted).toBe(true);
  expect(() => actor.tell('go')).toThrow(expect.objectContaining({ kind: 'unavailable' }));
});
