import type { ByteBuffer } from './byte-buffer.ts';
import { type BytesDictionary, ENTRY_WORDS, LENGTH_WORD, START_WORD } from './bytes-dictionary.ts';

/** The least and the greatest of some byte strings, where they lie. */
export interface BytesRange {
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
}

/**
 * Byte by byte, unsigned; of two's complement numbers of one length the first byte is signed (parquet.thrift,
 * ColumnOrder, DECIMAL).
 */
export function compareBytes(a: Uint8Array, b: Uint8Array, signed: boolean): number {
  return compareWithin(a, 0, a.length, b, 0, b.length, signed ? 0x80 : 0);
}

/** The sort keys of a dictionary's entries: their four bytes after what all entries share, as a number. */
export interface EntryKeys {
  keys: Uint32Array;
  count: number;
  /** Bytes before those of the keys. */
  skip: number;
}

export const entryKeys = (): EntryKeys => ({ keys: new Uint32Array(512), count: 0, skip: 0 });

/** Of the entries that a page uses. `entries` belongs to the dictionary and follows it as it grows. */
export function dictionaryRange(
  dictionary: BytesDictionary,
  entries: EntryKeys,
  indices: Int32Array,
  count: number,
  signed: boolean,
): BytesRange {
  if (count === 0) return { min: undefined, max: undefined };
  const flip = signed ? 0x80 : 0;
  keyEntries(dictionary, entries, flip);
  if (dictionary.count >= count) return rangeOf(dictionary, entries.keys, indices, count, flip);
  // Most entries come more than once: each is looked at once.
  const found = usedEntries(indices, count, dictionary.count);
  return rangeOf(dictionary, entries.keys, used, found, flip);
}

let seen = new Uint8Array(0);
let used = new Int32Array(0);

/** Puts into `used` which entries occur, and answers how many. */
function usedEntries(indices: Int32Array, count: number, entries: number): number {
  if (seen.length < entries) {
    seen = new Uint8Array(2 * entries);
    used = new Int32Array(2 * entries);
  }
  for (let i = 0; i < count; i++) seen[indices[i]!] = 1;
  let found = 0;
  for (let entry = 0; entry < entries; entry++) {
    used[found] = entry;
    found += seen[entry]!;
    seen[entry] = 0;
  }
  return found;
}

function rangeOf(
  dictionary: BytesDictionary,
  keys: Uint32Array,
  indices: Int32Array,
  count: number,
  flip: number,
): BytesRange {
  let min = indices[0]!;
  let max = min;
  let minKey = keys[min]!;
  let maxKey = minKey;
  for (let i = 1; i < count; i++) {
    const entry = indices[i]!;
    const key = keys[entry]!;
    if (key <= minKey && entry !== min) {
      if (key < minKey || compareEntries(dictionary, entry, min, flip) < 0) {
        min = entry;
        minKey = key;
      }
    }
    if (key >= maxKey && entry !== max) {
      if (key > maxKey || compareEntries(dictionary, entry, max, flip) > 0) {
        max = entry;
        maxKey = key;
      }
    }
  }
  return { min: entryBytes(dictionary, min), max: entryBytes(dictionary, max) };
}

function entryBytes({ entries, plain }: BytesDictionary, entry: number): Uint8Array {
  const start = entries[ENTRY_WORDS * entry + START_WORD]!;
  return plain.bytes.subarray(start, start + entries[ENTRY_WORDS * entry + LENGTH_WORD]!);
}

function compareEntries({ entries, plain }: BytesDictionary, a: number, b: number, flip: number): number {
  return compareWithin(
    plain.bytes,
    entries[ENTRY_WORDS * a + START_WORD]!,
    entries[ENTRY_WORDS * a + LENGTH_WORD]!,
    plain.bytes,
    entries[ENTRY_WORDS * b + START_WORD]!,
    entries[ENTRY_WORDS * b + LENGTH_WORD]!,
    flip,
  );
}

