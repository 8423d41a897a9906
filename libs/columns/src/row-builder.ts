import type { TableSchema } from '@millrace/schema';
import { type Column, clear, createColumn, createDomain, type Domain, takeScratch } from './column.ts';
import { variantFromJson } from './variant.ts';
import type { BytesVector, ColumnBatch, Vector } from './vector.ts';

/**
 * Rows of a table while they are gathered: growing columns that decoders append to (appendRecords) and that batch() shows
 * as vectors. Memory is kept from one reset to the next, as much as rows of their size need.
 */
export interface RowBuilder {
  readonly schema: TableSchema;
  /** Rows so far. */
  readonly length: number;
  /** The bytes that strings point into: those of the record index, until reset. */
  source: Uint8Array;
  /** One for each top-level field of the schema, in its order. */
  readonly columns: readonly Column[];
  /** The top level first. */
  readonly domains: readonly Domain[];
  /** The rows as vectors. They are valid until the next append or reset, and `source` must not have changed. */
  batch(): ColumnBatch;
  /** Forgets all rows. Call it whenever the record index is cleared. */
  reset(): void;
}

export function createRowBuilder(schema: TableSchema): RowBuilder {
  const domains: Domain[] = [];
  const top = createDomain(domains);
  const columns = schema.fields.map((field) => createColumn(field.type, top, domains));
  const rows: RowBuilder = {
    schema,
    source: new Uint8Array(0),
    columns,
    domains,
    get length() {
      return top.length;
    },
    batch: () => ({ schema, length: top.length, columns: columns.map((column) => toVector(column, rows.source)) }),
    reset() {
      domains.forEach(clear);
    },
  };
  return rows;
}

function toVector(column: Column, source: Uint8Array): Vector {
  const length = column.domain.length;
  const nullCount = countNulls(column.validity, length);
  const base = { length, nullCount, validity: nullCount === 0 ? undefined : column.validity };
  switch (column.kind) {
    case 'boolean':
      return { kind: 'boolean', ...base, values: column.flags };
    case 'int32':
    case 'int64':
      return { kind: column.kind, ...base, values: column.ints };
    case 'float':
      return { kind: 'float', ...base, values: column.floats };
    case 'double':
      return { kind: 'double', ...base, values: column.doubles };
    case 'bytes': {
      const bytes: BytesVector = { kind: 'bytes', ...base, ...bytesOf(column, source) };
      return column.type.kind === 'variant' ? variantFromJson(bytes) : bytes;
    }
    case 'struct':
      return { kind: 'struct', ...base, fields: column.children.map((child) => toVector(child, source)) };
    case 'list':
      return { kind: 'list', ...base, offsets: sumLengths(column), element: toVector(column.children[0]!, source) };
    case 'map':
      return {
        kind: 'map',
        ...base,
        offsets: sumLengths(column),
        key: toVector(column.children[0]!, source),
        value: toVector(column.children[1]!, source),
      };
  }
}

// A vector has one source. Columns that only point into the records keep theirs; as soon as one value lies in scratch
// (a default, an enum's symbol, a wide decimal), the others are copied behind it.
function bytesOf(column: Column, source: Uint8Array): Pick<BytesVector, 'source' | 'starts' | 'lengths'> {
  const { starts, lengths } = column;
  if (column.scratchLength === 0) return { source, starts, lengths };
  const length = column.domain.length;
  let direct = 0;
  for (let i = 0; i < length; i++) if (starts[i]! >= 0) direct += lengths[i]!;
  let at = takeScratch(column, direct);
  column.scratchLength = at;
  const scratch = column.scratch;
  const moved = offsetsOf(column, length);
  for (let i = 0; i < length; i++) {
    const start = starts[i]!;
    if (start < 0) {
      moved[i] = ~start;
      continue;
    }
    const size = lengths[i]!;
    // A loop beats set(subarray) for what is usually a few bytes.
    if (size < 32) for (let k = 0; k < size; k++) scratch[at + k] = source[start + k]!;
    else scratch.set(source.subarray(start, start + size), at);
    moved[i] = at;
    at += size;
  }
  return { source: scratch, starts: moved, lengths };
}

function sumLengths(column: Column): Int32Array {
  const length = column.domain.length;
  const offsets = offsetsOf(column, length + 1);
  const { lengths } = column;
  let sum = 0;
  offsets[0] = 0;
  for (let i = 0; i < length; i++) offsets[i + 1] = sum += lengths[i]!;
  return offsets;
}

function offsetsOf(column: Column, length: number): Int32Array {
  if (column.offsets.length < length) column.offsets = new Int32Array(column.domain.capacity + 1);
  return column.offsets;
}

function countNulls(validity: Uint8Array, length: number): number {
  let nulls = 0;
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (validity[i] !== 255) nulls += ZEROS[validity[i]!]!;
  for (let i = whole << 3; i < length; i++) if ((validity[i >> 3]! & (1 << (i & 7))) === 0) nulls++;
  return nulls;
}

const ZEROS = Uint8Array.from({ length: 256 }, (_, byte) => {
  let zeros = 8;
  for (let rest = byte; rest > 0; rest >>= 1) zeros -= rest & 1;
  return zeros;
});
