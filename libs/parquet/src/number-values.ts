import type { DoubleVector, FloatVector, Int32Vector, Int64Vector, Vector } from '@millrace/columns';
import type { ByteBuffer } from './byte-buffer.ts';
import { BLOCK, DICTIONARY_BYTES, dictionaryPays, JUDGED_PAGES, SAMPLE_VALUES } from './dictionary-choice.ts';
import { clearEntryMap, type EnterEntries, entryMap, mapEntries } from './entry-map.ts';
import { ENCODING } from './format.ts';
import { bitWidth, writeIndices } from './hybrid-writer.ts';
import { clearDictionary, indexPairs, indexWords, numberDictionary } from './number-dictionary.ts';
import { doubleRange, floatRange, int32Range, int64Range, type NumberRange } from './number-range.ts';
import type { Entries, RawWords } from './raw-values.ts';
import type { PageValues, ValueEncoding, ValueWriter } from './values.ts';

export type NumberKind = 'int32' | 'int64' | 'float' | 'double';

/** Indices of the page that is being written, whichever column's. */
let indices = new Int32Array(32_768);
const unentered = new Int32Array(2 * BLOCK);

/**
 * INT32, INT64, FLOAT, DOUBLE. The page is gathered in PLAIN form; when it is full it is looked up in the dictionary, so
 * that going back to PLAIN costs nothing.
 */
