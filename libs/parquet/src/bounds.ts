import type { PrimitiveType } from '@millrace/schema';
import { compareBytes } from './bytes-range.ts';

/** Orders two values in PLAIN form as the column does (parquet.thrift, ColumnOrder, TypeDefinedOrder). */
export function comparator(type: PrimitiveType, fixedLength: number): (a: Uint8Array, b: Uint8Array) => number {
  const compare =
    <T extends number | bigint>(read: (view: DataView) => T) =>
    (a: Uint8Array, b: Uint8Array) => {
      const x = read(viewOf(a));
      const y = read(viewOf(b));
      return x < y ? -1 : x > y ? 1 : 0;
    };
  const int32 = compare((view) => view.getInt32(0, true));
  const int64 = compare((view) => view.getBigInt64(0, true));
  switch (type.kind) {
    case 'int':
    case 'date':
      return int32;
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      return int64;
    case 'float':
      return compare((view) => view.getFloat32(0, true));
    case 'double':
      return compare((view) => view.getFloat64(0, true));
    case 'decimal':
      if (fixedLength > 0) return (a, b) => compareBytes(a, b, true);
      return type.precision <= 9 ? int32 : int64;
    default:
      return (a, b) => compareBytes(a, b, false);
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A bound of the given form, and whether it is the value itself. */
export interface Bound {
  value: Uint8Array;
  exact: boolean;
}

const PARQUET_BYTES = 64;
const ICEBERG_UNITS = 16;

/** A minimum for a Statistics or ColumnIndex: byte strings cut at 64 bytes, UTF-8 between characters. */
export function parquetLower(type: PrimitiveType, min: Uint8Array): Bound {
  if (!isCut(type) || min.length <= PARQUET_BYTES) return { value: min, exact: true };
  return { value: min.subarray(0, cutAt(type, min, PARQUET_BYTES)), exact: false };
}

/** A maximum likewise, made greater in its last place; the value itself when that can't be done. */
export function parquetUpper(type: PrimitiveType, max: Uint8Array): Bound {
  if (!isCut(type) || max.length <= PARQUET_BYTES) return { value: max, exact: true };
  const value = increment(type, max.subarray(0, cutAt(type, max, PARQUET_BYTES)));
  return value === undefined ? { value: max, exact: true } : { value, exact: false };
}

/** A lower bound in Iceberg's single-value binary form (Iceberg spec, appendix D), cut at 16 characters or bytes. */
export function icebergLower(type: PrimitiveType, fixedLength: number, min: Uint8Array): Uint8Array {
  const value = singleValue(type, fixedLength, min);
  return isCut(type) ? value.subarray(0, unitsAt(type, value, ICEBERG_UNITS)) : value;
}

/** An upper bound likewise; undefined when what is cut can't be made greater. */
export function icebergUpper(type: PrimitiveType, fixedLength: number, max: Uint8Array): Uint8Array | undefined {
  const value = singleValue(type, fixedLength, max);
  if (!isCut(type)) return value;
  const end = unitsAt(type, value, ICEBERG_UNITS);
  return end === value.length ? value : increment(type, value.subarray(0, end));
}

const isCut = (type: PrimitiveType) => type.kind === 'string' || type.kind === 'binary' || type.kind === 'fixed';

/** Decimals: two's complement, big endian, as few bytes as hold it. All else is as in PLAIN. */
function singleValue(type: PrimitiveType, fixedLength: number, plain: Uint8Array): Uint8Array {
  if (type.kind !== 'decimal') return plain;
  const big = fixedLength > 0 ? plain : plain.toReversed();
  let from = 0;
  while (from < big.length - 1 && big[from] === (big[from + 1]! >= 0x80 ? 0xff : 0)) from++;
  return big.subarray(from);
}

function cutAt(type: PrimitiveType, value: Uint8Array, bytes: number): number {
  let end = bytes;
  if (type.kind === 'string') while (end > 0 && (value[end]! & 0xc0) === 0x80) end--;
  return end;
}

function unitsAt(type: PrimitiveType, value: Uint8Array, units: number): number {
  if (type.kind !== 'string') return Math.min(units, value.length);
  let end = 0;
  for (let n = 0; n < units && end < value.length; n++) {
    end++;
    while (end < value.length && (value[end]! & 0xc0) === 0x80) end++;
  }
  return end;
}

/** The least string that is greater than all that begin with this one, no longer than it: undefined = there is none. */
function increment(type: PrimitiveType, value: Uint8Array): Uint8Array | undefined {
  if (type.kind === 'string') {
    const points = Array.from(
      new TextDecoder('utf-8', { ignoreBOM: true }).decode(value),
      (char) => char.codePointAt(0)!,
    );
    while (points.length > 0) {
      const next = points.pop()! + 1;
      // Surrogates are no characters of their own.
      if (next <= 0x10ffff)
        return new TextEncoder().encode(
          String.fromCodePoint(...points, next >= 0xd800 && next <= 0xdfff ? 0xe000 : next),
        );
    }
    return undefined;
  }
  let end = value.length;
  while (end > 0 && value[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const greater = value.slice(0, end);
  greater[end - 1]!++;
  return greater;
}
