import { MillraceError } from '@millrace/base';
import { parseJson, stringifyJson } from './json.ts';
import { bindSpec, LAST_PARTITION_ID, type PartitionSpec, type SortOrder, UNSORTED } from './partitioning.ts';
import { highestFieldId, type SchemaJson } from './schema-json.ts';

/**
 * Table metadata with the keys of the specification ("Table metadata", appendix C), snapshot ids as bigint. Lists and
 * `refs` are always there, whatever the version that was read. Keys that we don't know stay.
 */
export interface TableMetadata {
  'format-version': number;
  'table-uuid': string;
  location: string;
  'last-sequence-number': number;
  'last-updated-ms': number;
  'last-column-id': number;
  'current-schema-id': number;
  schemas: SchemaJson[];
  'default-spec-id': number;
  'partition-specs': PartitionSpec[];
  'last-partition-id': number;
  'default-sort-order-id': number;
  'sort-orders': SortOrder[];
  properties: Record<string, string>;
  'current-snapshot-id'?: bigint;
  snapshots: Snapshot[];
  'snapshot-log': SnapshotLogEntry[];
  'metadata-log': MetadataLogEntry[];
  refs: Record<string, SnapshotRef>;
  statistics?: StatisticsFile[];
  'partition-statistics'?: StatisticsFile[];
  /** Version 3. */
  'next-row-id'?: number;
  [key: string]: unknown;
}

export interface Snapshot {
  'snapshot-id': bigint;
  'parent-snapshot-id'?: bigint;
  'sequence-number': number;
  'timestamp-ms': number;
  /** Absent only in version 1, which may list `manifests` instead. */
  'manifest-list'?: string;
  manifests?: string[];
  summary: SnapshotSummary;
  'schema-id'?: number;
  'first-row-id'?: number;
  'added-rows'?: number;
  [key: string]: unknown;
}

export interface SnapshotSummary {
  operation: 'append' | 'replace' | 'overwrite' | 'delete';
  [key: string]: string;
}

export interface SnapshotRef {
  'snapshot-id': bigint;
  type: 'branch' | 'tag';
  'min-snapshots-to-keep'?: number;
  'max-snapshot-age-ms'?: number;
  'max-ref-age-ms'?: number;
}

export interface SnapshotLogEntry {
  'snapshot-id': bigint;
  'timestamp-ms': number;
}

export interface MetadataLogEntry {
  'metadata-file': string;
  'timestamp-ms': number;
}

export interface StatisticsFile {
  'snapshot-id': bigint;
  'statistics-path': string;
  [key: string]: unknown;
}

export const MAIN_BRANCH = 'main';
export const MAX_FORMAT_VERSION = 3;

/** Reads metadata of version 1, 2 or 3; what version 1 lacks is filled in ("Version 2" changes, appendix E). */
export function parseTableMetadata(text: string, what: string): TableMetadata {
  const value = parseJson(text, what);
  if (typeof value !== 'object' || value === null) throw corrupt(what, 'it is no object');
  return normalizeMetadata(value as Record<string, unknown>, what);
}