function keyEntries(dictionary: BytesDictionary, keyed: EntryKeys, flip: number): void {
  const { entries, plain, count } = dictionary;
  if (keyed.keys.length < count) {
    const keys = new Uint32Array(2 * count);
    keys.set(keyed.keys.subarray(0, keyed.count));
    keyed.keys = keys;
  }
  // A signed first byte must be in the key, so nothing is skipped there.
  const skip = flip === 0 ? sharedPrefix(dictionary, keyed) : 0;
  if (keyed.skip !== skip) keyed.count = 0;
  keyed.skip = skip;
  for (let i = keyed.count; i < count; i++) {
    const start = entries[ENTRY_WORDS * i + START_WORD]! + skip;
    keyed.keys[i] = sortKey(plain.bytes, start, entries[ENTRY_WORDS * i + LENGTH_WORD]! - skip, flip);
  }
  keyed.count = count;
}

/** How many bytes all entries begin with alike, of which those before keyed.count are known to share keyed.skip. */
function sharedPrefix({ entries, plain, count }: BytesDictionary, keyed: EntryKeys): number {
  const { bytes } = plain;
  const first = entries[START_WORD]!;
  let shared = keyed.count === 0 ? entries[LENGTH_WORD]! : keyed.skip;
  for (let i = keyed.count; i < count && shared > 0; i++) {
    const start = entries[ENTRY_WORDS * i + START_WORD]!;
    const most = Math.min(shared, entries[ENTRY_WORDS * i + LENGTH_WORD]!);
    for (shared = 0; shared < most && bytes[first + shared] === bytes[start + shared]; ) shared++;
  }
  return shared;
}

/** Of values in PLAIN form; `fixedLength` 0 = each has its length before it. */
export function plainRange(plain: ByteBuffer, count: number, fixedLength: number, signed: boolean): BytesRange {
  if (count === 0) return { min: undefined, max: undefined };
  const { bytes, view } = plain;
  const flip = signed ? 0x80 : 0;
  const header = fixedLength === 0 ? 4 : 0;
  let length = header > 0 ? view.getInt32(0, true) : fixedLength;
  let at = header;
  let min = at;
  let minLength = length;
  let max = at;
  let maxLength = length;
  // All between the two begin as both do: values that share it are told apart by the four bytes after it.
  let prefix = signed ? 0 : length;
  let minKey = sortKey(bytes, at + prefix, length - prefix, flip);
  let maxKey = minKey;
  for (let i = 1; i < count; i++) {
    at += length;
    if (header > 0) {
      length = view.getInt32(at, true);
      at += 4;
    }
    if (length >= prefix + 4 && sharesPrefix(bytes, view, at, min, prefix)) {
      const key = (view.getUint32(at + prefix) ^ (flip << 24)) >>> 0;
      if (key > minKey && key < maxKey) continue;
    }
    if (compareWithin(bytes, at, length, bytes, min, minLength, flip) < 0) {
      min = at;
      minLength = length;
    } else if (compareWithin(bytes, at, length, bytes, max, maxLength, flip) > 0) {
      max = at;
      maxLength = length;
    } else continue;
    if (!signed) prefix = commonPrefix(bytes, min, minLength, max, maxLength);
    minKey = sortKey(bytes, min + prefix, minLength - prefix, flip);
    maxKey = sortKey(bytes, max + prefix, maxLength - prefix, flip);
  }
  return { min: bytes.subarray(min, min + minLength), max: bytes.subarray(max, max + maxLength) };
}

function sharesPrefix(bytes: Uint8Array, view: DataView, a: number, b: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (view.getInt32(a + i, true) !== view.getInt32(b + i, true)) return false;
  for (; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

function commonPrefix(bytes: Uint8Array, a: number, aLength: number, b: number, bLength: number): number {
  const most = Math.min(aLength, bLength);
  let common = 0;
  while (common < most && bytes[a + common] === bytes[b + common]) common++;
  return common;
}

/** The first four bytes as a number that orders as they do, zeros for those that are missing. */
function sortKey(bytes: Uint8Array, at: number, length: number, flip: number): number {
  let key = 0;
  for (let i = 0; i < length && i < 4; i++) key |= (i === 0 ? bytes[at]! ^ flip : bytes[at + i]!) << (24 - 8 * i);
  return key >>> 0;
}

function compareWithin(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
  flip: number,
): number {
  const most = Math.min(aLength, bLength);
  for (let i = 0; i < most; i++) {
    const x = a[aStart + i]!;
    const y = b[bStart + i]!;
    if (x !== y) return i === 0 ? (x ^ flip) - (y ^ flip) : x - y;
  }
  return aLength - bLength;
}
