import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { jainIndex, spreadOf } from './scale/fairness.ts';
import { type Options, parseOptions } from './scale/options.ts';
import { renderScale } from './scale/report.ts';
import { runScale } from './scale/run.ts';
import { slopeOf } from './scale/sampling.ts';
import { renderSharing, runSharing } from './scale/sharing.ts';
import { planWorkload } from './scale/workload.ts';

const QUIET = { start: () => {}, update: () => {}, end: () => {} };

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-scale-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const optionsOf = (...argv: string[]): Options => parseOptions(argv);

test('100 topics × 4: all rows in both formats, planning and idling cost next to nothing, no topic starves', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const options = optionsOf('--topics', '100', '--records', '1000000', '--arrival', '20', '--commit-interval', '2');
  const report = await runScale(options, root, join(python, 'bin', 'python'), QUIET);
  const shown = renderScale(report);
  console.log(shown);
  expect(report.verified, shown).toMatchObject({ tables: 100, rows: 1_000_000, differences: [] });
  // CPU time, which a busy machine does not change much.
  expect(report.idle.cpuMsPerTopicLook, shown).toBeLessThan(1);
  expect(report.idle.shareOfCore, shown).toBeLessThan(0.15);
  // A thin topic's segment is not behind the hot topics' backlog.
  expect(report.arrivals.thin.median, shown).toBeLessThan(report.arrivals.hot.max + 1);
  for (const [name, { peak }] of Object.entries(report.memory)) expect(peak, `${name}\n${shown}`).toBeLessThan(400);
}, 300_000);

test('3 converters take 3 times the splits of one; one of them killed loses no work', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const options = optionsOf('--topics', '60', '--partitions', '8', '--records', '2000000', '--split-bytes', '32768');
  const report = await runSharing(options, root, join(python, 'bin', 'python'), QUIET);
  const shown = renderSharing(report);
  console.log(shown);
  const { one, three, times } = report.sharing;
  expect(times, shown).toBeGreaterThan(2.25);
  expect(times, shown).toBeLessThan(4);
  // None of the three is left out.
  const splits = three.map((done) => done.splits);
  expect(Math.min(...splits), shown).toBeGreaterThan(Math.max(...splits) / 3);
  expect(one.splits, shown).toBeGreaterThan(10);
  expect(report.verified, shown).toMatchObject({ tables: 60, rows: 2_000_000, differences: [] });
}, 300_000);

describe('the harness', () => {
  test('a workload has every offset once, the same for the same seed', () => {
    const options = { topics: 7, partitions: 3, records: 10_007, arrivalSeconds: 10, seed: 3 };
    const workload = planWorkload(options);
    expect(planWorkload(options)).toEqual(workload);
    expect(planWorkload({ ...options, seed: 4 })).not.toEqual(workload);
    const next = new Map<string, number>();
    let records = 0;
    for (const { topic, partition, baseOffset, endOffset, batches } of workload.segments) {
      const key = `${topic}/${partition}`;
      expect(baseOffset).toBe(next.get(key) ?? 0);
      expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(endOffset - baseOffset);
      next.set(key, endOffset);
      records += endOffset - baseOffset;
    }
    expect([next.size, records]).toEqual([21, 10_007]);
    expect(workload.hot.size).toBe(1);
  });

  test('spread, fairness and slope', () => {
    expect(spreadOf(Array.from({ length: 100 }, (_, i) => 100 - i))).toEqual({
      ...{ count: 100, median: 50, p90: 90, p99: 99, max: 100 },
    });
    expect([jainIndex([3, 3, 3]), jainIndex([1, 0, 0, 0])]).toEqual([1, 0.25]);
    expect(slopeOf([1, 2, 3].map((x) => ({ x, y: 5 * x + 1 })))).toBeCloseTo(5);
  });

  test('a wrong command line says what is wrong', () => {
    expect(() => optionsOf('--topics', '0')).toThrow('--topics 0: write a whole number, 1 or more');
    expect(() => optionsOf('--topics', '100', '--records', '10')).toThrow('at least 8000, 20 a partition');
  });
});
