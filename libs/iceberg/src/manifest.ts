import { randomUUID } from 'node:crypto';
import { MillraceError } from '@millrace/base';
import { readContainer, writeContainer } from './avro-container.ts';
import {
  ENTRY_SCHEMA,
  ENTRY_TYPE,
  fieldSchema,
  LIST_SCHEMA,
  LIST_TYPE,
  type ManifestFile,
  type ManifestFileEntry,
  renamer,
} from './manifest-schema.ts';
import { metadataFolder, type TableFiles } from './table-files.ts';
import { currentSchema, type Snapshot, specById, type TableMetadata } from './table-metadata.ts';

export const EXISTING = 0;
export const ADDED = 1;
export const DELETED = 2;

/** An entry of a manifest. Sequence numbers and snapshot id are inherited from the manifest list when null. */
export interface ManifestEntry {
  status: number;
  snapshot_id: bigint | null;
  sequence_number: number | null;
  file_sequence_number: number | null;
  data_file: ManifestFileEntry;
}

/** What a new manifest belongs to. */
export interface ManifestOrigin {
  files: TableFiles;
  metadata: TableMetadata;
  snapshotId: bigint;
  sequenceNumber: number;
  /** Part of the names of this commit's files. */
  commitId: string;
}

/** Writes a manifest of data files (spec 0, unpartitioned) as `<folder>/<commit id>-m<index>.avro`. */
export async function writeManifest(
  origin: ManifestOrigin,
  index: number,
  entries: ManifestEntry[],
): Promise<ManifestFile> {
  const { metadata } = origin;
  const specId = metadata['default-spec-id'];
  const spec = specById(metadata, specId);
  if (spec.fields.length > 0) {
    throw new MillraceError('unsupported', `manifests of partitioned tables can't be written (${metadata.location})`);
  }
  const schema = currentSchema(metadata);
  const bytes = writeContainer(
    ENTRY_SCHEMA,
    ENTRY_TYPE,
    {
      schema: JSON.stringify(schema),
      'schema-id': String(schema['schema-id']),
      'partition-spec': JSON.stringify(spec.fields),
      'partition-spec-id': String(specId),
      'format-version': '2',
      content: 'data',
    },
    entries,
  );
  const path = `${metadataFolder(metadata)}/${origin.commitId}-m${index}.avro`;
  await origin.files.write(path, bytes);
  return describeManifest(origin, path, bytes.length, specId, entries);
}

function describeManifest(
  origin: ManifestOrigin,
  path: string,
  length: number,
  specId: number,
  entries: ManifestEntry[],
): ManifestFile {
  const counts = [0, 0, 0];
  const rows = [0, 0, 0];
  let oldest = origin.sequenceNumber;
  for (const entry of entries) {
    counts[entry.status]!++;
    rows[entry.status]! += entry.data_file.record_count;
    const sequence = entry.sequence_number ?? origin.sequenceNumber;
    if (entry.status !== DELETED && sequence < oldest) oldest = sequence;
  }
  return {
    manifest_path: path,
    manifest_length: length,
    partition_spec_id: specId,
    content: 0,
    sequence_number: origin.sequenceNumber,
    min_sequence_number: oldest,
    added_snapshot_id: origin.snapshotId,
    added_files_count: counts[ADDED]!,
    existing_files_count: counts[EXISTING]!,
    deleted_files_count: counts[DELETED]!,
    added_rows_count: rows[ADDED]!,
    existing_rows_count: rows[EXISTING]!,
    deleted_rows_count: rows[DELETED]!,
    partitions: [],
    key_metadata: null,
  };
}

/**
 * The entries of a manifest, by any writer, with what they inherit filled in (specification, "Sequence number
 * inheritance"): an added entry takes the manifest's sequence number, and any entry its snapshot id.
 */
