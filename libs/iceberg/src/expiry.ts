import { readManifest, readManifestList } from './manifest.ts';
import type { TableFiles } from './table-files.ts';
import { MAIN_BRANCH, type Snapshot, type SnapshotRef, snapshotById, type TableMetadata } from './table-metadata.ts';
import type { TableUpdate } from './updates.ts';

export interface ExpiryPolicy {
  /** Snapshots older than this end. */
  olderThanMs: number;
  /** The newest of each branch that stay whatever their age, at least 1. */
  keepCount: number;
  nowMs: number;
}

export interface Expiry {
  snapshotIds: bigint[];
  refs: string[];
}

/**
 * What ends under the policy (specification, "Snapshot retention policy"): a tag keeps its snapshot, a branch its newest ones and
 * the younger of its ancestors, a ref's own settings coming before the policy; refs end by their max-ref-age-ms.
 */
export function selectExpired(metadata: TableMetadata, policy: ExpiryPolicy): Expiry {
  const kept = new Set<bigint>();
  const refs: string[] = [];
  for (const [name, ref] of Object.entries(metadata.refs)) {
    const head = snapshotById(metadata, ref['snapshot-id']);
    const maxAge = ref['max-ref-age-ms'];
    if (name !== MAIN_BRANCH && maxAge !== undefined && (head?.['timestamp-ms'] ?? 0) < policy.nowMs - maxAge) {
      refs.push(name);
    } else if (head !== undefined) {
      for (const id of keptByRef(metadata, ref, head, policy)) kept.add(id);
    }
  }
  const referenced = ancestorsOfAll(metadata);
  const snapshotIds = metadata.snapshots
    .filter((snapshot) => !kept.has(snapshot['snapshot-id']))
    // A snapshot that no ref leads to may be a staged one, so it has its full age too.
    .filter((snapshot) => referenced.has(snapshot['snapshot-id']) || snapshot['timestamp-ms'] < policy.olderThanMs)
    .map((snapshot) => snapshot['snapshot-id']);
  return { snapshotIds, refs };
}

function* keptByRef(
  metadata: TableMetadata,
  ref: SnapshotRef,
  head: Snapshot,
  policy: ExpiryPolicy,
): Generator<bigint> {
  if (ref.type === 'tag') {
    yield head['snapshot-id'];
    return;
  }
  const age = ref['max-snapshot-age-ms'];
  const olderThanMs = age === undefined ? policy.olderThanMs : policy.nowMs - age;
  const keepCount = Math.max(1, ref['min-snapshots-to-keep'] ?? policy.keepCount);
  let count = 0;
  for (const snapshot of ancestors(metadata, head)) {
    if (count++ >= keepCount && snapshot['timestamp-ms'] < olderThanMs) return;
    yield snapshot['snapshot-id'];
  }
}

/** The snapshot and those before it, as far as they are kept. */
export function* ancestors(metadata: TableMetadata, head: Snapshot): Generator<Snapshot> {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]));
  let next: Snapshot | undefined = head;
  while (next !== undefined) {
    yield next;
    const parent: bigint | undefined = next['parent-snapshot-id'];
    byId.delete(next['snapshot-id']);
    next = parent === undefined ? undefined : byId.get(parent);
  }
}

function ancestorsOfAll(metadata: TableMetadata): Set<bigint> {
  const ids = new Set<bigint>();
  for (const ref of Object.values(metadata.refs)) {
    const head = snapshotById(metadata, ref['snapshot-id']);
    if (head === undefined) continue;
    for (const snapshot of ancestors(metadata, head)) ids.add(snapshot['snapshot-id']);
  }
  return ids;
}

export function expiryUpdates({ snapshotIds, refs }: Expiry): TableUpdate[] {
  return [
    ...refs.map((name): TableUpdate => ({ action: 'remove-snapshot-ref', 'ref-name': name })),
    ...(snapshotIds.length === 0 ? [] : [{ action: 'remove-snapshots' as const, 'snapshot-ids': snapshotIds }]),
  ];
}

/** Every metadata file that the table needs: itself, its log, manifest lists, manifests, statistics. URIs. */
export async function metadataFilesOf(
  files: TableFiles,
  metadata: TableMetadata,
  metadataUri: string,
): Promise<Set<string>> {
  const uris = new Set<string>([metadataUri]);
  for (const entry of metadata['metadata-log']) uris.add(entry['metadata-file']);
  for (const file of [...(metadata.statistics ?? []), ...(metadata['partition-statistics'] ?? [])]) {
    uris.add(file['statistics-path']);
  }
  for (const snapshot of metadata.snapshots) {
    if (snapshot['manifest-list'] !== undefined) uris.add(snapshot['manifest-list']);
    for (const manifest of await readManifestList(files, snapshot)) uris.add(manifest.manifest_path);
  }
  return uris;
}

/** Every data and delete file that any snapshot names, each once. */
export async function* dataFilesOf(files: TableFiles, metadata: TableMetadata): AsyncGenerator<string> {
  const manifests = new Set<string>();
  const paths = new Set<string>();
  for (const snapshot of metadata.snapshots) {
    for (const manifest of await readManifestList(files, snapshot)) {
      if (manifests.has(manifest.manifest_path)) continue;
      manifests.add(manifest.manifest_path);
      for (const entry of await readManifest(files, manifest)) {
        const path = entry.data_file.file_path;
        if (paths.has(path)) continue;
        paths.add(path);
        yield path;
      }
    }
  }
}
