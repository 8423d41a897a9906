import { type AvroSchemaJson, avroType } from './avro-container.ts';

/**
 * The Avro schemas of manifests and manifest lists, format version 2 (specification, "Manifests" and "Manifest lists").
 * Readers find fields by `field-id`; maps with integer keys are arrays of key-value records.
 */
const optional = (type: unknown): unknown[] => ['null', type];

const field = (id: number, name: string, type: unknown): AvroSchemaJson => ({ name, type, 'field-id': id });

const optionalField = (id: number, name: string, type: unknown): AvroSchemaJson => ({
  name,
  type: optional(type),
  default: null,
  'field-id': id,
});

const intMap = (keyId: number, valueId: number, value: string): AvroSchemaJson => ({
  type: 'array',
  logicalType: 'map',
  items: {
    type: 'record',
    name: `k${keyId}_v${valueId}`,
    fields: [field(keyId, 'key', 'int'), field(valueId, 'value', value)],
  },
});

const list = (elementId: number, items: string): AvroSchemaJson => ({ type: 'array', items, 'element-id': elementId });

/** One Parquet file as a manifest names it; keys are the specification's. */
export interface ManifestFileEntry {
  /** 0 data, 1 position deletes, 2 equality deletes. */
  content: number;
  file_path: string;
  file_format: string;
  partition: Record<string, unknown>;
  record_count: number;
  file_size_in_bytes: number;
  column_sizes: KeyValue<number>[] | null;
  value_counts: KeyValue<number>[] | null;
  null_value_counts: KeyValue<number>[] | null;
  nan_value_counts: KeyValue<number>[] | null;
  lower_bounds: KeyValue<Uint8Array>[] | null;
  upper_bounds: KeyValue<Uint8Array>[] | null;
  key_metadata: Uint8Array | null;
  split_offsets: number[] | null;
  equality_ids: number[] | null;
  sort_order_id: number | null;
}

export interface KeyValue<T> {
  key: number;
  value: T;
}

export const ENTRY_SCHEMA: AvroSchemaJson = {
  type: 'record',
  name: 'manifest_entry',
  fields: [
    field(0, 'status', 'int'),
    optionalField(1, 'snapshot_id', 'long'),
    optionalField(3, 'sequence_number', 'long'),
    optionalField(4, 'file_sequence_number', 'long'),
    field(2, 'data_file', {
      type: 'record',
      name: 'r2',
      fields: [
        field(134, 'content', 'int'),
        field(100, 'file_path', 'string'),
        field(101, 'file_format', 'string'),
        field(102, 'partition', { type: 'record', name: 'r102', fields: [] }),
        field(103, 'record_count', 'long'),
        field(104, 'file_size_in_bytes', 'long'),
        optionalField(108, 'column_sizes', intMap(117, 118, 'long')),
        optionalField(109, 'value_counts', intMap(119, 120, 'long')),
        optionalField(110, 'null_value_counts', intMap(121, 122, 'long')),
        optionalField(137, 'nan_value_counts', intMap(138, 139, 'long')),
        optionalField(125, 'lower_bounds', intMap(126, 127, 'bytes')),
        optionalField(128, 'upper_bounds', intMap(129, 130, 'bytes')),
        optionalField(131, 'key_metadata', 'bytes'),
        optionalField(132, 'split_offsets', list(133, 'long')),
        optionalField(135, 'equality_ids', list(136, 'int')),
        optionalField(140, 'sort_order_id', 'int'),
      ],
    }),
  ],
};

/** One manifest as a manifest list names it. */
export interface ManifestFile {
  manifest_path: string;
  manifest_length: number;
  partition_spec_id: number;
  /** 0 data, 1 deletes. */
  content: number;
  sequence_number: number;
  min_sequence_number: number;
  added_snapshot_id: bigint;
  added_files_count: number;
  existing_files_count: number;
  deleted_files_count: number;
  added_rows_count: number;
  existing_rows_count: number;
  deleted_rows_count: number;
  partitions: unknown[] | null;
  key_metadata: Uint8Array | null;
}

export const LIST_SCHEMA: AvroSchemaJson = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    field(500, 'manifest_path', 'string'),
    field(501, 'manifest_length', 'long'),
    field(502, 'partition_spec_id', 'int'),
    field(517, 'content', 'int'),
    field(515, 'sequence_number', 'long'),
    field(516, 'min_sequence_number', 'long'),
    field(503, 'added_snapshot_id', 'long'),
    field(504, 'added_files_count', 'int'),
    field(505, 'existing_files_count', 'int'),
    field(506, 'deleted_files_count', 'int'),
    field(512, 'added_rows_count', 'long'),
    field(513, 'existing_rows_count', 'long'),
    field(514, 'deleted_rows_count', 'long'),
    optionalField(507, 'partitions', {
      type: 'array',
      'element-id': 508,
      items: {
        type: 'record',
        name: 'r508',
        fields: [
          field(509, 'contains_null', 'boolean'),
          optionalField(518, 'contains_nan', 'boolean'),
          optionalField(510, 'lower_bound', 'bytes'),
          optionalField(511, 'upper_bound', 'bytes'),
        ],
      },
    }),
    optionalField(519, 'key_metadata', 'bytes'),
  ],
};

export const ENTRY_TYPE = avroType(ENTRY_SCHEMA);
export const LIST_TYPE = avroType(LIST_SCHEMA);

interface AvroField {
  name: string;
  type: unknown;
  'field-id'?: number;
}

/**
 * Gives the fields of a record written by another library the specification's names, found by their ids. undefined
 * when the names are the same, as they mostly are.
 */
export function renamer(
  written: AvroSchemaJson,
  wanted: AvroSchemaJson,
): ((record: Record<string, unknown>) => void) | undefined {
  const names = new Map((wanted['fields'] as AvroField[]).map((f) => [f['field-id'], f.name]));
  const changes = (written['fields'] as AvroField[])
    .map((f) => [f.name, names.get(f['field-id'])] as const)
    .filter((pair): pair is [string, string] => pair[1] !== undefined && pair[0] !== pair[1]);
  if (changes.length === 0) return undefined;
  return (record) => {
    for (const [from, to] of changes) {
      record[to] = record[from];
      delete record[from];
    }
  };
}

/** The schema of a record's field by its id, out of a nullable union too. */
export function fieldSchema(schema: AvroSchemaJson, id: number): AvroSchemaJson | undefined {
  const found = (schema['fields'] as AvroField[]).find((f) => f['field-id'] === id)?.type;
  const type = Array.isArray(found) ? found.find((branch) => branch !== 'null') : found;
  return typeof type === 'object' && type !== null ? (type as AvroSchemaJson) : undefined;
}
