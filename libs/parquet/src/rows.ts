import { MillraceError } from '@millrace/base';
import {
  type BytesVector,
  type ColumnBatch,
  decimalBytes,
  isValid,
  type ListVector,
  type MapVector,
  type StructVector,
  type Vector,
  variantFromJson,
  variantToJson,
} from '@millrace/columns';
import type { ColumnType, Field, TableSchema } from '@millrace/schema';

/**
 * A value as a plain object holds it: boolean; number for int, float, double and date (days); bigint for long, time and
 * timestamp (microseconds, timestamp_ns nanoseconds) and for decimal (unscaled); string for string, uuid and variant (JSON text); Uint8Array for binary and fixed;
 * an array for a list; a Map for a map; an object by field names for a struct; null. Going in, numbers will do for
 * bigints, objects for maps with string keys, and undefined for null.
 */
export type Row = Record<string, unknown>;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Rows to vectors. Slow, an object a value: for checkpoints, tests and the like, not for the flow of records. */
export function vectorsFromRows(schema: TableSchema, rows: readonly Row[]): ColumnBatch {
  const columns = schema.fields.map((field) => column(field, rows, field.name));
  return { schema, length: rows.length, columns };
}

function column(field: Field, rows: readonly (Row | null)[], place: string): Vector {
  const values = rows.map((row) => row?.[field.name] ?? null);
  if (field.required && values.some((value, i) => value === null && rows[i] !== null)) {
    throw new MillraceError('invalid', `Row ${values.indexOf(null)} lacks "${place}", which is required`, {
      code: 'row-lacks-value',
    });
  }
  return vectorOf(field.type, values, place);
}

function vectorOf(type: ColumnType, values: unknown[], place: string): Vector {
  const { length } = values;
  let nullCount = 0;
  let validity: Uint8Array | undefined;
  if (values.includes(null)) {
    validity = new Uint8Array((length + 7) >> 3);
    values.forEach((value, i) => {
      if (value === null) nullCount++;
      else validity![i >> 3]! |= 1 << (i & 7);
    });
  }
  const base = { length, nullCount, validity };
  switch (type.kind) {
    case 'boolean':
      return { kind: 'boolean', ...base, values: Uint8Array.from(values, (value) => (value === true ? 1 : 0)) };
    case 'int':
    case 'date':
      return { kind: 'int32', ...base, values: Int32Array.from(values, (value) => Number(value ?? 0)) };
    case 'float':
      return { kind: 'float', ...base, values: Float32Array.from(values, (value) => Number(value ?? 0)) };
    case 'double':
      return { kind: 'double', ...base, values: Float64Array.from(values, (value) => Number(value ?? 0)) };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      return { kind: 'int64', ...base, values: pairs(values) };
    case 'decimal':
      if (type.precision <= 9)
        return { kind: 'int32', ...base, values: Int32Array.from(values, (value) => Number(value ?? 0)) };
      if (type.precision <= 18) return { kind: 'int64', ...base, values: pairs(values) };
      return bytes(base, values, (value) => bigEndian(value as bigint | number, decimalBytes(type.precision)));
    case 'variant':
      return variantFromJson(bytes(base, values, (value) => encoder.encode(value as string)));
    case 'string':
      return bytes(base, values, (value) => encoder.encode(value as string));
    case 'uuid':
      return bytes(base, values, (value) => Buffer.from((value as string).replaceAll('-', ''), 'hex'));
    case 'binary':
    case 'fixed':
      return bytes(base, values, (value) => value as Uint8Array);
    case 'struct':
      return {
        kind: 'struct',
        ...base,
        fields: type.fields.map((field) => column(field, values as (Row | null)[], `${place}.${field.name}`)),
      };
    case 'list': {
      const lists = values.map((value) => (value ?? []) as unknown[]);
      const element = vectorOf(type.element, lists.flatMap(nulled), `${place}.element`);
      return { kind: 'list', ...base, offsets: offsetsOf(lists), element };
    }
    case 'map': {
      const maps = values.map((value) => entriesOf(value));
      const key = vectorOf(
        type.key,
        maps.flatMap((entries) => entries.map(([k]) => k)),
        `${place}.key`,
      );
      const value = vectorOf(
        type.value,
        maps.flatMap((entries) => entries.map(([, v]) => v ?? null)),
        `${place}.value`,
      );
      return { kind: 'map', ...base, offsets: offsetsOf(maps), key, value };
    }
  }
}

