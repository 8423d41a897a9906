import { expect, test } from 'vitest';
import { decompressLz4Block } from './lz4-block.ts';
import { compressLz4Block } from './lz4-compress.ts';

let state = 20_261_122;
const random = (below: number) => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 16) % below;
};

test('blocks of every size and shape come back, in a buffer that is no longer than they may be', () => {
  for (let size = 0; size < 400; size++) {
    for (const symbols of [1, 3, 200]) {
      const source = Uint8Array.from({ length: size }, () => random(symbols));
      expect(decompressLz4Block(compressLz4Block(source), size)).toEqual(source);
    }
  }
});

test('matches of any length, far matches up to 64 KiB, literals by the thousand', () => {
  const noise = Uint8Array.from({ length: 70_000 }, () => random(256));
  for (const distance of [65_535, 65_536, 70_000]) {
    const source = Buffer.concat([noise.subarray(0, distance), noise.subarray(0, 5000), new Uint8Array(100_000)]);
    const block = compressLz4Block(source);
    expect(Buffer.from(decompressLz4Block(block, source.length)).equals(source)).toBe(true);
    expect(block.length < distance + 1500).toBe(distance === 65_535);
  }
});

test('text becomes smaller', () => {
  const source = Buffer.from(Array.from({ length: 5000 }, (_, i) => `order ${i % 97} of customer ${i}\n`).join(''));
  expect(compressLz4Block(source).length).toBeLessThan(source.length / 3);
});
