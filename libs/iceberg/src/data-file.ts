import type { KeyValue, ManifestFileEntry } from './manifest-schema.ts';

/** A data file and its statistics, by field id. Bounds are single values in the specification's binary form (appendix D). */
export interface DataFile {
  /** The full URI. */
  path: string;
  sizeBytes: bigint;
  recordCount: bigint;
  /** Byte positions of the row groups, ascending. */
  splitOffsets: bigint[];
  columns: ColumnMetrics[];
}

export interface ColumnMetrics {
  fieldId: number;
  sizeBytes: bigint;
  valueCount: bigint;
  nullCount: bigint;
  nanCount?: bigint | undefined;
  lowerBound?: Uint8Array | undefined;
  upperBound?: Uint8Array | undefined;
}

/** The entry that a manifest of an unpartitioned table holds for the file. */
export function toManifestEntry(file: DataFile): ManifestFileEntry {
  return {
    content: 0,
    file_path: file.path,
    file_format: 'PARQUET',
    partition: {},
    record_count: Number(file.recordCount),
    file_size_in_bytes: Number(file.sizeBytes),
    column_sizes: byId(file.columns, (column) => Number(column.sizeBytes)),
    value_counts: byId(file.columns, (column) => Number(column.valueCount)),
    null_value_counts: byId(file.columns, (column) => Number(column.nullCount)),
    nan_value_counts: byId(file.columns, (column) =>
      column.nanCount === undefined ? undefined : Number(column.nanCount),
    ),
    lower_bounds: byId(file.columns, (column) => asBuffer(column.lowerBound)),
    upper_bounds: byId(file.columns, (column) => asBuffer(column.upperBound)),
    key_metadata: null,
    split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets.map(Number),
    equality_ids: null,
    sort_order_id: 0,
  };
}

function byId<T>(columns: ColumnMetrics[], value: (column: ColumnMetrics) => T | undefined): KeyValue<T>[] | null {
  const pairs: KeyValue<T>[] = [];
  for (const column of columns) {
    const found = value(column);
    if (found !== undefined) pairs.push({ key: column.fieldId, value: found });
  }
  return pairs.length === 0 ? null : pairs;
}

// The Avro encoder accepts only Buffers as bytes.
const asBuffer = (bytes: Uint8Array | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
