import type { AvroType } from '@millrace/schema';
import { type Cursor, readJson } from './avro-value.ts';
import { broken } from './broken.ts';
import { type Column, takeScratch } from './column.ts';
import { checkUtf8, isAscii } from './utf8.ts';

export * from './avro-decimal.ts';
export * from './broken.ts';
export * from './utf8.ts';

// What generated decoders call. Each reader takes the bytes, a position and the record's end, writes its value and answers
// the position after it; a record that ends early or breaks a rule throws BROKEN.

/** Where readers leave a number that has no column: low half, high half. */
export const scratch = new Int32Array(2);

/** A zigzag varint of up to 64 bits into out[at] (low) and out[at + 1] (high). */
export function readLong(bytes: Uint8Array, p: number, end: number, out: Int32Array, at: number): number {
  if (p >= end) broken();
  let b = bytes[p++]!;
  let lo = b & 127;
  let hi = 0;
  if (b > 127) {
    // With ten bytes left no read can pass the end.
    const last = end - p >= 9 ? p + 9 : end;
    if (p >= last) broken();
    b = bytes[p++]!;
    lo |= (b & 127) << 7;
    if (b > 127) {
      if (p >= last) broken();
      b = bytes[p++]!;
      lo |= (b & 127) << 14;
      if (b > 127) {
        if (p >= last) broken();
        b = bytes[p++]!;
        lo |= (b & 127) << 21;
        if (b > 127) {
          if (p >= last) broken();
          b = bytes[p++]!;
          lo |= (b & 127) << 28;
          hi = (b & 127) >>> 4;
          for (let shift = 3; b > 127; shift += 7) {
            // The tenth byte has one bit to give.
            if (p >= last || shift > 31) broken();
            b = bytes[p++]!;
            if (shift === 31 && b > 1) broken();
            hi |= (b & 127) << shift;
          }
        }
      }
    }
  }
  const sign = -(lo & 1);
  out[at] = ((lo >>> 1) | (hi << 31)) ^ sign;
  out[at + 1] = (hi >>> 1) ^ sign;
  return p;
}

/** readLong() for what is mostly five to eight bytes long: from two loads of four. */
export function readWideLong(
  view: DataView,
  bytes: Uint8Array,
  p: number,
  end: number,
  out: Int32Array,
  at: number,
): number {
  if (end - p < 8) return readLong(bytes, p, end, out, at);
  const first = view.getInt32(p, true);
  const second = view.getInt32(p + 4, true);
  const stops = ~second & -0x7f7f7f80;
  if (stops === 0 || (first & -0x7f7f7f80) !== -0x7f7f7f80) return readLong(bytes, p, end, out, at);
  // What is left of the second after its first byte without a high bit is not of this number.
  const stop = stops & -stops;
  const upper = sevens(second & (stop - 1));
  const lo = sevens(first) | (upper << 28);
  const hi = upper >>> 4;
  const sign = -(lo & 1);
  out[at] = ((lo >>> 1) | (hi << 31)) ^ sign;
  out[at + 1] = (hi >>> 1) ^ sign;
  return p + 4 + ((39 - Math.clz32(stop)) >> 3);
}

/** The low seven bits of each of four bytes, put together. */
const sevens = (word: number): number =>
  (word & 0x7f) | ((word >> 1) & 0x3f80) | ((word >> 2) & 0x1fc000) | ((word >> 3) & 0xfe00000);

/** readLong() from loads of four bytes, where the buffer has them. */
export function readLongAtOnce(
  view: DataView,
  bytes: Uint8Array,
  p: number,
  end: number,
  out: Int32Array,
  at: number,
): number {
  if (end - p < 4) return readLong(bytes, p, end, out, at);
  let word = view.getInt32(p, true);
  if ((word & -0x7f7f7f80) === -0x7f7f7f80) return readWideLong(view, bytes, p, end, out, at);
  if ((word & 0x80) === 0) {
    word &= 0x7f;
    p++;
  } else if ((word & 0x8000) === 0) {
    word = sevens(word & 0x7fff);
    p += 2;
  } else if ((word & 0x800000) === 0) {
    word = sevens(word & 0x7fffff);
    p += 3;
  } else {
    word = sevens(word);
    p += 4;
  }
  const sign = -(word & 1);
  out[at] = (word >>> 1) ^ sign;
  out[at + 1] = sign;
  return p;
}

