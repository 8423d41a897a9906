import { isUtf8 } from 'node:buffer';
import { MillraceError } from '@millrace/base';
import type { Vector } from '@millrace/columns';
import type { ColumnType, Field, PrimitiveType } from '@millrace/schema';
import { corrupt } from './corrupt.ts';
import type { FileNode } from './file-schema.ts';
import { bigEndian, decimals, pair } from './raw-vector.ts';

/** The node of a file that a table's field means: by id where the file has ids, else by name. */
export const matchField = (nodes: FileNode[], field: Field): FileNode | undefined =>
  nodes.find((node) => (node.hasOwnId ? node.id === field.id : node.name === field.name));

/** What must be read of a node to give it the wanted type: structs without the fields that nobody wants. */
export function prune(node: FileNode, type: ColumnType): FileNode {
  if (node.kind === 'struct' && type.kind === 'struct') {
    const fields = type.fields.flatMap((field) => {
      const found = matchField(node.fields, field);
      return found === undefined ? [] : [prune(found, field.type)];
    });
    // Some leaf has to say where the struct itself is null.
    return { ...node, fields: fields.length > 0 ? fields : node.fields.slice(0, 1) };
  }
  if (node.kind === 'list' && type.kind === 'list') return { ...node, element: prune(node.element, type.element) };
  if (node.kind === 'map' && type.kind === 'map')
    return { ...node, key: prune(node.key, type.key), value: prune(node.value, type.value) };
  return node;
}

/**
 * A vector read from a node as the wanted type: fields picked and missing ones null, and the promotions that Iceberg
 * allows (spec, "Schema Evolution"): int to long, float to double, wider decimals, date to timestamp.
 */
export function adapt(vector: Vector, node: FileNode, type: ColumnType): Vector {
  if (node.kind === 'struct' && type.kind === 'struct' && vector.kind === 'struct') {
    const fields = type.fields.map((field) => {
      const at = node.fields.findIndex((below) => matchField([below], field) !== undefined);
      if (at >= 0) return adapt(vector.fields[at]!, node.fields[at]!, field.type);
      return missing(field, vector.length, vector.nullCount);
    });
    return { ...vector, fields };
  }
  if (node.type.kind === 'variant' && type.kind === 'variant') return vector;
  if (node.kind === 'list' && type.kind === 'list' && vector.kind === 'list')
    return { ...vector, element: adapt(vector.element, node.element, type.element) };
  if (node.kind === 'map' && type.kind === 'map' && vector.kind === 'map') {
    const key = adapt(vector.key, node.key, type.key);
    return { ...vector, key, value: adapt(vector.value, node.value, type.value) };
  }
  if (node.kind === 'leaf' && type.kind !== 'struct' && type.kind !== 'list' && type.kind !== 'map')
    return promote(vector, node.type, type, node.name);
  throw mismatch(node.name, node.type, type);
}

/** A column that the file lacks: null throughout. `nullParents` = rows that could not have had it anyway. */
export function missing(field: Field, length: number, nullParents: number): Vector {
  if (field.required && nullParents < length) {
    throw new MillraceError('invalid', `The file lacks column "${field.name}" (id ${field.id}), which is required`, {
      code: 'parquet-column-missing',
    });
  }
  return nullVector(field.type, length);
}

export function nullVector(type: ColumnType, length: number): Vector {
  const base = { length, nullCount: length, validity: new Uint8Array((length + 7) >> 3) };
  switch (type.kind) {
    case 'boolean':
      return { kind: 'boolean', ...base, values: new Uint8Array(length) };
    case 'int':
    case 'date':
      return { kind: 'int32', ...base, values: new Int32Array(length) };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      return { kind: 'int64', ...base, values: new Int32Array(2 * length) };
    case 'float':
      return { kind: 'float', ...base, values: new Float32Array(length) };
    case 'double':
      return { kind: 'double', ...base, values: new Float64Array(length) };
    case 'decimal':
      if (type.precision <= 9) return { kind: 'int32', ...base, values: new Int32Array(length) };
      if (type.precision <= 18) return { kind: 'int64', ...base, values: new Int32Array(2 * length) };
      break;
    case 'variant':
      return { kind: 'struct', ...base, fields: [1, 2].map(() => nullVector({ kind: 'binary' }, length)) };
    case 'struct':
      return { kind: 'struct', ...base, fields: type.fields.map((field) => nullVector(field.type, length)) };
    case 'list':
      return { kind: 'list', ...base, offsets: new Int32Array(length + 1), element: nullVector(type.element, 0) };
    case 'map': {
      const offsets = new Int32Array(length + 1);
      return { kind: 'map', ...base, offsets, key: nullVector(type.key, 0), value: nullVector(type.value, 0) };
    }
  }
  return {
    kind: 'bytes',
    ...base,
    source: new Uint8Array(0),
    starts: new Int32Array(length),
    lengths: new Int32Array(length),
  };
}

