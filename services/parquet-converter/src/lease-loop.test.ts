import { MillraceError, systemClock } from '@millrace/base';
import type { Lease } from '@millrace/proto/metadata_discovery';
import { createLogger, setLogLevel } from '@millrace/telemetry';
import { expect, test } from 'vitest';
import { type LeaseLoopOptions, startLeaseLoop } from './lease-loop.ts';

setLogLevel('silent');

const deferred = () => Promise.withResolvers<void>();
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A loop over `count` splits whose conversions are driven by the test. */
function startWorld(
  count: number,
  convert: LeaseLoopOptions['convert'],
  drainMs = 1_000,
  answers: {
    lease?: () => Promise<void>;
    heartbeatMs?: number;
    heartbeat?: () => void;
    complete?: () => Promise<void>;
  } = {},
) {
  const events: string[] = [];
  let leased = 0;
  const splits = {
    async leaseSplit(_request: unknown, call: { signal: AbortSignal }) {
      if (leased < count) {
        events.push(`leased ${++leased}`);
        await answers.lease?.();
        return { lease: { split: { splitId: String(leased) }, epoch: 1n, traceparent: '' } };
      }
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      throw call.signal.reason;
    },
    async heartbeatSplit() {
      answers.heartbeat?.();
      return { expiresMs: 0n };
    },
    async completeSplit({ splitId }: { splitId: string }) {
      events.push(`completed ${splitId}`);
      await answers.complete?.();
    },
    failSplit: async ({ splitId, released }: { splitId: string; released?: boolean }) =>
      void events.push(`${released ? 'released' : 'failed'} ${splitId}`),
  };
  const loop = startLeaseLoop({
    splits: splits as unknown as LeaseLoopOptions['splits'],
    convert,
    owner: 'test',
    waitMs: 0,
    heartbeatMs: answers.heartbeatMs ?? 1_000,
    drainMs,
    retries: 3,
    clock: systemClock,
    logger: createLogger('test'),
  });
  return { loop, events };
}

const idOf = (lease: Lease) => lease.split!.splitId;
const converted = { completion: {}, summary: {}, discard: async () => {} } as unknown as Awaited<
  ReturnType<LeaseLoopOptions['convert']>
>;

test('the next split is converted while the files of the one before are on their way; no more than two are leased', async () => {
  const stores = new Map(['1', '2', '3'].map((id) => [id, deferred()]));
  const started: string[] = [];
  const { loop, events } = startWorld(3, async (lease, _signal, onEncoded) => {
    started.push(idOf(lease));
    onEncoded();
    await stores.get(idOf(lease))!.promise;
    return converted;
  });
  await settle();
  expect(started).toEqual(['1', '2']);
  expect(events).toEqual(['leased 1', 'leased 2']);
  stores.get('1')!.resolve();
  await settle();
  expect(events).toEqual(['leased 1', 'leased 2', 'completed 1', 'leased 3']);
  stores.get('3')!.resolve();
  stores.get('2')!.resolve();
  await loop.stop();
  expect(events.slice(4).sort()).toEqual(['completed 2', 'completed 3']);
});

test('one split is converted at a time, a second try too', async () => {
  let converting = 0;
  let most = 0;
  const failures = new Map<string, number>();
  const { loop, events } = startWorld(4, async (lease, _signal, onEncoded, attempt) => {
    most = Math.max(most, ++converting);
    await settle();
    converting--;
    onEncoded();
    await settle();
    const failed = failures.get(idOf(lease)) ?? 0;
    failures.set(idOf(lease), failed + 1);
    expect(attempt).toBe(failed + 1);
    if (failed === 0) throw new MillraceError('unavailable', 'the store is away');
    return converted;
  });
  while (events.filter((event) => event.startsWith('completed')).length < 4) await settle();
  await loop.stop();
  expect(most).toBe(1);
  expect(events).not.toContain('failed 1');
});

test('a drain gives back both splits that it has', async () => {
  const { loop, events } = startWorld(
    3,
    async (lease, signal, onEncoded) => {
      if (idOf(lease) === '1') onEncoded();
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      return converted;
    },
    10,
  );
  await settle();
  await loop.stop();
  expect(events.sort()).toEqual(['leased 1', 'leased 2', 'released 1', 'released 2']);
});

test('a lease that comes in while the loop drains is given back at once', async () => {
  const answer = deferred();
  const { loop, events } = startWorld(1, async () => converted, 1_000, { lease: () => answer.promise });
  await settle();
  const stopped = loop.stop();
  answer.resolve();
  await stopped;
  expect(events).toEqual(['leased 1', 'released 1']);
});

test('a reader that has too much to do is asked again, and then the split is given back without blame', async () => {
  let tries = 0;
  const { loop, events } = startWorld(1, async () => {
    tries++;
    throw new MillraceError('exhausted', '32 reads are under way: try again', { code: 'too-many-reads' });
  });
  await expect.poll(() => events, { timeout: 20_000 }).toEqual(['leased 1', 'released 1']);
  expect(tries).toBe(4);
  await loop.stop();
});

const stale = () => new MillraceError('stale-lease', 'the lease has ended');

test.each([
  ['answered', undefined, []],
  ['refused', stale(), ['deleted']],
])(
  'a heartbeat that comes in after the completion says nothing of its files; the completion is %s',
  async (_how, refusal, deleted) => {
    const discarded: string[] = [];
    const completed = deferred();
    let isCompleted = false;
    const { loop, events } = startWorld(
      1,
      async () => ({ ...converted, discard: async () => void discarded.push('deleted') }),
      1_000,
      {
        heartbeatMs: 1,
        heartbeat() {
          if (isCompleted) throw stale();
        },
        async complete() {
          isCompleted = true;
          await completed.promise;
          if (refusal !== undefined) throw refusal;
        },
      },
    );
    await settle();
    completed.resolve();
    await loop.stop();
    expect(events).toEqual(['leased 1', 'completed 1']);
    expect(discarded).toEqual(deleted);
  },
);
