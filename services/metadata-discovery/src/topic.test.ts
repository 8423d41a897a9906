import { create } from '@bufbuild/protobuf';
import { createSimulation, startActor } from '@millrace/actor';
import { ErrorDetailSchema } from '@millrace/proto/common';
import { expect, test } from 'vitest';
import type { LogTopic } from './log-source.ts';
import { newTopic, receiveTopic, type TopicActorState, type TopicEffect, type TopicMessage } from './topic.ts';

const log: LogTopic = { topic: 't', topicIds: ['A'], partitions: new Map() };

/** The states after a list of messages, and the effects of the last. */
function after(...messages: TopicMessage[]) {
  let step = newTopic();
  for (const message of messages) step = receiveTopic(step.state, message);
  return step;
}
const kinds = (effects: TopicEffect[]) => effects.map((effect) => effect.kind);

test('one plan and one commit at a time; what happens meanwhile leads to one more of each', () => {
  const listed: TopicMessage = { kind: 'listed', log };
  expect(kinds(after(listed).effects)).toEqual(['plan', 'commit']);
  const changed: TopicMessage = { kind: 'changed', refresh: false };
  expect(after(listed, changed, changed).effects).toEqual([]);
  const planned: TopicMessage = { kind: 'planned', sourceError: undefined, schemaError: undefined, left: true };
  expect(kinds(after(listed, changed, changed, planned).effects)).toEqual(['plan']);
  expect(after(listed, changed, planned, planned).effects).toEqual([]);
  expect(kinds(after(listed, changed, { kind: 'committed', dueMs: 5, nowMs: 0 }).effects)).toEqual(['commit']);
});

test('a failed plan waits longer each time, polls do not hurry it, a success ends that', () => {
  const error = create(ErrorDetailSchema, { message: 'down' });
  const failed: TopicMessage = { kind: 'plan-failed', error };
  const first = after({ kind: 'listed', log }, failed);
  expect(first.effects).toEqual([{ kind: 'sleep', ms: 500, wakeWith: { kind: 'plan-due' } }]);
  expect(first.state.sourceError).toBe(error);
  const polled = receiveTopic({ ...first.state, commit: 'idle' }, { kind: 'listed', log });
  expect(kinds(polled.effects)).toEqual(['commit']);
  const due = receiveTopic(polled.state, { kind: 'plan-due' });
  expect(kinds(due.effects)).toEqual(['plan']);
  expect(receiveTopic(due.state, failed).effects).toEqual([
    { kind: 'sleep', ms: 1_000, wakeWith: { kind: 'plan-due' } },
  ]);
  const healed = receiveTopic(due.state, {
    kind: 'planned',
    sourceError: undefined,
    schemaError: undefined,
    left: true,
  });
  expect([healed.state.failures, healed.state.sourceError]).toEqual([0, undefined]);
});

test('waiting splits are placed again with the next listing, not with the one that failed', () => {
  const planned: TopicMessage = { kind: 'planned', sourceError: undefined, schemaError: undefined, left: true };
  const failed = after({ kind: 'listed', log }, planned, { kind: 'changed', refresh: true });
  expect(failed.effects).toEqual([]);
  const listed = receiveTopic(failed.state, { kind: 'listed', log });
  expect(listed.effects[0]).toEqual({ kind: 'plan', log, refresh: true });
  const again = receiveTopic(receiveTopic(listed.state, planned).state, { kind: 'listed', log });
  expect(again.effects[0]).toMatchObject({ kind: 'plan', refresh: false });
});

test('whatever the order and the failures, every change is followed by a plan and a commit', async () => {
  for (let seed = 0; seed < 50; seed++) {
    const { scheduler, clock, random, run } = createSimulation(seed);
    let changes = 0;
    const seen = { plan: -1, commit: -1 };
    let plans = 0;
    let mostPlans = 0;
    const actor = startActor<TopicActorState, TopicMessage, TopicEffect>({
      name: 't',
      recover: async () => newTopic(),
      receive: receiveTopic,
      async perform(effect, signal) {
        if (effect.kind === 'sleep') {
          await clock.sleep(effect.ms, signal);
          return effect.wakeWith;
        }
        const before = changes;
        if (effect.kind === 'plan') mostPlans = Math.max(mostPlans, ++plans);
        await clock.sleep(Math.floor(random() * 200), signal);
        if (effect.kind === 'plan') plans--;
        if (random() < 0.3) throw new Error('store');
        if (effect.kind !== 'schemas') seen[effect.kind] = before;
        return effect.kind === 'plan'
          ? { kind: 'planned', sourceError: undefined, schemaError: undefined, left: true }
          : { kind: 'committed', dueMs: random() < 0.5 ? undefined : 700, nowMs: clock.now() };
      },
      failed: (effect) =>
        effect.kind === 'commit'
          ? { kind: 'commit-failed', nowMs: clock.now() }
          : { kind: 'plan-failed', error: create(ErrorDetailSchema, {}) },
      scheduler,
      clock,
    });
    actor.tell({ kind: 'listed', log });
    for (let i = 0; i < 20; i++) {
      changes++;
      actor.tell(random() < 0.5 ? { kind: 'changed', refresh: false } : { kind: 'listed', log });
      await run(Math.floor(random() * 150));
    }
    await run(120_000);
    expect(seen, `seed ${seed}`).toEqual({ plan: changes, commit: changes });
    expect(mostPlans, `seed ${seed}`).toBe(1);
  }
});

test('a plan that left nothing is not made again for a split that ended; one sleep until a commit, or an earlier one', () => {
  const planned: TopicMessage = { kind: 'planned', sourceError: undefined, schemaError: undefined, left: false };
  const committed: TopicMessage = { kind: 'committed', dueMs: 60_000, nowMs: 1_000 };
  const changed: TopicMessage = { kind: 'changed', refresh: false };
  const idle = after({ kind: 'listed', log }, planned, committed);
  expect(idle.effects).toEqual([{ kind: 'sleep', ms: 60_000, wakeWith: { kind: 'commit-due', atMs: 61_000 } }]);
  const again = receiveTopic(idle.state, changed);
  expect(kinds(again.effects)).toEqual(['commit']);
  expect(receiveTopic(again.state, { kind: 'committed', dueMs: 50_000, nowMs: 11_000 }).effects).toEqual([]);
  const earlier = receiveTopic(again.state, { kind: 'committed', dueMs: 500, nowMs: 11_000 });
  expect(kinds(earlier.effects)).toEqual(['sleep']);
  expect(kinds(receiveTopic(earlier.state, { kind: 'commit-due', atMs: 11_500 }).effects)).toEqual(['commit']);
  expect(kinds(receiveTopic(idle.state, { ...changed, plan: true }).effects)).toEqual(['plan', 'commit']);
  expect(kinds(receiveTopic({ ...idle.state, left: true }, changed).effects)).toEqual(['plan', 'commit']);
});

test('one look for schemas at a time', () => {
  const due: TopicMessage = { kind: 'schemas-due' };
  expect(kinds(after(due).effects)).toEqual(['schemas']);
  expect(after(due, due).effects).toEqual([]);
  expect(kinds(after(due, { kind: 'schemas-followed', schemaError: undefined }, due).effects)).toEqual(['schemas']);
});
