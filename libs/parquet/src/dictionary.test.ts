import { expect, test } from 'vitest';
import { ByteBuffer } from './byte-buffer.ts';
import { bytesDictionary, clearBytesDictionary, indexBytes } from './bytes-dictionary.ts';
import { dictionaryRange, entryKeys } from './bytes-range.ts';
import type { CodecName } from './codec.ts';
import { BLOCK, dictionaryPays, dictionaryShare } from './dictionary-choice.ts';
import { readHybrid } from './hybrid-reader.ts';
import { bitWidth, writeIndices, writeLevels } from './hybrid-writer.ts';
import { clearDictionary, indexPairs, indexWords, numberDictionary } from './number-dictionary.ts';

/** The same numbers each time (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) * below) / 4_294_967_296);
  };
}

/** Values next to each other, without a byte before the first or behind the last. */
function layOut(values: Buffer[]) {
  const source = new Uint8Array(Buffer.concat(values));
  const lengths = Int32Array.from(values, (value) => value.length);
  const starts = new Int32Array(values.length);
  for (let i = 1; i < values.length; i++) starts[i] = starts[i - 1]! + lengths[i - 1]!;
  return { source, view: new DataView(source.buffer), starts, lengths };
}

/** Entries as a Map gives them: by first appearance. */
function expected(values: string[]) {
  const entries = new Map<string, number>();
  const indices = values.map((value) => {
    if (!entries.has(value)) entries.set(value, entries.size);
    return entries.get(value)!;
  });
  return { entries: [...entries.keys()], indices };
}

test.each([0, 4])(
  'byte strings of all lengths, alike but for one byte or a zero, are told apart (header %i)',
  (header) => {
    const random = randomNumbers(7 + header);
    const dictionary = bytesDictionary();
    for (let round = 0; round < 3; round++) {
      const values = Array.from({ length: 40_000 }, () => {
        const value = Buffer.alloc(random(4) === 0 ? random(60) : random(20), random(2) * 0x61);
        if (value.length > 0 && random(3) > 0) value[random(value.length)] = random(256);
        return value;
      });
      const { source, view, starts, lengths } = layOut(values);
      const indices = new Int32Array(values.length);
      for (let from = 0; from < values.length; from += BLOCK) {
        const to = Math.min(values.length, from + BLOCK);
        indexBytes(dictionary, source, view, starts, lengths, from, to, indices, from, header);
      }
      const wanted = expected(values.map((value) => value.toString('latin1')));
      expect(wanted.entries.length).toBeGreaterThan(10_000);
      expect(dictionary.count).toBe(wanted.entries.length);
      expect(Array.from(indices)).toEqual(wanted.indices);
      const plain = wanted.entries.map((text) => {
        const length = Buffer.alloc(header);
        if (header > 0) length.writeUInt32LE(text.length);
        return Buffer.concat([length, Buffer.from(text, 'latin1')]);
      });
      expect(Buffer.compare(dictionary.plain.used, Buffer.concat(plain))).toBe(0);
      clearBytesDictionary(dictionary);
    }
  },
);

test.each([1, 2] as const)('numbers of %i words', (width) => {
  const random = randomNumbers(width);
  const dictionary = numberDictionary(width);
  for (const distinct of [30_000, 1, 200]) {
    const values = Int32Array.from({ length: 50_000 * width }, (_, i) =>
      width === 2 && i % 2 === 1 ? -random(3) : random(distinct) << random(2),
    );
    const indices = new Int32Array(50_000);
    for (let from = 0; from < 50_000; from += BLOCK) {
      const to = Math.min(50_000, from + BLOCK);
      if (width === 1) indexWords(dictionary, values, from, to, indices);
      else indexPairs(dictionary, values, from, to, indices);
    }
    const wanted = expected(
      Array.from({ length: 50_000 }, (_, i) => values.subarray(i * width, (i + 1) * width).join()),
    );
    expect(dictionary.count).toBe(wanted.entries.length);
    expect(Array.from(indices)).toEqual(wanted.indices);
    expect(dictionary.words.subarray(0, dictionary.count * width).join()).toBe(wanted.entries.join());
    clearDictionary(dictionary);
  }
});

