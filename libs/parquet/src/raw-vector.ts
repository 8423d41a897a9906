import { decimalBytes, type Vector } from '@millrace/columns';
import { corrupt } from './corrupt.ts';
import type { LeafNode } from './file-schema.ts';
import { CONVERTED, LOGICAL, PHYSICAL } from './format.ts';
import type { RawValues } from './raw-values.ts';

/** A leaf's values as a vector of `length` slots, set apart where the validity has nulls. */
export function vectorOfRaw(
  leaf: LeafNode,
  raw: RawValues,
  length: number,
  nullCount: number,
  validity: Uint8Array | undefined,
): Vector {
  if (raw.count !== length - nullCount)
    throw corrupt(`column "${leaf.name}" has ${raw.count} values in ${length} slots`);
  const values = convert(leaf, raw);
  const base = { length, nullCount, validity };
  const { kind } = leaf.type;
  if (values.kind === 'boolean') return { kind: 'boolean', ...base, values: spreadBytes(values.values, base) };
  if (values.kind === 'bytes') {
    const starts = spreadWords(values.starts, 1, base);
    return { kind: 'bytes', ...base, source: values.source, starts, lengths: spreadWords(values.lengths, 1, base) };
  }
  const words = spreadWords(values.words, values.width, base);
  if (values.width === 1) {
    if (kind !== 'float') return { kind: 'int32', ...base, values: words };
    return { kind, ...base, values: new Float32Array(words.buffer, words.byteOffset, length) };
  }
  if (kind !== 'double') return { kind: 'int64', ...base, values: words };
  return { kind, ...base, values: new Float64Array(words.buffer, words.byteOffset, length) };
}

interface Slots {
  length: number;
  nullCount: number;
  validity: Uint8Array | undefined;
}

function spreadWords(words: Int32Array, width: number, { length, nullCount, validity }: Slots): Int32Array {
  if (nullCount === 0 || validity === undefined) return words;
  const out = new Int32Array(length * width);
  let from = 0;
  for (let i = 0; i < length; i++) {
    if ((validity[i >> 3]! & (1 << (i & 7))) === 0) continue;
    for (let n = 0; n < width; n++) out[i * width + n] = words[from++]!;
  }
  return out;
}

function spreadBytes(values: Uint8Array, { length, nullCount, validity }: Slots): Uint8Array {
  if (nullCount === 0 || validity === undefined) return values;
  const out = new Uint8Array(length);
  let from = 0;
  for (let i = 0; i < length; i++) if ((validity[i >> 3]! & (1 << (i & 7))) !== 0) out[i] = values[from++]!;
  return out;
}

/**
 * From the forms that others write to the one form of our type. Files of our own need nothing; the rest, a bigint a
 * value, is for what is seldom met: INT96, milliseconds, unsigned and half-precision numbers, decimals in other widths.
 */
function convert(leaf: LeafNode, raw: RawValues): RawValues {
  const { type, element } = leaf;
  const { physical, logical, converted } = element;
  if (type.kind === 'decimal') return convertDecimal(type.precision, physical!, raw);
  if (physical === PHYSICAL.INT96) return longs(raw.count, (i) => int96Micros((raw as { words: Int32Array }).words, i));
  if (raw.kind === 'words') {
    const { words } = raw;
    const millis =
      logical?.unit === 1 || converted === CONVERTED.TIME_MILLIS || converted === CONVERTED.TIMESTAMP_MILLIS;
    if (millis && (type.kind === 'time' || type.kind === 'timestamp')) {
      return longs(raw.count, (i) => 1000n * (raw.width === 1 ? BigInt(words[i]!) : pair(words, i)));
    }
    if (type.kind === 'time' && raw.width === 1) return longs(raw.count, (i) => BigInt(words[i]!));
    if (type.kind === 'long' && raw.width === 1) return longs(raw.count, (i) => BigInt(words[i]! >>> 0));
    return raw;
  }
  if (raw.kind === 'bytes' && logical?.id === LOGICAL.FLOAT16 && type.kind === 'float') {
    const floats = Float32Array.from({ length: raw.count }, (_, i) => half(raw.source, raw.starts[i]!));
    return { kind: 'words', count: raw.count, width: 1, words: new Int32Array(floats.buffer) };
  }
  return raw;
}

function convertDecimal(precision: number, physical: number, raw: RawValues): RawValues {
  const width = precision <= 9 ? 1 : precision <= 18 ? 2 : 0;
  if (raw.kind === 'words' && raw.width === width) return raw;
  if (raw.kind === 'bytes' && width === 0 && raw.lengths.every((length) => length === decimalBytes(precision)))
    return raw;
  return decimals(precision, raw.count, unscaledAt(physical, raw, precision));
}

/** Unscaled values in the form of a decimal of this precision. */
export function decimals(precision: number, count: number, at: (i: number) => bigint): RawValues {
  if (precision <= 9) {
    const words = Int32Array.from({ length: count }, (_, i) => Number(at(i)));
    return { kind: 'words', count, width: 1, words };
  }
  if (precision <= 18) return longs(count, at);
  const length = decimalBytes(precision);
  const source = new Uint8Array(count * length);
  for (let i = 0; i < count; i++) {
    let value = at(i);
    for (let n = length - 1; n >= 0; n--) {
      source[i * length + n] = Number(value & 0xffn);
      value >>= 8n;
    }
  }
  const starts = Int32Array.from({ length: count }, (_, i) => i * length);
  return { kind: 'bytes', count, source, starts, lengths: new Int32Array(count).fill(length) };
}

function unscaledAt(physical: number, raw: RawValues, precision: number): (i: number) => bigint {
  if (raw.kind === 'words') {
    if (raw.width === 1) return (i) => BigInt(raw.words[i]!);
    // A decimal(20) in INT64 is what an unsigned long has become.
    const isUnsigned = physical === PHYSICAL.INT64 && precision === 20;
    return isUnsigned ? (i) => BigInt.asUintN(64, pair(raw.words, i)) : (i) => pair(raw.words, i);
  }
  if (raw.kind === 'boolean') throw corrupt('a decimal can be no boolean');
  const limit = 10n ** BigInt(precision);
  return (i) => {
    const value = bigEndian(raw.source, raw.starts[i]!, raw.lengths[i]!);
    if (value >= limit || value <= -limit) throw corrupt(`a decimal of more than ${precision} digits`);
    return value;
  };
}

function longs(count: number, at: (i: number) => bigint): RawValues {
  const values = BigInt64Array.from({ length: count }, (_, i) => at(i));
  return { kind: 'words', count, width: 2, words: new Int32Array(values.buffer) };
}

export const pair = (words: Int32Array, i: number): bigint =>
  (BigInt(words[2 * i + 1]!) << 32n) | BigInt(words[2 * i]! >>> 0);

export function bigEndian(source: Uint8Array, start: number, length: number): bigint {
  let value = 0n;
  for (let i = 0; i < length; i++) value = (value << 8n) | BigInt(source[start + i]!);
  return BigInt.asIntN(8 * length, value);
}

/** INT96: nanoseconds of the day in two words, then the Julian day. */
function int96Micros(words: Int32Array, i: number): bigint {
  const nanos = (BigInt(words[3 * i + 1]!) << 32n) | BigInt(words[3 * i]! >>> 0);
  return (BigInt(words[3 * i + 2]!) - 2_440_588n) * 86_400_000_000n + nanos / 1000n;
}

/** IEEE 754 binary16, little endian. */
function half(source: Uint8Array, at: number): number {
  const bits = source[at]! | (source[at + 1]! << 8);
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 === 0 ? 1 : -1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}
