import type { BytesVector, Vector } from '@millrace/columns';
import { ByteBuffer } from './byte-buffer.ts';
import { copyBytes } from './byte-strings.ts';
import {
  bytesDictionary,
  capacityOf,
  clearBytesDictionary,
  ENTRY_WORDS,
  indexBytes,
  LENGTH_WORD,
  START_WORD,
} from './bytes-dictionary.ts';
import { dictionaryRange, entryKeys, plainRange } from './bytes-range.ts';
import { BLOCK, DICTIONARY_BYTES, dictionaryPays, JUDGED_PAGES, SAMPLE_VALUES } from './dictionary-choice.ts';
import { clearEntryMap, type EnterEntries, entryMap, mapEntries } from './entry-map.ts';
import { ENCODING } from './format.ts';
import { bitWidth, writeIndices } from './hybrid-writer.ts';
import type { Entries, RawBytes } from './raw-values.ts';
import type { PageValues, ValueEncoding, ValueWriter } from './values.ts';

/** The view of the bytes used last: the columns of a batch share their bytes, and a view costs as much as a thousand values. */
let viewed: Uint8Array = new Uint8Array(0);
let view: DataView = new DataView(viewed.buffer);

function viewOf(source: Uint8Array): DataView {
  if (source !== viewed) {
    viewed = source;
    view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  }
  return view;
}

const denseStarts = new Int32Array(BLOCK);
const denseLengths = new Int32Array(BLOCK);

/**
 * BYTE_ARRAY (`fixedLength` 0) and FIXED_LEN_BYTE_ARRAY. Values go from the batch's own bytes into the dictionary, or
 * into the page in PLAIN form; a page that loses its dictionary midway is spelled out from it.
 */
export function bytesValues(options: {
  fixedLength: number;
  /** Two's complement numbers: the first byte orders signed. */
  signed: boolean;
}): ValueWriter {
  const { fixedLength, signed } = options;
  const header = fixedLength === 0 ? 4 : 0;
  const dictionary = bytesDictionary();
  const plain = new ByteBuffer(4096);
  let indices = new Int32Array(1024);
  const keys = entryKeys();
  const map = entryMap();
  let count = 0;
  /** Values of the chunk before this page, and what the dictionary was then. */
  let before = { pages: 0, values: 0, entries: 0, bytes: 0 };
  let encoding: ValueEncoding;
  let inDictionary = false;
  let decided = false;

  const leaveDictionary = () => {
    inDictionary = false;
    for (let i = 0; i < count; i++) {
      const entry = ENTRY_WORDS * indices[i]!;
      const start = dictionary.entries[entry + START_WORD]! - header;
      const length = dictionary.entries[entry + LENGTH_WORD]! + header;
      plain.reserve(length);
      copyBytes(dictionary.plain.bytes, dictionary.plain.view, start, plain.bytes, plain.view, plain.length, length);
      plain.length += length;
    }
    dictionary.count = before.entries;
    dictionary.plain.length = before.bytes;
  };

  const reserveIndices = (more: number) => {
    if (count + more <= indices.length) return;
    const grown = new Int32Array(Math.max(indices.length * 2, count + more));
    grown.set(indices.subarray(0, count));
    indices = grown;
  };

  const pays = (tried: number, expected: number, distinctAtHalf?: number): boolean => {
    const entryBytes = dictionary.plain.length / dictionary.count;
    const growth = { tried, distinct: dictionary.count, distinctAtHalf, entryBytes };
    return dictionaryPays(growth, expected, encoding.dictionaryShare);
  };

  const judge = (expectedValues: number) => {
    const tried = before.values + count;
    if (!decided && tried >= SAMPLE_VALUES) {
      decided = true;
      if (!pays(tried, expectedValues)) leaveDictionary();
    } else if (dictionary.plain.length > DICTIONARY_BYTES) leaveDictionary();
  };

  const enterEntries: EnterEntries = (from, entries, length, places) => {
    const { source, starts, lengths } = from as RawBytes;
    for (let i = 0; i < length; i++) {
      denseStarts[i] = starts[entries[i]!]!;
      denseLengths[i] = lengths[entries[i]!]!;
    }
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    indexBytes(dictionary, source, view, denseStarts, denseLengths, 0, length, places, 0, header);
  };

  const lookUp = (
    source: Uint8Array,
    view: DataView,
    starts: Int32Array,
    lengths: Int32Array,
    from: number,
    to: number,
    expectedValues: number,
  ) => {
    reserveIndices(to - from);
    indexBytes(dictionary, source, view, starts, lengths, from, to, indices, count, header);
    count += to - from;
    judge(expectedValues);
  };

  return {
    begin(chosen) {
      encoding = chosen;
      inDictionary = chosen.dictionary;
    },
    get pageCount() {
      return count;
    },
    get pageBytes() {
      return inDictionary ? count * 4 : plain.length;
    },
    get capacityBytes() {
      return capacityOf(dictionary) + plain.bytes.length + indices.byteLength + keys.keys.byteLength;
    },
    get dictionaryBytes() {
      return dictionary.plain.length;
    },
    append(vector: Vector, from: number, to: number, expectedValues: number, entries?: Entries) {
      if (inDictionary && entries !== undefined) {
        reserveIndices(to - from);
        mapEntries(map, entries, from, to, indices, count, enterEntries);
        count += to - from;
        judge(expectedValues);
        return;
      }
      const { source, starts, lengths, validity, nullCount } = vector as BytesVector;
      if (validity !== undefined && nullCount === vector.length) return;
      const view = viewOf(source);
      const dense = validity === undefined || nullCount === 0;
      for (let low = from; low < to; low += BLOCK) {
        const high = Math.min(to, low + BLOCK);
        let blockStarts = starts;
        let blockLengths = lengths;
        let first = low;
        let last = high;
        if (!dense) {
          blockStarts = denseStarts;
          blockLengths = denseLengths;
          first = 0;
          last = gather(starts, lengths, validity, low, high, denseStarts, denseLengths);
        }
        if (inDictionary) lookUp(source, view, blockStarts, blockLengths, first, last, expectedValues);
        else {
          appendPlain(source, view, blockStarts, blockLengths, first, last, plain, header);
          count += last - first;
        }
      }
    },
    writePage(out: ByteBuffer, expectedValues: number): PageValues {
      // The chunk's first pages know better than its first values did, above all when they are the last ones too.
      if (inDictionary && count > 0 && (before.pages < JUDGED_PAGES || !decided)) {
        const tried = before.values + count;
        const atHalf = decided && before.pages === 1 ? before.entries : undefined;
        if (!pays(tried, decided ? expectedValues : tried, atHalf)) leaveDictionary();
      }
      const { min, max } = inDictionary
        ? dictionaryRange(dictionary, keys, indices, count, signed)
        : plainRange(plain, count, fixedLength, signed);
      let used: number = ENCODING.RLE_DICTIONARY;
      if (inDictionary) {
        const bits = bitWidth(Math.max(0, dictionary.count - 1));
        out.reserve(1);
        out.bytes[out.length++] = bits;
        writeIndices(indices, count, bits, out);
      } else used = encoding.writePlain(plain.used, count, out);
      const values = { encoding: used, count, nanCount: 0, min, max };
      before = {
        pages: before.pages + 1,
        values: before.values + count,
        entries: dictionary.count,
        bytes: dictionary.plain.length,
      };
      plain.length = 0;
      count = 0;
      return values;
    },
    endChunk() {
      const entries = dictionary.count;
      const bytes = dictionary.plain.used.slice();
      clearBytesDictionary(dictionary);
      clearEntryMap(map);
      keys.count = 0;
      before = { pages: 0, values: 0, entries: 0, bytes: 0 };
      inDictionary = encoding.dictionary;
      decided = false;
      return entries > 0 ? { count: entries, bytes } : undefined;
    },
  };
}

