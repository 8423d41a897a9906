import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import regressions from './simulation/regressions.json' with { type: 'json' };
import { shrink } from './simulation/shrink.ts';
import type { Outcome } from './simulation/thread.ts';
import { startWorkers, type Workers } from './simulation/workers.ts';
import { BREAKS, type BreakName } from './system/broken-build.ts';

/** Of every run in CI; `npm run simulate -- --seeds 10000` runs more. */
const SEEDS = 450;
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
  const failed: Outcome[] = [];
  let done = 0;
  const replays = Array.from({ length: SEEDS }, (_, i) => ({ seed: i + 1 }));
  await workers.runAll(replays, (outcome) => {
    done++;
    if (outcome.violation !== undefined) failed.push(outcome);
    return failed.length < 3;
  });
  const told: string[] = [];
  for (const outcome of failed) {
    const { violation, replay } = await shrink(outcome, workers.run);
    told.push(`${violation!.message}\n  npm run simulate -- --trace --replay '${JSON.stringify(replay)}'`);
  }
  expect(told).toEqual([]);
  expect(done).toBe(SEEDS);
}, 1_200_000);

/** Seeds within which a broken invariant must show. */
const SEEDS_TO_FIND = 240;

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
