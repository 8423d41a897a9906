import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { compressZstd } from './zstd-compress.ts';

const page = (size: number, symbols: number): Uint8Array => {
  let state = size + symbols;
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % symbols;
  });
};
const once = (bytes: Uint8Array, level: number) =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level }, pledgedSrcSize: bytes.length });

test('one frame after the other is what zstdCompressSync makes of each, at each level, whatever went before', () => {
  for (const size of [0, 1, 100, 5000, 131_072, 1_500_000, 3])
    for (const symbols of [1, 4, 256])
      for (const level of [1, 3, 1]) {
        const bytes = page(size, symbols);
        const frame = Buffer.from(compressZstd(bytes, level));
        expect(Buffer.compare(frame, once(bytes, level)), `${size} bytes of ${symbols} kinds, level ${level}`).toBe(0);
      }
});

test('a page larger than what is kept comes back', () => {
  const bytes = page(6_000_000, 9);
  expect(Buffer.compare(zstdDecompressSync(compressZstd(bytes, 1)), bytes)).toBe(0);
});
