import type { ByteBuffer } from './byte-buffer.ts';
import type { BytesDictionary } from './bytes-dictionary.ts';

/** The least and the greatest of some byte strings. */
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

export const entryKeys = (): EntryKeys => ({ keys: new Uint32Array(4096), count: 0, skip: 0 });

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
  const { starts, lengths, plain } = dictionary;
  const { bytes } = plain;
  const { keys } = entries;
  let min = indices[0]!;
  let max = min;
  let minKey = keys[min]!;
  let maxKey = minKey;
  for (let i = 1; i < count; i++) {
    const entry = indices[i]!;
    const key = keys[entry]!;
    if (key <= minKey && entry !== min) {
      if (key < minKey || compareEntries(bytes, starts, lengths, entry, min, flip) < 0) {
        min = entry;
        minKey = key;
      }
    }
    if (key >= maxKey && entry !== max) {
      if (key > maxKey || compareEntries(bytes, starts, lengths, entry, max, flip) > 0) {
        max = entry;
        maxKey = key;
      }
    }
  }
  return {
    min: bytes.slice(starts[min]!, starts[min]! + lengths[min]!),
    max: bytes.slice(starts[max]!, starts[max]! + lengths[max]!),
  };
}

function compareEntries(
  bytes: Uint8Array,
  starts: Int32Array,
  lengths: Int32Array,
  a: number,
  b: number,
  flip: number,
): number {
  return compareWithin(bytes, starts[a]!, lengths[a]!, bytes, starts[b]!, lengths[b]!, flip);
}

function keyEntries(dictionary: BytesDictionary, entries: EntryKeys, flip: number): void {
  const { starts, lengths, plain, count } = dictionary;
  // A signed first byte must be in the key, so nothing is skipped there.
  const skip = flip === 0 ? dictionary.commonPrefix : 0;
  if (entries.keys.length < count) {
    const keys = new Uint32Array(starts.length);
    keys.set(entries.keys.subarray(0, entries.count));
    entries.keys = keys;
  }
  if (entries.skip !== skip) entries.count = 0;
  entries.skip = skip;
  for (let i = entries.count; i < count; i++)
    entries.keys[i] = sortKey(plain.bytes, starts[i]! + skip, lengths[i]! - skip, flip);
  entries.count = count;
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
  return { min: bytes.slice(min, min + minLength), max: bytes.slice(max, max + maxLength) };
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
