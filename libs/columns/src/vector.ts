import type { TableSchema } from '@millrace/schema';

/**
 * Column vectors: how decoded rows travel from a decoder to the Parquet writer, and from the Parquet reader to a
 * rewrite. Arrow's shape: a validity bitmap, values, and offsets for what repeats; no object, string or BigInt a value.
 *
 * - `validity`: bit i (LSB first in byte i >> 3) is set when row i has a value; undefined = no nulls. Where a row is
 *   null, its slot in `values` is there and undefined in content; a null list or map has length 0 in `offsets`.
 * - A child of a null struct is null too (its validity says so itself).
 * - Buffers may be longer than `length` needs: only the first `length` entries count.
 * - The producer owns every buffer and reuses it: a consumer keeps nothing after the call that it was given to.
 */
export type Vector =
  | BooleanVector
  | Int32Vector
  | Int64Vector
  | FloatVector
  | DoubleVector
  | BytesVector
  | StructVector
  | ListVector
  | MapVector;

interface Base {
  length: number;
  nullCount: number;
  validity: Uint8Array | undefined;
}

export interface BooleanVector extends Base {
  kind: 'boolean';
  /** One byte a value, 0 or 1. */
  values: Uint8Array;
}

/** int, date, decimal with precision ≤ 9 (unscaled). */
export interface Int32Vector extends Base {
  kind: 'int32';
  values: Int32Array;
}

/** long, time, timestamp, timestamp_ns, decimal with precision 10 to 18 (unscaled): low half at 2i, high half at 2i + 1 (little endian). */
export interface Int64Vector extends Base {
  kind: 'int64';
  values: Int32Array;
}

export interface FloatVector extends Base {
  kind: 'float';
  values: Float32Array;
}

export interface DoubleVector extends Base {
  kind: 'double';
  values: Float64Array;
}

/**
 * string (UTF-8, already validated), binary, fixed, uuid (16 bytes), decimal with precision > 18 (two's complement, big endian, exactly
 * as many bytes as Parquet's FIXED_LEN_BYTE_ARRAY for that precision needs). Value i = source[starts[i], starts[i] + lengths[i]).
 * All null slots have length 0.
 */
export interface BytesVector extends Base {
  kind: 'bytes';
  source: Uint8Array;
  starts: Int32Array;
  lengths: Int32Array;
}

/** Of a variant: its metadata and its value (variantFromJson), both as long, null where it is null. */
export interface StructVector extends Base {
  kind: 'struct';
  /** In the order of the struct's fields; each as long as the struct. */
  fields: Vector[];
}

/** Row i's elements are [offsets[i], offsets[i + 1]) of `element`; offsets[0] = 0. */
export interface ListVector extends Base {
  kind: 'list';
  offsets: Int32Array;
  element: Vector;
}

export interface MapVector extends Base {
  kind: 'map';
  offsets: Int32Array;
  key: Vector;
  value: Vector;
}

/** Rows of a table: one vector for each top-level field of the schema, in its order. */
export interface ColumnBatch {
  schema: TableSchema;
  length: number;
  columns: Vector[];
}

/** Bytes of Parquet's FIXED_LEN_BYTE_ARRAY for a decimal of this precision (Parquet LogicalTypes.md, DECIMAL). */
export const decimalBytes = (precision: number): number => Math.ceil((precision * Math.log2(10) + 1) / 8);

/** Whether row i has a value. */
export const isValid = (vector: { validity: Uint8Array | undefined }, i: number): boolean =>
  vector.validity === undefined || (vector.validity[i >> 3]! & (1 << (i & 7))) !== 0;
