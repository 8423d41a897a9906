import { type JsonLeaf, JsonMisfit, type JsonScalar, jsonSingleValue, type PrimitiveType } from '@millrace/schema';
import { broken } from './avro-runtime.ts';
import { type Column, takeScratch } from './column.ts';
import { readNull, skipNumber, space } from './json-scan.ts';
import { storeValue } from './store.ts';

const TWO_32 = 4_294_967_296;
const TWO_53 = 9_007_199_254_740_992;
/** Powers of ten that a double holds exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/** An integer of up to 64 bits; 1.0 and 1e3 are integers too. */
export function readInteger(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  const start = p;
  if (s[p] === 45) p++;
  const first = p;
  let v = s[p]! ^ 48;
  if (!(v < 10)) return start === p ? readNull(s, p, column, n) : broken();
  p++;
  if (v !== 0) for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
  const b = s[p]!;
  if (b === 46 || (b | 32) === 0x65) return readOddNumber(s, start, INTEGER, column, n);
  if (v >= TWO_53) storeLarge(s, first, p, first !== start, column.ints, 2 * n);
  else {
    if (first !== start) v = -v;
    const { ints } = column;
    ints[2 * n] = v;
    ints[2 * n + 1] = Math.floor(v / TWO_32);
  }
  return p;
}

// 16 to 19 digits: the last nine and those before them, multiplied in parts that a double holds exactly.
function storeLarge(s: Uint8Array, p: number, end: number, isNegative: boolean, out: Int32Array, at: number): void {
  if (end - p > 19) broken();
  const split = end - 9;
  let upper = 0;
  for (; p < split; p++) upper = upper * 10 + (s[p]! ^ 48);
  let lower = 0;
  for (; p < end; p++) lower = lower * 10 + (s[p]! ^ 48);
  const a = Math.floor(upper / 65_536);
  const high = a * 1_000_000_000;
  const carry = Math.floor(high / 65_536);
  const low = (high - carry * 65_536) * 65_536 + (upper - a * 65_536) * 1_000_000_000 + lower;
  const top = carry + Math.floor(low / TWO_32);
  out[at] = isNegative ? -low : low;
  // -2^63 has no positive counterpart.
  if (top > 0x7fffffff && !(isNegative && top === 0x80000000 && out[at] === 0)) broken();
  out[at + 1] = isNegative ? ~top + (out[at] === 0 ? 1 : 0) : top;
}

/** Where scanDigits leaves what it has found. */
const found = { value: 0, scale: 0, isNegative: false, isOdd: false };

/**
 * Digits with or without a point, into `found`: `value` is exact below 2^53, digits after the point included. Odd: with
 * an exponent, which is not read. Answers the position after them, or p where no number is.
 */
function scanDigits(s: Uint8Array, p: number): number {
  const start = p;
  if (s[p] === 45) p++;
  const first = p;
  let v = s[p]! ^ 48;
  if (!(v < 10)) return start === p ? p : broken();
  p++;
  if (v !== 0) for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
  let scale = 0;
  if (s[p] === 46) {
    const point = p++;
    for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
    scale = p - point - 1;
    if (scale === 0) broken();
  }
  found.value = v;
  found.scale = scale;
  found.isNegative = first !== start;
  found.isOdd = (s[p]! | 32) === 0x65;
  return p;
}

/** A double, correctly rounded: below 2^53 with a power of ten that is exact, one division is. */
export function readDouble(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  let end = scanDigits(s, p);
  if (end === p) return readNull(s, p, column, n);
  let { value } = found;
  if (value >= TWO_53 || found.scale > 22 || found.isOdd) {
    end = skipNumber(s, p);
    value = Number(ascii(s, p, end));
    if (value - value !== 0) broken();
  } else {
    if (found.scale !== 0) value /= POWERS[found.scale]!;
    if (found.isNegative) value = -value;
  }
  column.doubles[n] = value;
  return end;
}

