import { createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createArena } from './arena.ts';
import { inflateAnew, inflateInto, inflatesInPlace } from './inflate.ts';

const CODECS = ['gzip', 'zstd'] as const;
const text = Buffer.from('order line '.repeat(3000));

/** A frame that does not tell its size, as Java's client writes it. */
async function streamed(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = createZstdCompress();
  stream.write(bytes.subarray(0, bytes.length / 2));
  stream.end(bytes.subarray(bytes.length / 2));
  return Buffer.concat(await stream.toArray());
}

function inflated(
  codec: (typeof CODECS)[number],
  source: Uint8Array,
  maxBytes = 1 << 20,
  inflate = inflateInto,
): Buffer {
  const arena = createArena(16);
  arena.bytes.set([1, 2, 3]);
  arena.length = 3;
  inflate(codec, source, arena, maxBytes);
  expect([...arena.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
  expect(arena.bytes.length).toBeLessThan(4 * maxBytes);
  return Buffer.from(arena.bytes.subarray(3, arena.length));
}

const expectSame = (found: Buffer, expected: Buffer) => expect(found.equals(expected)).toBe(true);

test('this Node decompresses in place', () => {
  expect(CODECS.map(inflatesInPlace)).toEqual([true, true]);
});

test.each([inflateInto, inflateAnew])('%o: several members, sizes that are told or not, and none', async (inflate) => {
  const parts = [text, Buffer.alloc(0), text.subarray(0, 1), Buffer.alloc(100_000)];
  for (const part of parts) {
    expectSame(inflated('gzip', gzipSync(part), 1 << 20, inflate), part);
    expectSame(inflated('zstd', zstdCompressSync(part), 1 << 20, inflate), part);
  }
  expectSame(inflated('zstd', await streamed(text), 1 << 20, inflate), text);
  expectSame(inflated('gzip', Buffer.concat(parts.map((part) => gzipSync(part)))), Buffer.concat(parts));
  expectSame(inflated('zstd', Buffer.concat(parts.map((part) => zstdCompressSync(part)))), Buffer.concat(parts));
});

test.each([inflateInto, inflateAnew])('%o: no more than allowed, exactly that much too', async (inflate) => {
  const unsized = await streamed(text);
  for (const [codec, source] of [
    ['gzip', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['zstd', unsized],
  ] as const) {
    expectSame(inflated(codec, source, text.length, inflate), text);
    expect(() => inflated(codec, source, text.length - 1, inflate)).toThrow();
    expect(() => inflated(codec, source, 10, inflate)).toThrow();
    expectSame(inflated(codec, source, text.length, inflate), text);
  }
});

test('what is cut off, changed or none is an error, and the next call is none the worse', () => {
  for (const [codec, source] of [
    ['gzip', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
  ] as const) {
    for (let size = 0; size < source.length; size += 1 + (size >> 3))
      expect(() => inflated(codec, source.subarray(0, size)), `${codec}, ${size} bytes`).toThrow();
    expect(() => inflated(codec, Buffer.concat([source, Buffer.from('abc')]))).toThrow();
    expectSame(inflated(codec, source), text);
  }
});

test('what claims to be huge takes no memory', () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 << 20));
  expect(bomb.length).toBeLessThan(10_000);
  const arena = createArena();
  expect(() => inflateInto('zstd', bomb, arena, 1 << 20)).toThrow('more than 1048576 bytes');
  expect(arena.bytes.length).toBeLessThan(3 << 20);
  // A frame of 22 bytes that claims 2^40.
  const liar = Buffer.alloc(22);
  liar.set([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1]);
  expect(() => inflateInto('zstd', liar, arena, 1 << 28)).toThrow();
  expect(arena.bytes.length).toBeLessThan(3 << 20);
});
