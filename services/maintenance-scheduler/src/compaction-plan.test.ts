import { create } from '@bufbuild/protobuf';
import { seededRandom } from '@millrace/actor';
import { type DataFile, DataFileSchema } from '@millrace/proto/common';
import { expect, test } from 'vitest';
import { orderByOffsets, planCompaction } from './compaction-plan.ts';

type Range = [partition: number, start: number, end: number];

let names = 0;
const file = (sizeBytes: number, ...ranges: Range[]): DataFile =>
  create(DataFileSchema, {
    path: `data/${names++}.parquet`,
    sizeBytes: BigInt(sizeBytes),
    recordCount: 1n,
    offsets: ranges.map(([partition, start, end]) => ({
      partition,
      startOffset: BigInt(start),
      endOffset: BigInt(end),
    })),
  });

/** Every partition's ranges in the order in which the files bring them. */
function isOrdered(files: DataFile[]): boolean {
  const reached = new Map<number, bigint>();
  return files.every(({ offsets }) =>
    offsets.every(({ partition, startOffset, endOffset }) => {
      const ok = startOffset >= (reached.get(partition) ?? 0n);
      reached.set(partition, endOffset);
      return ok;
    }),
  );
}

function shuffle<T>(items: T[], random: () => number): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0]!);
}

const policy = { compactSmallFileBytes: 100, compactTargetFileBytes: 1_000, compactMinFiles: 4 };

test('nothing to do below the least number of small files', () => {
  expect(planCompaction([], policy)).toEqual([]);
  expect(planCompaction([file(10), file(10), file(10), file(100), file(5_000)], policy)).toEqual([]);
});

test('groups hold every small file once, none of the others, and stay at the target', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seededRandom(seed);
    const files = Array.from({ length: 4 + Math.floor(random() * 60) }, (_, i) =>
      file(Math.floor(random() * 200), [i % 3, i * 10, i * 10 + 10]),
    );
    const groups = planCompaction(shuffle(files, random), policy);
    const grouped = groups.flat();
    expect(new Set(grouped).size, `seed ${seed}`).toBe(grouped.length);
    expect(grouped.every(({ sizeBytes }) => sizeBytes < 100n)).toBe(true);
    expect(groups.every((group) => group.length > 1 && total(group) <= 1_000n)).toBe(true);
    expect(groups.every(isOrdered), `seed ${seed}`).toBe(true);
    const small = files.filter(({ sizeBytes }) => sizeBytes < 100n);
    if (small.length >= 4) expect(small.length - grouped.length).toBeLessThanOrEqual(groups.length + 1);
  }
});

const total = (group: DataFile[]) => group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);

test('runs that feed on their own results come to an end', () => {
  // Also where files below the target count as small.
  for (const small of [100, 1_000, 5_000]) {
    const rules = { ...policy, compactSmallFileBytes: small };
    let files = Array.from({ length: 200 }, (_, i) => file(7 + (i % 90), [i % 5, i * 10, i * 10 + 10]));
    let runs = 0;
    for (; runs < 20; runs++) {
      const groups = planCompaction(files, rules);
      if (groups.length === 0) break;
      const gone = new Set(groups.flat());
      const made = groups.map((group) => {
        const merged = file(Number(total(group)));
        merged.offsets = group.flatMap(({ offsets }) => offsets);
        return merged;
      });
      files = [...files.filter((one) => !gone.has(one)), ...made];
    }
    expect(runs).toBeLessThanOrEqual(3);
  }
});

test('rows of a partition lie by offset, also over files that hold several partitions', () => {
  const [a, b] = [file(1, [0, 0, 100], [1, 0, 50]), file(1, [1, 50, 100], [2, 0, 100])];
  const [c, d] = [file(1, [0, 100, 200], [1, 100, 150]), file(1, [1, 150, 200], [2, 100, 200])];
  expect(orderByOffsets([d, c, b, a])).toEqual([a, b, c, d]);
});

test('any shuffle of files that can be ordered is ordered', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = seededRandom(seed);
    const next = [0, 0, 0, 0];
    const files = Array.from({ length: 40 }, () => {
      const partitions = [0, 1, 2, 3].filter(() => random() < 0.5);
      return file(1, ...partitions.map((p): Range => [p, next[p]!, (next[p]! += 10)]));
    });
    const ordered = orderByOffsets(shuffle(files, random));
    expect(new Set(ordered).size).toBe(40);
    expect(isOrdered(ordered), `seed ${seed}`).toBe(true);
  }
});

test('ranges that contradict each other still give every file once, and many files are quick', () => {
  const [a, b] = [file(1, [0, 0, 10], [1, 10, 20]), file(1, [0, 10, 20], [1, 0, 10])];
  expect(orderByOffsets([b, a])).toEqual([a, b]);
  const many = Array.from({ length: 20_000 }, (_, i) => file(1, [i % 50, i, i + 1]));
  const started = performance.now();
  expect(isOrdered(orderByOffsets(shuffle(many, seededRandom(1))))).toBe(true);
  expect(performance.now() - started).toBeLessThan(3_000);
});
