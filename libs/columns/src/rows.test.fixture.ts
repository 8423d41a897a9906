import type { RecordIndex } from '@millrace/kafka-log';
import type { ColumnType, TableSchema } from '@millrace/schema';
import { type ColumnBatch, isValid, type Vector } from './vector.ts';

/** An index over values (null = a tombstone) and keys, as if they had come from one batch. */
export function indexOf(values: (Uint8Array | null)[], keys: (Uint8Array | null)[] = []): RecordIndex {
  const count = values.length;
  // Bytes of neighbours around each value: a decoder that reads over an end would take them for its own.
  const parts: Uint8Array[] = [Uint8Array.of(2, 2, 2)];
  let at = 3;
  const place = (all: (Uint8Array | null)[]) => {
    const starts = new Int32Array(count);
    const lengths = new Int32Array(count).fill(-1);
    for (let i = 0; i < count; i++) {
      const part = all[i];
      starts[i] = at;
      if (!part) continue;
      lengths[i] = part.length;
      parts.push(part, Uint8Array.of(2, 2, 2));
      at += part.length + 3;
    }
    return { starts, lengths };
  };
  const value = place(values);
  const key = place(keys);
  const bytes = new Uint8Array(Buffer.concat(parts));
  return {
    count,
    bytes,
    byteLength: bytes.length,
    offsets: Float64Array.from({ length: count }, (_, i) => 1000 + i),
    timestampsMs: Float64Array.from({ length: count }, (_, i) => 1_700_000_000_000 + i),
    keyStarts: key.starts,
    keyLengths: key.lengths,
    valueStarts: value.starts,
    valueLengths: value.lengths,
    headerStarts: new Int32Array(count),
    headerCounts: new Int32Array(count),
    batchNumbers: new Int32Array(count),
    batches: [{ timestampType: 'create-time', leaderEpoch: 4 } as RecordIndex['batches'][number]],
    add: () => {
      throw new Error('a fixed index');
    },
    clear: () => {},
  };
}

/** A batch's rows as objects, read from the vectors as their contract says. */
export function rowsOf(batch: ColumnBatch, schema: TableSchema = batch.schema): Record<string, unknown>[] {
  return Array.from({ length: batch.length }, (_, i) =>
    Object.fromEntries(schema.fields.map((field, at) => [field.name, valueAt(batch.columns[at]!, field.type, i)])),
  );
}

export function valueAt(vector: Vector, type: ColumnType, i: number): unknown {
  if (i >= vector.length) throw new Error(`row ${i} of ${vector.length}`);
  if (!isValid(vector, i)) return nullAt(vector, i);
  switch (vector.kind) {
    case 'boolean':
      return vector.values[i] === 1;
    case 'int32':
      return type.kind === 'decimal' ? BigInt(vector.values[i]!) : vector.values[i];
    case 'int64':
      return (BigInt(vector.values[2 * i + 1]!) << 32n) | BigInt(vector.values[2 * i]! >>> 0);
    case 'float':
    case 'double':
      return vector.values[i];
    case 'bytes': {
      const bytes = Buffer.from(vector.source.subarray(vector.starts[i]!, vector.starts[i]! + vector.lengths[i]!));
      if (type.kind === 'string') return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      return type.kind === 'decimal' ? BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`)) : bytes;
    }
    case 'struct': {
      const { fields } = type as ColumnType & { kind: 'struct' };
      return Object.fromEntries(fields.map((field, at) => [field.name, valueAt(vector.fields[at]!, field.type, i)]));
    }
    case 'list':
      return slots(vector.offsets, i).map((at) =>
        valueAt(vector.element, (type as ColumnType & { kind: 'list' }).element, at),
      );
    case 'map': {
      const { key, value } = type as ColumnType & { kind: 'map' };
      return slots(vector.offsets, i).map((at) => [valueAt(vector.key, key, at), valueAt(vector.value, value, at)]);
    }
  }
}

// What the contract says of a null: no bytes, no elements, and nothing in a struct below it.
function nullAt(vector: Vector, i: number): null {
  if (vector.kind === 'bytes' && vector.lengths[i] !== 0) throw new Error('a null has bytes');
  if ((vector.kind === 'list' || vector.kind === 'map') && slots(vector.offsets, i).length > 0)
    throw new Error('a null has elements');
  if (vector.kind === 'struct')
    for (const field of vector.fields) {
      if (isValid(field, i)) throw new Error('a field of a null struct has a value');
      nullAt(field, i);
    }
  return null;
}

const slots = (offsets: Int32Array, i: number): number[] =>
  Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, k) => offsets[i]! + k);
