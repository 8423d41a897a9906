import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { compressZstd } from './zstd-compress.ts';
import { suitedZstd } from './zstd-level.ts';

const texts = (from: number) =>
  Buffer.from(Array.from({ length: 4000 }, (_, i) => `customer${(from + i) * 7919}@example.com`).join());
/** 64-bit numbers below five million, the same each time. */
function amounts(from: number): Buffer {
  const numbers = new BigInt64Array(20_000);
  let state = from + 1;
  for (let i = 0; i < numbers.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    numbers[i] = BigInt((state >>> 8) % 5_000_000);
  }
  return Buffer.from(numbers.buffer);
}

test('each kind of page gets the level that makes the least of it, also when the kind changes', () => {
  const compress = suitedZstd();
  for (const pages of [texts, amounts, (n: number) => amounts(n).filter((_, i) => i % 8 === 0), texts, amounts]) {
    for (let n = 0; n < 4; n++) {
      const page = pages(n);
      const compressed = compress(page).slice();
      expect(Buffer.compare(zstdDecompressSync(compressed), page)).toBe(0);
      expect(compressed.length).toBeLessThanOrEqual(1.005 * compressZstd(page, 1).length);
    }
  }
  expect(compress(amounts(0)).length).toBeLessThan(compressZstd(amounts(0), 1).length);
});

test('the same pages give the same bytes; an empty and a small one are compressed too', () => {
  const [one, two] = [suitedZstd(), suitedZstd()];
  for (const page of [new Uint8Array(0), texts(0), Buffer.from('a'), amounts(1), texts(2)])
    expect(Buffer.compare(one(page).slice(), two(page))).toBe(0);
});
