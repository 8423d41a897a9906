import type { AvroType } from '@millrace/schema';
import { type Cursor, readJson } from './avro-value.ts';
import { type Column, takeScratch } from './column.ts';

/**
 * What generated decoders call. Each reader takes the bytes, a position and the record's end, writes its value and answers
 * the position after it; a record that ends early or breaks a rule throws BROKEN, and the interpreter is asked why.
 */
export const BROKEN = Symbol('broken record');

export const broken = (): never => {
  throw BROKEN;
};

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

/** The bits of bytes [p, end) and a few after them, over each other: at most 7 bytes that lie in the view. */
export function orBytes(view: DataView, p: number, end: number): number {
  let bits = 0;
  for (; p < end; p += 8) bits |= view.getInt32(p, true) | view.getInt32(p + 4, true);
  return bits;
}

/** Whether all of bytes [p, end) are below 128. */
export function isAscii(view: DataView, bytes: Uint8Array, p: number, end: number): boolean {
  const length = end - p;
  let bits = 0;
  if (length > 3) {
    bits = view.getInt32(p, true) | view.getInt32(end - 4, true);
    if (length > 8) {
      bits |= view.getInt32(p + 4, true) | view.getInt32(end - 8, true);
      if (length > 16) bits |= orBytes(view, p + 8, end - 8);
    }
  } else if (length > 0) bits = bytes[p]! | bytes[p + (length >> 1)]! | bytes[end - 1]!;
  return (bits & -0x7f7f7f80) === 0;
}

/** Whether bytes [p, end) are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF); throws if not. */
export function checkUtf8(bytes: Uint8Array, p: number, end: number): void {
  while (p < end) {
    const b = bytes[p++]!;
    if (b < 0x80) continue;
    let more = 0;
    let low = 0x80;
    let high = 0xbf;
    if (b >= 0xc2 && b <= 0xdf) more = 1;
    else if (b >= 0xe0 && b <= 0xef) {
      more = 2;
      if (b === 0xe0) low = 0xa0;
      else if (b === 0xed) high = 0x9f;
    } else if (b >= 0xf0 && b <= 0xf4) {
      more = 3;
      if (b === 0xf0) low = 0x90;
      else if (b === 0xf4) high = 0x8f;
    } else broken();
    if (more > end - p) broken();
    for (; more > 0; more--, low = 0x80, high = 0xbf) {
      const next = bytes[p++]!;
      if (next < low || next > high) broken();
    }
  }
}

// The first byte of a big-endian two's complement number that is not only its sign.
function significant(bytes: Uint8Array, p: number, end: number): number {
  const sign = bytes[p]! >> 7 === 0 ? 0 : 255;
  while (end - p > 1 && bytes[p] === sign && bytes[p + 1]! >> 7 === sign >> 7) p++;
  return p;
}

/** A decimal of at most 9 digits; `most` is 10^precision - 1. */
export function decimal32(bytes: Uint8Array, p: number, end: number, out: Int32Array, at: number, most: number): void {
  if (p === end) {
    out[at] = 0;
    return;
  }
  p = significant(bytes, p, end);
  if (end - p > 4) broken();
  let value = bytes[p]! >> 7 === 0 ? 0 : -1;
  for (; p < end; p++) value = (value << 8) | bytes[p]!;
  if (value > most || value < -most) broken();
  out[at] = value;
}

/** A decimal of 10 to 18 digits; the halves of 10^precision - 1 are mostLo (unsigned), mostHi. */
export function decimal64(
  bytes: Uint8Array,
  p: number,
  end: number,
  out: Int32Array,
  at: number,
  mostLo: number,
  mostHi: number,
): void {
  if (p === end) {
    out[at] = 0;
    out[at + 1] = 0;
    return;
  }
  p = significant(bytes, p, end);
  if (end - p > 8) broken();
  let lo = bytes[p]! >> 7 === 0 ? 0 : -1;
  let hi = lo;
  for (; p < end; p++) {
    hi = (hi << 8) | (lo >>> 24);
    lo = (lo << 8) | bytes[p]!;
  }
  out[at] = lo;
  out[at + 1] = hi;
  if (hi < 0) {
    lo = -lo | 0;
    hi = ~hi + (lo === 0 ? 1 : 0);
  }
  if (hi < 0 || hi > mostHi || (hi === mostHi && lo >>> 0 > mostLo)) broken();
}

/** A decimal of more than 18 digits, sign-extended to `width` bytes; `most` is 10^precision - 1 in that width. */
export function decimalWide(
  bytes: Uint8Array,
  p: number,
  end: number,
  column: Column,
  n: number,
  width: number,
  most: Uint8Array,
): void {
  const start = takeScratch(column, width);
  const out = column.scratch;
  if (p < end) p = significant(bytes, p, end);
  if (end - p > width) broken();
  const sign = p < end && bytes[p]! > 127 ? 255 : 0;
  const pad = width - (end - p);
  for (let i = 0; i < width; i++) out[start + i] = i < pad ? sign : bytes[p + i - pad]!;
  checkDigits(out, start, width, most, sign);
  column.starts[n] = ~start;
  column.lengths[n] = width;
}

// |value| <= most, byte by byte; for a negative value |value| = ~value + 1, so ~value < most.
function checkDigits(out: Uint8Array, start: number, width: number, most: Uint8Array, sign: number): void {
  for (let i = 0; i < width; i++) {
    const digit = out[start + i]! ^ sign;
    if (digit < most[i]!) return;
    if (digit > most[i]!) broken();
  }
  if (sign !== 0) broken();
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
