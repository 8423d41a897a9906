import { type JsonLeaf, JsonMisfit, type JsonScalar, jsonSingleValue, type PrimitiveType } from '@millrace/schema';
import { broken } from './avro-runtime.ts';
import { type Column, takeScratch } from './column.ts';
import { readNull, skipNumber, space } from './json-scan.ts';
import { storeValue } from './store.ts';

const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
// Digits that a double holds exactly, however they stand.
const EXACT_DIGITS = 15;

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
  if (b === 46 || (b | 32) === 0x65 || p - first > EXACT_DIGITS) return readOddNumber(s, start, INTEGER, column, n);
  if (first !== start) v = -v;
  const { ints } = column;
  ints[2 * n] = v;
  ints[2 * n + 1] = Math.floor(v / 4294967296);
  return p;
}

/** A double, correctly rounded: with up to 15 digits and a small power of ten one division is. */
export function readDouble(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  const start = p;
  if (s[p] === 45) p++;
  const first = p;
  let v = s[p]! ^ 48;
  if (!(v < 10)) return start === p ? readNull(s, p, column, n) : broken();
  p++;
  if (v !== 0) for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
  let count = p - first;
  let scale = 0;
  if (s[p] === 46) {
    const point = p++;
    for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
    scale = p - point - 1;
    if (scale === 0) broken();
    count += scale;
  }
  if ((s[p]! | 32) === 0x65 || count > EXACT_DIGITS) {
    p = skipNumber(s, start);
    v = Number(ascii(s, start, p));
    if (v - v !== 0) broken();
  } else {
    if (scale !== 0) v /= POWERS[scale]!;
    if (first !== start) v = -v;
  }
  column.doubles[n] = v;
  return p;
}

/** A decimal column of more than 18 digits, `width` bytes wide: exact, or broken. */
export function readWideDecimal(
  s: Uint8Array,
  p: number,
  e: number,
  column: Column,
  n: number,
  columnScale: number,
  width: number,
  leaf: JsonLeaf,
): number {
  if (s[p]! <= 32) p = space(s, p, e);
  const start = p;
  if (s[p] === 45) p++;
  const first = p;
  let v = s[p]! ^ 48;
  if (!(v < 10)) return start === p ? readNull(s, p, column, n) : broken();
  p++;
  if (v !== 0) for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
  let count = p - first;
  let scale = 0;
  if (s[p] === 46) {
    const point = p++;
    for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) v = v * 10 + d;
    scale = p - point - 1;
    if (scale === 0) broken();
    count += scale;
  }
  const zeros = columnScale - scale;
  if ((s[p]! | 32) === 0x65 || zeros < 0 || count + zeros > EXACT_DIGITS)
    return readOddNumber(s, start, leaf, column, n);
  v *= POWERS[zeros]!;
  if (first !== start) v = -v;
  const at = takeScratch(column, width);
  const out = column.scratch;
  const high = Math.floor(v / 4294967296);
  let to = at + width;
  for (let rest = v | 0, i = 0; i < 4; i++, rest >>= 8) out[--to] = rest;
  for (let rest = high | 0, i = 0; i < 4; i++, rest >>= 8) out[--to] = rest;
  for (const sign = high >> 31; to > at; ) out[--to] = sign;
  column.starts[n] = ~at;
  column.lengths[n] = width;
  return p;
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

export const ascii = (s: Uint8Array, start: number, end: number): string =>
  Buffer.from(s.buffer, s.byteOffset + start, end - start).toString('latin1');