export function promote(vector: Vector, from: PrimitiveType, to: PrimitiveType, name: string): Vector {
  if (from.kind === to.kind && from.kind !== 'decimal' && from.kind !== 'fixed') return vector;
  if (from.kind === 'int' && to.kind === 'long' && vector.kind === 'int32')
    return { ...vector, kind: 'int64', values: widened(vector.values, vector.length) };
  if (from.kind === 'float' && to.kind === 'double' && vector.kind === 'float')
    return { ...vector, kind: 'double', values: Float64Array.from(vector.values.subarray(0, vector.length)) };
  if (from.kind === 'date' && to.kind === 'timestamp' && vector.kind === 'int32') {
    const micros = BigInt64Array.from({ length: vector.length }, (_, i) => BigInt(vector.values[i]!) * 86_400_000_000n);
    return { ...vector, kind: 'int64', values: new Int32Array(micros.buffer) };
  }
  if (from.kind === 'fixed' && (to.kind === 'binary' || (to.kind === 'fixed' && to.length === from.length)))
    return vector;
  // Text without an annotation, as some writers leave it.
  if (from.kind === 'binary' && to.kind === 'string' && vector.kind === 'bytes') {
    const { source, starts, lengths, length } = vector;
    for (let i = 0; i < length; i++) {
      if (!isUtf8(source.subarray(starts[i]!, starts[i]! + lengths[i]!)))
        throw corrupt(`column "${name}", to be read as strings, holds bytes that are no UTF-8`);
    }
    return vector;
  }
  if (from.kind === 'decimal' && to.kind === 'decimal' && from.scale === to.scale && from.precision <= to.precision)
    return widenDecimal(vector, to.precision);
  throw mismatch(name, from, to);
}

function widened(values: Int32Array, length: number): Int32Array {
  const out = new Int32Array(2 * length);
  for (let i = 0; i < length; i++) {
    out[2 * i] = values[i]!;
    out[2 * i + 1] = values[i]! >> 31;
  }
  return out;
}

function widenDecimal(vector: Vector, precision: number): Vector {
  const { length, nullCount, validity } = vector;
  const base = { length, nullCount, validity };
  if (vector.kind === 'int32') {
    if (precision <= 9) return vector;
    if (precision <= 18) return { kind: 'int64', ...base, values: widened(vector.values, length) };
  }
  if (vector.kind === 'int64' && precision <= 18) return vector;
  const { source, starts, lengths } = decimals(precision, length, unscaled(vector)) as Extract<
    ReturnType<typeof decimals>,
    { kind: 'bytes' }
  >;
  // Null slots have length 0.
  if (validity !== undefined && nullCount > 0) {
    for (let i = 0; i < length; i++) if ((validity[i >> 3]! & (1 << (i & 7))) === 0) lengths[i] = 0;
  }
  return { kind: 'bytes', ...base, source, starts, lengths };
}

function unscaled(vector: Vector): (i: number) => bigint {
  if (vector.kind === 'int32') return (i) => BigInt(vector.values[i]!);
  if (vector.kind === 'int64') return (i) => pair(vector.values, i);
  if (vector.kind === 'bytes') return (i) => bigEndian(vector.source, vector.starts[i]!, vector.lengths[i]!);
  throw new MillraceError('internal', `A decimal can be no ${vector.kind}`);
}

const show = (type: ColumnType) =>
  type.kind === 'decimal'
    ? `decimal(${type.precision},${type.scale})`
    : type.kind === 'fixed'
      ? `fixed(${type.length})`
      : type.kind;

const mismatch = (name: string, from: ColumnType, to: ColumnType) =>
  new MillraceError('invalid', `Column "${name}" of the file is ${show(from)}, which can't be read as ${show(to)}`, {
    code: 'parquet-type-mismatch',
  });
