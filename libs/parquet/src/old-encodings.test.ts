import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readBitPacked, readHybrid } from './hybrid-reader.ts';
import { decompressHadoopLz4 } from './lz4-block.ts';
import { compressLz4Block } from './lz4-compress.ts';

// What no writer of today makes, and files of ten years ago have.

test('BIT_PACKED levels, the example of Encodings.md: most significant bit first', () => {
  const out = new Uint8Array(8);
  expect(readBitPacked(Uint8Array.of(9, 0b00000101, 0b00111001, 0b01110111), 1, 3, 8, out)).toBe(4);
  expect([...out]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(() => readBitPacked(Uint8Array.of(1), 0, 3, 8, out)).toThrow(/cut short/);
});

test('bit-packed groups of the hybrid, the other way round, at every width', () => {
  for (let width = 0; width <= 32; width++) {
    const values = Array.from({ length: 40 }, (_, i) => Math.floor(((i * 2_654_435_761) % 2 ** 32) % 2 ** width));
    const packed = [5 * 2 + 1, ...new Uint8Array(5 * width)];
    values.forEach((value, i) => {
      for (let bit = 0; bit < width; bit++) {
        const place = i * width + bit;
        if (Math.floor(value / 2 ** bit) % 2 === 1) packed[1 + (place >> 3)]! |= 1 << (place & 7);
      }
    });
    const out = new Int32Array(37);
    readHybrid(Uint8Array.from(packed), 0, packed.length, width, 37, out);
    expect(Array.from(out, (value) => value >>> 0)).toEqual(values.slice(0, 37));
    if (width > 8) continue;
    const levels = new Uint8Array(37);
    readHybrid(Uint8Array.from([...packed, 1, 2, 3, 4, 5, 6, 7, 8]), 0, packed.length, width, 37, levels);
    expect([...levels]).toEqual(values.slice(0, 37));
  }
});

test('LZ4 in the frames of Hadoop, one or several, and without any', () => {
  const bytes = Buffer.from(Array.from({ length: 500 }, (_, i) => `word ${i % 13} `).join(''));
  const frame = (part: Uint8Array) => {
    const block = compressLz4Block(part);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(part.length, 0);
    head.writeUInt32BE(block.length, 4);
    return Buffer.concat([head, block]);
  };
  const several = Buffer.concat([frame(bytes.subarray(0, 700)), frame(bytes.subarray(700))]);
  for (const page of [frame(bytes), several, compressLz4Block(bytes)])
    expect(Buffer.compare(decompressHadoopLz4(page, bytes.length), bytes)).toBe(0);
  expect(() => decompressHadoopLz4(deflateRawSync(bytes), bytes.length)).toThrow(/LZ4/);
});