function gather(
  starts: Int32Array,
  lengths: Int32Array,
  validity: Uint8Array,
  from: number,
  to: number,
  denseStarts: Int32Array,
  denseLengths: Int32Array,
): number {
  let at = 0;
  for (let i = from; i < to; i++) {
    // Of sparse columns most bytes are zeros.
    if ((i & 7) === 0 && validity[i >> 3] === 0) {
      i += 7;
      continue;
    }
    denseStarts[at] = starts[i]!;
    denseLengths[at] = lengths[i]!;
    at += (validity[i >> 3]! >> (i & 7)) & 1;
  }
  return at;
}

function appendPlain(
  source: Uint8Array,
  view: DataView,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
  plain: ByteBuffer,
  header: number,
): void {
  let total = 0;
  for (let i = from; i < to; i++) total += lengths[i]!;
  plain.reserve(total + (to - from) * header + 8);
  const { bytes, view: out } = plain;
  for (let i = from; i < to; i++) {
    i = copyValues(view, starts, lengths, i, to, plain, header);
    if (i === to) break;
    if (header > 0) out.setInt32(plain.length, lengths[i]!, true);
    copyBytes(source, view, starts[i]!, bytes, out, plain.length + header, lengths[i]!);
    plain.length += header + lengths[i]!;
  }
}

/**
 * Copies short values 8 bytes at a time, with what lies behind them: the next value is put over that. Stops at a long one
 * and at the end of the source; answers which, or `to`. It calls nothing, for speed, as the loops of the dictionary.
 */
function copyValues(
  view: DataView,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
  plain: ByteBuffer,
  header: number,
): number {
  const { view: out } = plain;
  const head = header | 0;
  const end = to | 0;
  const safe = (view.byteLength - 8) | 0;
  let at = plain.length | 0;
  let i = from | 0;
  for (; i < end; i++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    if (length > 96 || start + length > safe) break;
    if (head > 0) out.setInt32(at, length, true);
    at = (at + head) | 0;
    const there = (at - start) | 0;
    const past = (start + length) | 0;
    for (let n = start; n < past; n = (n + 8) | 0) {
      out.setInt32((n + there) | 0, view.getInt32(n, true), true);
      out.setInt32((n + there + 4) | 0, view.getInt32((n + 4) | 0, true), true);
    }
    at = (at + length) | 0;
  }
  plain.length = at;
  return i;
}