/** A zigzag varint of up to 32 bits into out[at]. */
export function readInt(bytes: Uint8Array, p: number, end: number, out: Int32Array, at: number): number {
  if (p >= end) broken();
  const b = bytes[p++]!;
  if (b > 127) {
    p = readLong(bytes, p - 1, end, scratch, 0);
    const value = scratch[0]!;
    if (scratch[1] !== value >> 31) broken();
    out[at] = value;
    return p;
  }
  out[at] = (b >>> 1) ^ -(b & 1);
  return p;
}

/** A long that must be a length or count: not negative, below 2^31. Into scratch[0]. */
export function readLength(bytes: Uint8Array, p: number, end: number): number {
  p = readLong(bytes, p, end, scratch, 0);
  if (scratch[1] !== 0 || scratch[0]! < 0) broken();
  return p;
}

/** A block's count into scratch[0]; a negative count is followed by the block's size in bytes. */
export function readCount(bytes: Uint8Array, p: number, end: number): number {
  p = readLong(bytes, p, end, scratch, 0);
  const count = scratch[0]!;
  if (scratch[1] !== count >> 31) broken();
  if (count >= 0) return p;
  p = readLength(bytes, p, end);
  if (scratch[0]! > end - p || count === -0x80000000) broken();
  scratch[0] = -count;
  return p;
}

const EXACT = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

/** out[at], out[at + 1] times 1000: milliseconds to microseconds. */
export function timesThousand(out: Int32Array, at: number): void {
  const value = out[at + 1]! * 4294967296 + (out[at]! >>> 0);
  if (value <= EXACT && value >= -EXACT) {
    const micros = value * 1000;
    out[at] = micros;
    out[at + 1] = Math.floor(micros / 4294967296);
    return;
  }
  const exact = ((BigInt(out[at + 1]!) << 32n) | BigInt(out[at]! >>> 0)) * 1000n;
  if (BigInt.asIntN(64, exact) !== exact) broken();
  out[at] = Number(BigInt.asIntN(32, exact));
  out[at + 1] = Number(BigInt.asIntN(32, exact >> 32n));
}

/** A long as a number (rounded beyond 2^53, as Avro's promotion to double says). */
export const longToNumber = (): number => scratch[1]! * 4294967296 + (scratch[0]! >>> 0);

/** A string into row n: its length, and its bytes, which must be UTF-8. */
export function readText(
  view: DataView,
  bytes: Uint8Array,
  p: number,
  end: number,
  starts: Int32Array,
  lengths: Int32Array,
  n: number,
): number {
  if (p >= end) broken();
  let length = bytes[p++]!;
  if (length < 128 && (length & 1) === 0) length >>= 1;
  else {
    p = readLength(bytes, p - 1, end);
    length = scratch[0]!;
  }
  if (length > end - p) broken();
  starts[n] = p;
  lengths[n] = length;
  const stop = p + length;
  if (!isAscii(view, bytes, p, stop)) checkUtf8(bytes, p, stop);
  return stop;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A uuid of 16 bytes as its text. */
export function uuidToText(bytes: Uint8Array, p: number, column: Column, n: number): void {
  const start = takeScratch(column, 36);
  const out = column.scratch;
  let at = start;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) out[at++] = 45;
    const hex = HEX[bytes[p + i]!]!;
    out[at++] = hex.charCodeAt(0);
    out[at++] = hex.charCodeAt(1);
  }
  column.starts[n] = ~start;
  column.lengths[n] = 36;
}

const encoder = new TextEncoder();

/** A value as JSON text (avro-value.ts) in row n, or only passed over when there is no column. */
export function jsonOrSkip(
  cursor: Cursor,
  bytes: Uint8Array,
  p: number,
  end: number,
  type: AvroType,
  column: Column | undefined,
  n: number,
): number {
  cursor.bytes = bytes;
  cursor.at = p;
  cursor.end = end;
  const json = readJson(type, cursor, column === undefined);
  if (column) {
    const start = takeScratch(column, json.length * 3);
    const { written } = encoder.encodeInto(json, column.scratch.subarray(start));
    column.scratchLength = start + written;
    column.starts[n] = ~start;
    column.lengths[n] = written;
  }
  return cursor.at;
}
