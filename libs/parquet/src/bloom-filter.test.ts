import { expect, test } from 'vitest';
import { type BloomFilterOptions, createBloomFilter, readBloomFilter } from './bloom-filter.ts';
import { PHYSICAL } from './format.ts';
import type { Leaf } from './leaf.ts';
import { unsealed } from './module-seal.ts';

const PLACE = { module: 0, rowGroup: 0, column: 0, page: 0 };
const leaf = { physical: PHYSICAL.INT64, fixedLength: 0 } as Leaf;
const longs = (from: number, to: number) =>
  new Uint8Array(BigInt64Array.from({ length: to - from }, (_, i) => BigInt(from + i) * 7n).buffer);
const filterOf = (count: number, options: BloomFilterOptions) => {
  const filter = createBloomFilter(leaf, 262_144, options);
  filter.add(longs(0, count), count);
  return filter.finish(unsealed, PLACE);
};
const shareFound = (stored: Uint8Array, from: number, to: number) => {
  const { mightContain } = readBloomFilter(stored);
  let found = 0;
  for (let i = from; i < to; i++) if (mightContain(longs(i, i + 1))) found++;
  return found / (to - from);
};

test.for([1, 100, 10_000, 100_000])('%d values: all are found, others about as rarely as asked', (count) => {
  for (const falsePositiveRate of [0.1, 0.01, 0.001]) {
    const stored = filterOf(count, { falsePositiveRate })!;
    expect(shareFound(stored, 0, Math.min(count, 5000))).toBe(1);
    expect(shareFound(stored, 1_000_000, 1_020_000)).toBeLessThan(1.5 * falsePositiveRate + 0.0003);
  }
});

test('a filter is as large as its distinct values need, whatever it may be', () => {
  const once = filterOf(5000, {})!;
  expect(once.length).toBeLessThan(8192 + 32);
  const filter = createBloomFilter(leaf, 262_144, {});
  for (let n = 0; n < 5; n++) filter.add(longs(0, 5000), 5000);
  expect(filter.finish(unsealed, PLACE)).toEqual(once);
  // And begins anew for the next chunk.
  filter.add(longs(0, 5000), 5000);
  expect(filter.finish(unsealed, PLACE)).toEqual(once);
});

test('one that is too small for its values is never larger than allowed, and left out when useless', () => {
  expect(filterOf(500, { maxBytes: 1000 })!.length).toBeLessThan(512 + 32);
  expect(filterOf(50_000, { maxBytes: 1024 })).toBeUndefined();
});

test('bytes that are no filter are corrupt', () => {
  const stored = filterOf(100, {})!;
  expect(() => readBloomFilter(stored.subarray(0, stored.length - 1))).toThrow(/Bloom filter of/);
  const other = stored.slice();
  other[4] = 0x2c;
  expect(() => readBloomFilter(other)).toThrow();
});
