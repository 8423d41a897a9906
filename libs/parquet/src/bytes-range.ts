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

/** Of the entries that a page uses; `marks` remembers, with a number of the page, which were looked at. */
export function dictionaryRange(
  dictionary: BytesDictionary,
  indices: Int32Array,
  count: number,
  marks: Int32Array,
  page: number,
  signed: boolean,
): BytesRange {
  if (count === 0) return { min: undefined, max: undefined };
  const { starts, lengths, plain } = dictionary;
  const { bytes } = plain;
  const flip = signed ? 0x80 : 0;
  // A signed first byte must be compared, so nothing is skipped there.
  const skip = signed ? 0 : dictionary.commonPrefix;
  let min = indices[0]!;
  let max = min;
  marks[min] = page;
  for (let i = 1; i < count; i++) {
    const entry = indices[i]!;
    if (marks[entry] === page) continue;
    marks[entry] = page;
    const start = starts[entry]! + skip;
    const length = lengths[entry]! - skip;
    if (compareWithin(bytes, start, length, bytes, starts[min]! + skip, lengths[min]! - skip, flip) < 0) min = entry;
    else if (compareWithin(bytes, start, length, bytes, starts[max]! + skip, lengths[max]! - skip, flip) > 0)
      max = entry;
  }
  return {
    min: bytes.slice(starts[min]!, starts[min]! + lengths[min]!),
    max: bytes.slice(starts[max]!, starts[max]! + lengths[max]!),
  };
}

/** Of values in PLAIN form; `fixedLength` 0 = each has its length before it. */
export function plainRange(plain: ByteBuffer, count: number, fixedLength: number, signed: boolean): BytesRange {
  if (count === 0) return { min: undefined, max: undefined };
  const { bytes, view } = plain;
  const flip = signed ? 0x80 : 0;
  const flipKey = signed ? 0x80000000 : 0;
  let at = 0;
  let min = 0;
  let minLength = -1;
  let minKey = 0;
  let max = 0;
  let maxLength = 0;
  let maxKey = 0;
  for (let i = 0; i < count; i++) {
    let length = fixedLength;
    if (fixedLength === 0) {
      length = view.getInt32(at, true);
      at += 4;
    }
    const key = length >= 4 ? (view.getUint32(at) ^ flipKey) >>> 0 : shortKey(bytes, at, length, flip);
    if (minLength < 0) {
      min = max = at;
      minLength = maxLength = length;
      minKey = maxKey = key;
    } else if (key <= minKey && (key < minKey || compareWithin(bytes, at, length, bytes, min, minLength, flip) < 0)) {
      min = at;
      minLength = length;
      minKey = key;
    } else if (key >= maxKey && (key > maxKey || compareWithin(bytes, at, length, bytes, max, maxLength, flip) > 0)) {
      max = at;
      maxLength = length;
      maxKey = key;
    }
    at += length;
  }
  return { min: bytes.slice(min, min + minLength), max: bytes.slice(max, max + maxLength) };
}

/** The first four bytes as a number that orders as they do, zeros for those that are missing. */
function shortKey(bytes: Uint8Array, at: number, length: number, flip: number): number {
  let key = 0;
  for (let i = 0; i < length; i++) key |= (i === 0 ? bytes[at]! ^ flip : bytes[at + i]!) << (24 - 8 * i);
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
