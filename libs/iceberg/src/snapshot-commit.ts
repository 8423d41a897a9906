import { randomBytes } from 'node:crypto';
import { MillraceError } from '@millrace/base';
import { type DataFile, toManifestEntry } from './data-file.ts';
import {
  ADDED,
  DELETED,
  EXISTING,
  type ManifestEntry,
  type ManifestOrigin,
  newCommitId,
  readManifest,
  readManifestList,
  writeManifest,
  writeManifestList,
} from './manifest.ts';
import type { ManifestFile } from './manifest-schema.ts';
import { SummaryTotals } from './snapshot-summary.ts';
import type { TableFiles } from './table-files.ts';
import {
  currentSnapshot,
  MAIN_BRANCH,
  type Snapshot,
  type SnapshotSummary,
  type TableMetadata,
} from './table-metadata.ts';
import type { TableUpdate } from './updates.ts';

/** A change of a table's data files on the main branch. */
export interface DataChange {
  operation: SnapshotSummary['operation'];
  /** Pages of new files. A file that is live already (by path) stays as it is. */
  added: AsyncIterable<DataFile[]> | Iterable<DataFile[]>;
  /** URIs of live files to remove; a `conflict` when one is not live. "others": every live file that is not in `added`. */
  removed: ReadonlySet<string> | 'others';
  /** Beside the counts that are always there. */
  summary: Record<string, string>;
}

export interface PreparedSnapshot {
  snapshot: Snapshot;
  updates: TableUpdate[];
  /** URIs that were written: to be removed when the commit is refused. */
  written: string[];
}

/** More manifests than this, and the small ones are merged. */
const MANIFESTS_BEFORE_MERGE = 100;
/** Manifests grow up to about this size. */
const MANIFEST_TARGET_BYTES = 8 * 1024 * 1024;
/** … and hold about so many entries: what one commit reads and writes stays bounded. */
const ENTRIES_PER_MANIFEST = 10_000;

/** Positive, 63 bits, as the specification asks of snapshot ids. */
export const newSnapshotId = (): bigint => (randomBytes(8).readBigUInt64BE() >> 1n) | 1n;

/**
 * Writes the manifests and the manifest list of the table's next snapshot; nothing is visible until the returned
 * updates are committed. An append writes one manifest and reads none but the parent's list (and, now and then, the small
 * manifests that it merges); a removal rewrites just the manifests that name the removed files.
 */
export async function prepareSnapshot(
  files: TableFiles,
  metadata: TableMetadata,
  change: DataChange,
  nowMs: number,
): Promise<PreparedSnapshot> {
  const written: string[] = [];
  const recording: TableFiles = {
    ...files,
    write: async (uri, bytes) => {
      await files.write(uri, bytes);
      written.push(uri);
    },
  };
  const parent = currentSnapshot(metadata);
  const origin: ManifestOrigin = {
    files: recording,
    metadata,
    snapshotId: newSnapshotId(),
    sequenceNumber: metadata['last-sequence-number'] + 1,
    commitId: newCommitId(),
  };
  try {
    const manifests = parent === undefined ? [] : (await readManifestList(files, parent)).filter(hasLiveFiles);
    const totals = new SummaryTotals(parent?.summary);
    const writer = new ManifestWriter(origin);
    const live = change.removed === 'others' ? await livePaths(files, manifests) : undefined;
    const fresh = await addFiles(writer, change.added, totals, live);
    const removed = live ?? (change.removed as ReadonlySet<string>);
    const kept = removed.size === 0 ? manifests : await removeFiles(writer, files, manifests, removed, totals);
    const merged = await mergeManifests(writer, files, kept);
    const list = await writeManifestList(origin, parent?.['snapshot-id'], [...fresh, ...merged]);
    const snapshot: Snapshot = {
      'snapshot-id': origin.snapshotId,
      ...(parent === undefined ? {} : { 'parent-snapshot-id': parent['snapshot-id'] }),
      'sequence-number': origin.sequenceNumber,
      // Clocks may step back; a table's time does not.
      'timestamp-ms': Math.max(nowMs, metadata['last-updated-ms']),
      'manifest-list': list,
      summary: { operation: change.operation, ...totals.summary(), ...change.summary },
      'schema-id': metadata['current-schema-id'],
    };
    const updates: TableUpdate[] = [
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', 'ref-name': MAIN_BRANCH, type: 'branch', 'snapshot-id': origin.snapshotId },
    ];
    return { snapshot, updates, written };
  } catch (error) {
    await Promise.allSettled(written.map((uri) => files.remove(uri)));
    throw error;
  }
}

/** False: it only tells what its own snapshot deleted, which later snapshots need not repeat. */
const hasLiveFiles = (manifest: ManifestFile): boolean =>
  manifest.deleted_files_count === 0 || manifest.added_files_count + manifest.existing_files_count > 0;