const nulled = (list: unknown[]) => list.map((value) => value ?? null);

function entriesOf(value: unknown): [unknown, unknown][] {
  if (value === null) return [];
  return value instanceof Map ? [...value] : Object.entries(value as object);
}

function offsetsOf(lists: { length: number }[]): Int32Array {
  const offsets = new Int32Array(lists.length + 1);
  lists.forEach((list, i) => {
    offsets[i + 1] = offsets[i]! + list.length;
  });
  return offsets;
}

function pairs(values: unknown[]): Int32Array {
  return new Int32Array(BigInt64Array.from(values, (value) => BigInt((value as bigint | number | null) ?? 0)).buffer);
}

function bigEndian(value: bigint | number, length: number): Uint8Array {
  const hex = BigInt.asUintN(length * 8, BigInt(value)).toString(16);
  return Buffer.from(hex.padStart(length * 2, '0'), 'hex');
}

function bytes(
  base: { length: number; nullCount: number; validity: Uint8Array | undefined },
  values: unknown[],
  encode: (value: unknown) => Uint8Array,
): BytesVector {
  const parts = values.map((value) => (value === null ? new Uint8Array(0) : encode(value)));
  const lengths = Int32Array.from(parts, (part) => part.length);
  return { kind: 'bytes', ...base, source: Buffer.concat(parts), starts: offsetsOf(parts).slice(0, -1), lengths };
}

/** Vectors to rows. Slow likewise. */
export function rowsFromBatch(batch: ColumnBatch): Row[] {
  return Array.from({ length: batch.length }, (_, i) => structAt(batch.schema.fields, batch.columns, i));
}

function structAt(fields: Field[], vectors: Vector[], i: number): Row {
  return Object.fromEntries(fields.map((field, n) => [field.name, valueAt(field.type, vectors[n]!, i)]));
}

function valueAt(type: ColumnType, vector: Vector, i: number): unknown {
  if (!isValid(vector, i)) return null;
  switch (vector.kind) {
    case 'boolean':
      return vector.values[i] === 1;
    case 'int32':
      return type.kind === 'decimal' ? BigInt(vector.values[i]!) : vector.values[i];
    case 'float':
    case 'double':
      return vector.values[i];
    case 'int64':
      return (BigInt(vector.values[2 * i + 1]!) << 32n) | BigInt(vector.values[2 * i]! >>> 0);
    case 'bytes':
      return scalarOf(type, vector.source.subarray(vector.starts[i]!, vector.starts[i]! + vector.lengths[i]!));
    case 'struct':
      if (type.kind === 'variant') return variantText(vector, i);
      return type.kind === 'struct' ? structAt(type.fields, vector.fields, i) : null;
    case 'list':
      return type.kind === 'list' ? elements(vector, i, (j) => valueAt(type.element, vector.element, j)) : null;
    case 'map':
      return type.kind === 'map'
        ? new Map(elements(vector, i, (j) => [valueAt(type.key, vector.key, j), valueAt(type.value, vector.value, j)]))
        : null;
  }
}

function elements<T>({ offsets }: ListVector | MapVector, i: number, at: (j: number) => T): T[] {
  return Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, n) => at(offsets[i]! + n));
}

function variantText(vector: StructVector, i: number): string {
  const [metadata, value] = (vector.fields as BytesVector[]).map(({ source, starts, lengths }) =>
    source.subarray(starts[i]!, starts[i]! + lengths[i]!),
  );
  return variantToJson(metadata!, value!);
}

function scalarOf(type: ColumnType, value: Uint8Array): unknown {
  switch (type.kind) {
    case 'string':
      return decoder.decode(value);
    case 'uuid':
      return Buffer.from(value)
        .toString('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    case 'decimal':
      return BigInt.asIntN(value.length * 8, BigInt(`0x${Buffer.from(value).toString('hex')}`));
    default:
      // A copy, and no Buffer, whatever the source was.
      return new Uint8Array(value);
  }
}