function normalizeMetadata(json: Record<string, unknown>, what: string): TableMetadata {
  const version = json['format-version'];
  if (version !== 1 && version !== 2 && version !== 3) {
    throw new MillraceError(
      'unsupported',
      `${what} has format version ${String(version)}; versions 1 to 3 can be read`,
    );
  }
  if (typeof json['location'] !== 'string') throw corrupt(what, 'location is missing');
  const {
    schema: v1Schema,
    'partition-spec': v1Spec,
    ...rest
  } = json as Partial<TableMetadata> & { schema?: SchemaJson; 'partition-spec'?: PartitionSpec['fields'] };
  const schemas =
    rest.schemas ?? (v1Schema === undefined ? [] : [{ ...v1Schema, 'schema-id': v1Schema['schema-id'] ?? 0 }]);
  if (schemas.length === 0) throw corrupt(what, 'it has no schema');
  const specs = rest['partition-specs'] ?? [bindSpec({ 'spec-id': 0, fields: v1Spec ?? [] }, [], LAST_PARTITION_ID)];
  const current = rest['current-snapshot-id'];
  const hasCurrent = current != null && current >= 0n;
  const { 'current-snapshot-id': _, ...kept } = rest;
  return {
    ...kept,
    'format-version': version,
    'table-uuid': rest['table-uuid'] ?? '',
    location: json['location'],
    'last-sequence-number': rest['last-sequence-number'] ?? 0,
    'last-updated-ms': rest['last-updated-ms'] ?? 0,
    'last-column-id': rest['last-column-id'] ?? Math.max(...schemas.map(highestFieldId)),
    'current-schema-id': rest['current-schema-id'] ?? schemas[0]!['schema-id'],
    schemas,
    'default-spec-id': rest['default-spec-id'] ?? specs[0]!['spec-id'],
    'partition-specs': specs,
    'last-partition-id': rest['last-partition-id'] ?? highestPartitionId(specs),
    'default-sort-order-id': rest['default-sort-order-id'] ?? 0,
    'sort-orders': rest['sort-orders'] ?? [UNSORTED],
    properties: rest.properties ?? {},
    ...(hasCurrent ? { 'current-snapshot-id': current } : {}),
    snapshots: (rest.snapshots ?? []).map((snapshot) => ({
      ...snapshot,
      'sequence-number': snapshot['sequence-number'] ?? 0,
      summary: snapshot.summary ?? { operation: 'append' },
    })),
    'snapshot-log': rest['snapshot-log'] ?? [],
    'metadata-log': rest['metadata-log'] ?? [],
    refs: rest.refs ?? (hasCurrent ? { [MAIN_BRANCH]: { 'snapshot-id': current, type: 'branch' } } : {}),
  };
}

/** Metadata as a file holds it, in the format version that it names. */
export function serializeTableMetadata(metadata: TableMetadata): string {
  if (metadata['format-version'] > 1) return stringifyJson(metadata);
  // Version 1 asks for these two beside the lists, and knows no sequence numbers.
  const { 'last-sequence-number': _, ...rest } = metadata;
  const snapshots = metadata.snapshots.map(({ 'sequence-number': __, ...snapshot }) => snapshot);
  return stringifyJson({
    ...rest,
    snapshots,
    schema: currentSchema(metadata),
    'partition-spec': defaultSpec(metadata).fields,
  });
}

export const highestPartitionId = (specs: PartitionSpec[]): number =>
  Math.max(LAST_PARTITION_ID, ...specs.flatMap((spec) => spec.fields.map((field) => field['field-id'] ?? 0)));

export function currentSchema(metadata: TableMetadata): SchemaJson {
  return schemaById(metadata, metadata['current-schema-id']);
}

export function schemaById(metadata: TableMetadata, id: number): SchemaJson {
  const schema = metadata.schemas.find((candidate) => candidate['schema-id'] === id);
  if (schema === undefined) throw corrupt(`metadata of ${metadata.location}`, `schema ${id} is missing`);
  return schema;
}

export function defaultSpec(metadata: TableMetadata): PartitionSpec {
  return specById(metadata, metadata['default-spec-id']);
}

export function specById(metadata: TableMetadata, id: number): PartitionSpec {
  const spec = metadata['partition-specs'].find((candidate) => candidate['spec-id'] === id);
  if (spec === undefined) throw corrupt(`metadata of ${metadata.location}`, `partition spec ${id} is missing`);
  return spec;
}

/** The newest snapshot of the main branch, undefined for an empty table. */
export function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  const id = metadata['current-snapshot-id'];
  return id === undefined ? undefined : snapshotById(metadata, id);
}

export const snapshotById = (metadata: TableMetadata, id: bigint): Snapshot | undefined =>
  metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === id);

const corrupt = (what: string, why: string): MillraceError =>
  new MillraceError('corrupt', `${what} is not valid Iceberg table metadata: ${why}`, { code: 'metadata-invalid' });