export async function readManifest(files: TableFiles, manifest: ManifestFile): Promise<ManifestEntry[]> {
  const container = readContainer(await files.read(manifest.manifest_path), manifest.manifest_path);
  const renameEntry = renamer(container.schema, ENTRY_SCHEMA);
  const written = fieldSchema(container.schema, 2);
  if (written === undefined) throw broken(manifest.manifest_path, 'its entries have no data_file (field id 2)');
  const renameFile = renamer(written, fieldSchema(ENTRY_SCHEMA, 2)!);
  const entries: ManifestEntry[] = [];
  for (const record of container.records) {
    renameEntry?.(record);
    renameFile?.(record['data_file'] as Record<string, unknown>);
    const entry = record as unknown as ManifestEntry;
    const inherits = entry.status === ADDED && entry.sequence_number == null;
    entries.push({
      status: entry.status,
      snapshot_id: entry.snapshot_id ?? manifest.added_snapshot_id,
      // Version 1 has no sequence numbers: 0.
      sequence_number: inherits ? manifest.sequence_number : (entry.sequence_number ?? 0),
      file_sequence_number:
        entry.file_sequence_number ??
        (entry.status === ADDED ? manifest.sequence_number : (entry.sequence_number ?? 0)),
      data_file: withDefaults(entry.data_file),
    });
  }
  return entries;
}

/** Fields that an older writer left out. */
const withDefaults = (file: ManifestFileEntry): ManifestFileEntry => ({
  ...file,
  content: file.content ?? 0,
  column_sizes: file.column_sizes ?? null,
  value_counts: file.value_counts ?? null,
  null_value_counts: file.null_value_counts ?? null,
  nan_value_counts: file.nan_value_counts ?? null,
  lower_bounds: file.lower_bounds ?? null,
  upper_bounds: file.upper_bounds ?? null,
  key_metadata: file.key_metadata ?? null,
  split_offsets: file.split_offsets ?? null,
  equality_ids: file.equality_ids ?? null,
  sort_order_id: file.sort_order_id ?? null,
});

/** Writes a snapshot's manifest list as `<folder>/snap-<snapshot id>-1-<commit id>.avro` and returns its URI. */
export async function writeManifestList(
  origin: ManifestOrigin,
  parentId: bigint | undefined,
  manifests: ManifestFile[],
): Promise<string> {
  const bytes = writeContainer(
    LIST_SCHEMA,
    LIST_TYPE,
    {
      'snapshot-id': String(origin.snapshotId),
      'parent-snapshot-id': parentId === undefined ? 'null' : String(parentId),
      'sequence-number': String(origin.sequenceNumber),
      'format-version': '2',
    },
    manifests,
  );
  const path = `${metadataFolder(origin.metadata)}/snap-${origin.snapshotId}-1-${origin.commitId}.avro`;
  await origin.files.write(path, bytes);
  return path;
}

/** The manifests of a snapshot. Version 1 tables without a manifest list name them in the snapshot itself. */
export async function readManifestList(files: TableFiles, snapshot: Snapshot): Promise<ManifestFile[]> {
  const path = snapshot['manifest-list'];
  if (path === undefined) return (snapshot.manifests ?? []).map((manifest) => bareManifest(manifest, snapshot));
  const container = readContainer(await files.read(path), path);
  const rename = renamer(container.schema, LIST_SCHEMA);
  const manifests: ManifestFile[] = [];
  for (const record of container.records) {
    rename?.(record);
    const found = record as unknown as Partial<ManifestFile>;
    if (found.manifest_path === undefined) throw broken(path, 'an entry has no manifest_path (field id 500)');
    const defaults = bareManifest(found.manifest_path, snapshot);
    const given = Object.entries(found).filter(([, value]) => value != null);
    manifests.push({ ...defaults, ...Object.fromEntries(given) });
  }
  return manifests;
}

const bareManifest = (path: string, snapshot: Snapshot): ManifestFile => ({
  manifest_path: path,
  manifest_length: 0,
  partition_spec_id: 0,
  content: 0,
  sequence_number: 0,
  min_sequence_number: 0,
  added_snapshot_id: snapshot['snapshot-id'],
  added_files_count: 0,
  existing_files_count: 0,
  deleted_files_count: 0,
  added_rows_count: 0,
  existing_rows_count: 0,
  deleted_rows_count: 0,
  partitions: null,
  key_metadata: null,
});

export const newCommitId = (): string => randomUUID();

const broken = (what: string, why: string): MillraceError =>
  new MillraceError('corrupt', `${what} is not an Iceberg manifest: ${why}`, { code: 'manifest-invalid' });