/** A decimal column of more than 18 digits, `width` bytes wide: exact, or broken. */
export function readWideDecimal(
  s: Uint8Array,
  p: number,
  e: number,
  column: Column,
  n: number,
  precision: number,
  scale: number,
  width: number,
  leaf: JsonLeaf,
): number {
  if (s[p]! <= 32) p = space(s, p, e);
  const end = scanDigits(s, p);
  if (end === p) return readNull(s, p, column, n);
  const zeros = scale - found.scale;
  if (zeros < 0 || found.isOdd) return readOddNumber(s, p, leaf, column, n);
  const at = takeScratch(column, width);
  const out = column.scratch;
  column.starts[n] = ~at;
  column.lengths[n] = width;
  let to = at + width;
  const { isNegative } = found;
  if (found.value >= TWO_53 || zeros > 22 || found.value * POWERS[zeros]! >= TWO_53) {
    storeDigits(s, p, end, zeros, precision, isNegative, out, at, width);
    return end;
  }
  const value = isNegative ? -found.value * POWERS[zeros]! : found.value * POWERS[zeros]!;
  const high = Math.floor(value / TWO_32);
  for (let rest = value | 0, i = 0; i < 4; i++, rest >>= 8) out[--to] = rest;
  for (let rest = high | 0, i = 0; i < 4; i++, rest >>= 8) out[--to] = rest;
  for (const sign = high >> 31; to > at; ) out[--to] = sign;
  return end;
}

// 32 bits each, the lowest first.
const limbs = new Uint32Array(4);

// Digits [p, end), with a sign and a point among them, and so many zeros, as two's complement, big endian.
function storeDigits(
  s: Uint8Array,
  p: number,
  end: number,
  zeros: number,
  precision: number,
  isNegative: boolean,
  out: Uint8Array,
  at: number,
  width: number,
): void {
  limbs.fill(0);
  let digits = 0;
  let chunk = 0;
  let held = 0;
  for (const last = end + zeros; p < last; p++) {
    const digit = p < end ? s[p]! ^ 48 : 0;
    if (digit > 9) continue;
    if (digits > 0 || digit > 0) digits++;
    if (digits > precision) broken();
    chunk = chunk * 10 + digit;
    if (++held === 6) {
      multiplyAdd(1_000_000, chunk);
      chunk = 0;
      held = 0;
    }
  }
  multiplyAdd(POWERS[held]!, chunk);
  let carry = isNegative ? 1 : 0;
  for (let to = width - 1, i = 0; to >= 0; to--, i++) {
    const byte = i < 16 ? (limbs[i >> 2]! >>> (8 * (i & 3))) & 255 : 0;
    const sum = (isNegative ? byte ^ 255 : byte) + carry;
    out[at + to] = sum;
    carry = sum >> 8;
  }
}

function multiplyAdd(factor: number, carry: number): void {
  for (let i = 0; i < 4; i++) {
    const product = limbs[i]! * factor + carry;
    limbs[i] = product;
    carry = Math.floor(product / TWO_32);
  }
}

/** A number for any numeric column, by way of the interpreter's own conversion. */
export function readNumber(s: Uint8Array, p: number, e: number, column: Column, n: number, leaf: JsonLeaf): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] === 0x6e) return readNull(s, p, column, n);
  return readOddNumber(s, p, leaf, column, n);
}

const INTEGER: JsonLeaf = { kind: 'integer' };

function readOddNumber(s: Uint8Array, start: number, leaf: JsonLeaf, column: Column, n: number): number {
  const p = skipNumber(s, start);
  storeScalar(leaf, column, n, { number: ascii(s, start, p) });
  return p;
}

/** Stores a scalar as the interpreter does. */
export function storeScalar(leaf: JsonLeaf, column: Column, n: number, value: JsonScalar): void {
  try {
    storeValue(column, n, jsonSingleValue(leaf, column.type as PrimitiveType, value));
  } catch (error) {
    if (error instanceof JsonMisfit) broken();
    throw error;
  }
}

const ascii = (s: Uint8Array, start: number, end: number): string =>
  Buffer.from(s.buffer, s.byteOffset + start, end - start).toString('latin1');
