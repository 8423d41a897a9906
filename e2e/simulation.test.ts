import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import regressions from './simulation/regressions.json' with { type: 'json' };
import { startWorkers, type Workers } from './simulation/workers.ts';
import { BREAKS, type BreakName } from './system/broken-build.ts';

/** Of every run in CI; `npm run simulate -- --seeds 10000` runs more. */
const SEEDS = 2_000;
const CORES = availableParallelism();

let workers: Workers;
afterEach(() => workers.stop());

test('one seed is one run: its steps, its faults, its end', async () => {
  workers = startWorkers(2);
  for (const seed of [3, 7]) {
    // In two processes, and in one of them with another run before it.
    const runs = await Promise.all([workers.run({ seed }), workers.run({ seed }), workers.run({ seed })]);
    expect(runs[0]!.faults.length).toBeGreaterThan(0);
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  }
});

test('what has failed once stays right', async () => {
  workers = startWorkers(CORES);
  for (const { found, replay } of regressions as { found: string; replay: { seed: number } }[]) {
    expect((await workers.run(replay)).violation, found).toBeUndefined();
  }
});

test(`${SEEDS} seeds: every invariant after every step, both tables equal to the source`, async () => {
  workers = startWorkers(CORES);
  const failed: string[] = [];
  let done = 0;
  const replays = Array.from({ length: SEEDS }, (_, i) => ({ seed: i + 1 }));
  await workers.runAll(replays, ({ replay, violation }) => {
    done++;
    if (violation !== undefined) {
      failed.push(`${violation.message}\n  shortest: npm run simulate -- --seeds 1 --seed ${replay.seed}`);
    }
    return failed.length < 3;
  });
  expect(failed).toEqual([]);
  expect(done).toBe(SEEDS);
});

/** Seeds within which a broken invariant must show. */
const SEEDS_TO_FIND = 60;

describe('a build with a broken invariant is found out', () => {
  test.each(Object.keys(BREAKS) as BreakName[])('%s', async (name) => {
    workers = startWorkers(CORES, name);
    const found: string[] = [];
    const replays = Array.from({ length: SEEDS_TO_FIND }, (_, i) => ({ seed: i + 1 }));
    await workers.runAll(replays, ({ violation }) => {
      if (violation !== undefined) found.push(violation.message);
      return found.length === 0;
    });
    expect(found, BREAKS[name].what).not.toEqual([]);
  });
});