export function numberValues(kind: NumberKind): ValueWriter {
  const width = kind === 'int32' || kind === 'float' ? 1 : 2;
  const dictionary = numberDictionary(width);
  let page = new Int32Array(1024 * width);
  let count = 0;
  /** Pages and values of the chunk before this page, and entries of its dictionary. */
  let pages = 0;
  let earlier = 0;
  let entriesBefore = 0;
  /** The page's first values as entries: those that came as entries of another dictionary. */
  let mapped = new Int32Array(0);
  let mappedCount = 0;
  const map = entryMap();
  let encoding: ValueEncoding;
  let inDictionary = false;
  let decided = false;

  const range = (): NumberRange => {
    if (kind === 'int32') return int32Range(page, count);
    if (kind === 'int64') return int64Range(page, count);
    if (kind === 'float') return floatRange(new Float32Array(page.buffer), count);
    return doubleRange(new Float64Array(page.buffer), count);
  };

  /**
   * Looks the page up, whose values may all be one; false, once and for the chunk, when the dictionary does not pay or has
   * grown too large.
   */
  const lookUp = (expectedValues: number, alike: boolean): boolean => {
    if (indices.length < count) indices = new Int32Array(page.length / width);
    indices.set(mapped.subarray(0, mappedCount));
    for (let from = mappedCount; ; from += BLOCK) {
      const to = alike ? count : Math.min(count, from + BLOCK);
      const end = alike ? Math.min(to, from + 1) : to;
      if (width === 1) indexWords(dictionary, page, from, end, indices);
      else indexPairs(dictionary, page, from, end, indices);
      if (alike) indices.fill(indices[from]!, from, to);
      const sampled = !decided && earlier + to >= SAMPLE_VALUES;
      // The first pages know better than the first values did.
      if (sampled || (to === count && (pages < JUDGED_PAGES || !decided))) {
        const tried = earlier + to;
        decided ||= sampled;
        const growth = {
          tried,
          distinct: dictionary.count,
          distinctAtHalf: decided && pages === 1 ? entriesBefore : undefined,
          entryBytes: 4 * width,
        };
        if (!dictionaryPays(growth, decided ? expectedValues : tried, encoding.dictionaryShare)) break;
      }
      if (dictionary.count * 4 * width > DICTIONARY_BYTES) break;
      if (to === count) return true;
    }
    dictionary.count = entriesBefore;
    return false;
  };

  const enterEntries: EnterEntries = (source, entries, length, places) => {
    const { words } = source as RawWords;
    for (let i = 0; i < length; i++) {
      const at = entries[i]! * width;
      unentered[i * width] = words[at]!;
      if (width === 2) unentered[2 * i + 1] = words[at + 1]!;
    }
    if (width === 1) indexWords(dictionary, unentered, 0, length, places);
    else indexPairs(dictionary, unentered, 0, length, places);
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
      return count * 4 * width;
    },
    get capacityBytes() {
      return page.byteLength + dictionary.words.byteLength + dictionary.slots.byteLength;
    },
    get dictionaryBytes() {
      return dictionary.count * 4 * width;
    },
    append(vector: Vector, from: number, to: number, _expectedValues: number, entries?: Entries) {
      if (inDictionary && entries !== undefined && mappedCount === count) {
        if (count + to - from > mapped.length) {
          const grown = new Int32Array(Math.max(mapped.length * 2, count + to - from));
          grown.set(mapped.subarray(0, count));
          mapped = grown;
        }
        mapEntries(map, entries, from, to, mapped, count, enterEntries);
        mappedCount += to - from;
      }
      const numbers = vector as Int32Vector | Int64Vector | FloatVector | DoubleVector;
      if (numbers.validity !== undefined && numbers.nullCount === numbers.length) return;
      const words = wordsOf(numbers.values);
      if ((count + to - from) * width > page.length) {
        const grown = new Int32Array(Math.max(page.length * 2, (count + to - from) * width));
        grown.set(page.subarray(0, count * width));
        page = grown;
      }
      if (numbers.validity === undefined || numbers.nullCount === 0) {
        page.set(words.subarray(from * width, to * width), count * width);
        count += to - from;
      } else if (width === 1) count = gatherWords(words, numbers.validity, from, to, page, count);
      else count = gatherPairs(words, numbers.validity, from, to, page, count);
    },
    writePage(out: ByteBuffer, expectedValues: number): PageValues {
      const { min, max, nanCount } = range();
      // Of floats, zeros of both signs have one range.
      const alike = (kind === 'int32' || kind === 'int64') && count > 0 && Buffer.compare(min!, max!) === 0;
      if (inDictionary && count > 0) inDictionary = lookUp(expectedValues, alike);
      let used: number = ENCODING.RLE_DICTIONARY;
      if (inDictionary) {
        const bits = bitWidth(Math.max(0, dictionary.count - 1));
        out.reserve(1);
        out.bytes[out.length++] = bits;
        writeIndices(indices, count, bits, out);
      } else used = encoding.writePlain(new Uint8Array(page.buffer, 0, count * 4 * width), count, out);
      const values = { encoding: used, count, nanCount, min, max };
      pages++;
      earlier += count;
      count = mappedCount = 0;
      entriesBefore = dictionary.count;
      return values;
    },
    endChunk() {
      const entries = dictionary.count;
      const bytes = new Uint8Array(dictionary.words.buffer.slice(0, entries * 4 * width));
      clearDictionary(dictionary);
      clearEntryMap(map);
      inDictionary = encoding.dictionary;
      decided = false;
      pages = earlier = entriesBefore = 0;
      return entries > 0 ? { count: entries, bytes } : undefined;
    },
  };
}

function wordsOf(values: Int32Array | Float32Array | Float64Array): Int32Array {
  return values instanceof Int32Array
    ? values
    : new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
}

function gatherWords(
  words: Int32Array,
  validity: Uint8Array,
  from: number,
  to: number,
  page: Int32Array,
  at: number,
): number {
  for (let i = from; i < to; i++) {
    // Of sparse columns most bytes are zeros.
    if ((i & 7) === 0 && validity[i >> 3] === 0) {
      i += 7;
      continue;
    }
    page[at] = words[i]!;
    at += (validity[i >> 3]! >> (i & 7)) & 1;
  }
  return at;
}

function gatherPairs(
  words: Int32Array,
  validity: Uint8Array,
  from: number,
  to: number,
  page: Int32Array,
  at: number,
): number {
  for (let i = from; i < to; i++) {
    // Of sparse columns most bytes are zeros.
    if ((i & 7) === 0 && validity[i >> 3] === 0) {
      i += 7;
      continue;
    }
    page[2 * at] = words[2 * i]!;
    page[2 * at + 1] = words[2 * i + 1]!;
    at += (validity[i >> 3]! >> (i & 7)) & 1;
  }
  return at;
}
