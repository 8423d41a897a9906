import { expect, test } from 'vitest';
import { ByteBuffer } from './byte-buffer.ts';
import { readDeltaBinary, readDeltaBytes } from './delta-reader.ts';
import { writeDeltaBinary, writeDeltaBytes } from './delta-writer.ts';

const written = (write: (out: ByteBuffer) => void): Uint8Array => {
  const out = new ByteBuffer(16);
  write(out);
  return out.used;
};
const longs = (values: bigint[]) => new Int32Array(BigInt64Array.from(values).buffer);

test('the example of Encodings.md: 1 to 5 are one block of no bits', () => {
  const bytes = written((out) => writeDeltaBinary(Int32Array.of(1, 2, 3, 4, 5), 1, 5, out));
  expect(Buffer.from(bytes).toString('hex')).toBe('8001040502020000' + '0000');
});

test.for([0, 1, 2, 32, 33, 127, 128, 129, 130, 257, 1000])('%d numbers of 32 and 64 bits, to their ends', (count) => {
  let state = 88_172_645n + BigInt(count);
  const next = () => {
    state = BigInt.asUintN(64, state ^ (state << 13n));
    state ^= state >> 7n;
    state = BigInt.asUintN(64, state ^ (state << 17n));
    return state;
  };
  for (const spread of [0, 1, 7, 16, 17, 31, 32, 33, 48, 49, 52, 63, 64]) {
    const wide = Array.from({ length: count }, (_, i) =>
      BigInt.asIntN(64, BigInt(i) * 3n + (spread === 0 ? 0n : next() >> BigInt(64 - spread))),
    );
    const words = longs(wide);
    const bytes = written((out) => writeDeltaBinary(words, 2, count, out));
    expect(readDeltaBinary({ bytes, at: 0 }, 2, count)).toEqual(words);
    const narrow = Int32Array.from(wide, (value) => Number(BigInt.asIntN(32, value)));
    const narrowBytes = written((out) => writeDeltaBinary(narrow, 1, count, out));
    expect(readDeltaBinary({ bytes: narrowBytes, at: 0 }, 1, count)).toEqual(narrow);
  }
});

test('the ends of 64 bits follow each other', () => {
  const words = longs([2n ** 63n - 1n, -(2n ** 63n), 0n, -1n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n]);
  const bytes = written((out) => writeDeltaBinary(words, 2, 7, out));
  expect(readDeltaBinary({ bytes, at: 0 }, 2, 7)).toEqual(words);
});

test('shared beginnings are written once', () => {
  const texts = ['', 'axis', 'axle', 'axle', 'babble', 'babyhood', ''];
  const plain = Buffer.concat(texts.flatMap((text) => [Buffer.from([text.length, 0, 0, 0]), Buffer.from(text)]));
  const bytes = written((out) => writeDeltaBytes(plain, texts.length, 0, out));
  expect(Buffer.from(bytes).toString()).toContain('axislebabbleyhood');
  const { source, starts, lengths } = readDeltaBytes({ bytes, at: 0 }, texts.length, 1000);
  expect(texts.map((_, i) => Buffer.from(source).toString('utf8', starts[i], starts[i]! + lengths[i]!))).toEqual(texts);
});