class ManifestWriter {
  private index = 0;
  readonly origin: ManifestOrigin;

  constructor(origin: ManifestOrigin) {
    this.origin = origin;
  }

  write(entries: ManifestEntry[]): Promise<ManifestFile> {
    return writeManifest(this.origin, this.index++, entries);
  }
}

async function livePaths(files: TableFiles, manifests: ManifestFile[]): Promise<Set<string>> {
  const paths = new Set<string>();
  for (const manifest of manifests) {
    for (const entry of await readManifest(files, manifest)) {
      if (entry.status !== DELETED) paths.add(entry.data_file.file_path);
    }
  }
  return paths;
}

/** Paths that are live already are taken out of `live` instead of being added again. */
async function addFiles(
  writer: ManifestWriter,
  pages: DataChange['added'],
  totals: SummaryTotals,
  live: Set<string> | undefined,
): Promise<ManifestFile[]> {
  const manifests: ManifestFile[] = [];
  let entries: ManifestEntry[] = [];
  const flush = async (): Promise<void> => {
    if (entries.length > 0) manifests.push(await writer.write(entries));
    entries = [];
  };
  for await (const page of pages) {
    for (const file of page) {
      if (live?.delete(file.path)) continue;
      entries.push({
        status: ADDED,
        snapshot_id: writer.origin.snapshotId,
        sequence_number: null,
        file_sequence_number: null,
        data_file: toManifestEntry(file),
      });
      totals.added(file.recordCount, file.sizeBytes);
      if (entries.length >= ENTRIES_PER_MANIFEST) await flush();
    }
  }
  await flush();
  return manifests;
}

/** Manifests that name removed files are written anew: those entries as deleted, the others as existing. */
async function removeFiles(
  writer: ManifestWriter,
  files: TableFiles,
  manifests: ManifestFile[],
  removed: ReadonlySet<string>,
  totals: SummaryTotals,
): Promise<ManifestFile[]> {
  const missing = new Set(removed);
  const result: ManifestFile[] = [];
  for (const manifest of manifests) {
    const entries = missing.size === 0 || manifest.content !== 0 ? [] : await readManifest(files, manifest);
    const live = entries.filter((entry) => entry.status !== DELETED);
    if (!live.some((entry) => missing.has(entry.data_file.file_path))) {
      result.push(manifest);
      continue;
    }
    const rewritten = live.map((entry): ManifestEntry => {
      if (!missing.delete(entry.data_file.file_path)) return { ...entry, status: EXISTING };
      totals.removed(BigInt(entry.data_file.record_count), BigInt(entry.data_file.file_size_in_bytes));
      return { ...entry, status: DELETED, snapshot_id: writer.origin.snapshotId };
    });
    result.push(await writer.write(rewritten));
  }
  if (missing.size > 0) {
    const [first] = missing;
    throw new MillraceError('conflict', `${missing.size} files to be removed are not in the table, such as ${first}`, {
      code: 'file-not-live',
      context: { path: first },
    });
  }
  return result;
}

/** Joins small manifests of earlier snapshots, oldest first, so that their number stays bounded. */
async function mergeManifests(
  writer: ManifestWriter,
  files: TableFiles,
  manifests: ManifestFile[],
): Promise<ManifestFile[]> {
  const { snapshotId } = writer.origin;
  const mergeable = (manifest: ManifestFile): boolean =>
    manifest.content === 0 &&
    manifest.added_snapshot_id !== snapshotId &&
    manifest.partition_spec_id === writer.origin.metadata['default-spec-id'] &&
    manifest.manifest_length < MANIFEST_TARGET_BYTES / 2 &&
    manifest.added_files_count + manifest.existing_files_count < ENTRIES_PER_MANIFEST / 2;
  const small = manifests.filter(mergeable);
  if (small.length <= MANIFESTS_BEFORE_MERGE) return manifests;
  const merged: ManifestFile[] = [];
  let entries: ManifestEntry[] = [];
  let bytes = 0;
  for (const manifest of small.reverse()) {
    const live = (await readManifest(files, manifest)).filter((entry) => entry.status !== DELETED);
    for (const entry of live) entries.push({ ...entry, status: EXISTING });
    bytes += manifest.manifest_length;
    if (bytes >= MANIFEST_TARGET_BYTES || entries.length >= ENTRIES_PER_MANIFEST) {
      if (entries.length > 0) merged.unshift(await writer.write(entries));
      entries = [];
      bytes = 0;
    }
  }
  if (entries.length > 0) merged.unshift(await writer.write(entries));
  return [...manifests.filter((manifest) => !mergeable(manifest)), ...merged];
}