test.each([false, true])('the range of a page is that of its values, page after page (signed: %s)', (signed) => {
  const random = randomNumbers(3);
  const dictionary = bytesDictionary();
  const keys = entryKeys();
  for (let page = 0; page < 40; page++) {
    const values = Array.from({ length: 1 + random(3000) }, () => {
      const tail = Buffer.from([random(page + 1), random(256), random(2)]);
      // The prefix that all share gets shorter from page to page; numbers in two's complement have one length.
      return signed
        ? tail
        : Buffer.concat([Buffer.from('warehouse-'.slice(0, 10 - (page >> 2))), tail.subarray(random(3))]);
    });
    const { source, view, starts, lengths } = layOut(values);
    const indices = new Int32Array(values.length);
    for (let from = 0; from < values.length; from += BLOCK) {
      const to = Math.min(values.length, from + BLOCK);
      indexBytes(dictionary, source, view, starts, lengths, from, to, indices, from, 4);
    }
    const order = (a: Buffer, b: Buffer) =>
      signed && a.readInt8(0) !== b.readInt8(0) ? a.readInt8(0) - b.readInt8(0) : Buffer.compare(a, b);
    const sorted = values.toSorted(order);
    const { min, max } = dictionaryRange(dictionary, keys, indices, values.length, signed);
    expect([Buffer.from(min!), Buffer.from(max!)]).toEqual([sorted[0], sorted.at(-1)]);
  }
});

test('the hybrid of runs and packed groups comes back, at every width', () => {
  const random = randomNumbers(11);
  for (let width = 0; width <= 20; width++) {
    for (const count of [1, 7, 8, 9, 1000, 20_000]) {
      const values = new Int32Array(count);
      for (let i = 0; i < count; ) {
        const value = random(2 ** width);
        const end = Math.min(count, i + (random(2) === 0 ? 1 : 1 + random(30)));
        values.fill(value, i, end);
        i = end;
      }
      const out = new ByteBuffer(1);
      writeIndices(values, count, width, out);
      const read = new Int32Array(count);
      readHybrid(out.bytes, 0, out.length, width, count, read);
      expect(Buffer.compare(Buffer.from(read.buffer), Buffer.from(values.buffer)), `${count} × ${width} bits`).toBe(0);
      if (width > 6) continue;
      const levels = Uint8Array.from(values);
      out.length = 0;
      writeLevels(levels, count, width, out);
      const readLevels = new Uint8Array(count);
      readHybrid(out.bytes, 0, out.length, width, count, readLevels);
      expect(Buffer.compare(readLevels, levels), `${count} levels × ${width} bits`).toBe(0);
    }
  }
  expect([0, 1, 2, 255, 256].map(bitWidth)).toEqual([0, 1, 2, 8, 9]);
});

test('a dictionary pays by what the whole chunk will hold', () => {
  const pays = (distinct: number, expected: number, codec: CodecName = 'zstd') =>
    dictionaryPays({ tried: 4096, distinct, entryBytes: 8 }, expected, dictionaryShare(codec));
  expect(pays(4096, 262_144)).toBe(false);
  expect(pays(5, 262_144)).toBe(true);
  // 84 repeats among 4,096: some 100,000 different ones; of 262,144 more than a third.
  expect(pays(4012, 262_144)).toBe(false);
  expect(pays(4012, 262_144, 'snappy')).toBe(true);
  expect(pays(3700, 262_144)).toBe(true);
  // Nine different ones, however many have been looked at.
  expect(dictionaryPays({ tried: 50_000, distinct: 9, entryBytes: 4 }, 700_000, dictionaryShare('zstd'))).toBe(true);
  // The same sample of a chunk that ends soon.
  expect(pays(3700, 8000)).toBe(false);
});

test('values that come in order are told from those drawn again and again', () => {
  const pays = (distinctAtHalf: number, distinct: number) =>
    dictionaryPays({ tried: 40_000, distinct, distinctAtHalf, entryBytes: 8 }, 262_144, dictionaryShare('zstd'));
  // Two of each, in order: 20,000 by now, 131,072 in the end. As many by now, drawn from 25,000, are all there are.
  expect(pays(10_000, 20_000)).toBe(false);
  expect(pays(13_767, 19_953)).toBe(true);
  // Ten of each in order are few in the end too.
  expect(pays(2000, 4000)).toBe(true);
});
