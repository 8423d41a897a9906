import { MillraceError } from '@millrace/base';
import type { CommitProgress } from './apply-updates.ts';
import { MAIN_BRANCH, type Snapshot, type SnapshotRef, snapshotById, type TableMetadata } from './table-metadata.ts';
import type { TableUpdate } from './updates.ts';

/** The updates that concern snapshots, refs and statistics. */
export type SnapshotUpdate = Extract<
  TableUpdate,
  {
    action:
      | 'add-snapshot'
      | 'set-snapshot-ref'
      | 'remove-snapshots'
      | 'remove-snapshot-ref'
      | 'set-statistics'
      | 'remove-statistics'
      | 'set-partition-statistics'
      | 'remove-partition-statistics';
  }
>;

export function applySnapshotUpdate(progress: CommitProgress, update: SnapshotUpdate): void {
  const { metadata } = progress;
  switch (update.action) {
    case 'add-snapshot':
      addSnapshot(progress, update.snapshot);
      return;
    case 'set-snapshot-ref': {
      const { action: _, 'ref-name': name, ...ref } = update;
      setRef(progress, name, ref);
      return;
    }
    case 'remove-snapshots':
      removeSnapshots(progress, new Set(update['snapshot-ids'].map(BigInt)));
      return;
    case 'remove-snapshot-ref':
      removeRef(metadata, update['ref-name']);
      return;
    case 'set-statistics':
      replaceStatistics(metadata, 'statistics', update.statistics['snapshot-id'], update.statistics);
      return;
    case 'remove-statistics':
      replaceStatistics(metadata, 'statistics', update['snapshot-id']);
      return;
    case 'set-partition-statistics': {
      const file = update['partition-statistics'];
      replaceStatistics(metadata, 'partition-statistics', file['snapshot-id'], file);
      return;
    }
    case 'remove-partition-statistics':
      replaceStatistics(metadata, 'partition-statistics', update['snapshot-id']);
      return;
    default:
      throw invalid(`unknown update ${String((update as { action: unknown }).action)}`);
  }
}

function addSnapshot(progress: CommitProgress, snapshot: Snapshot): void {
  const { metadata } = progress;
  const id = snapshot['snapshot-id'];
  const version = metadata['format-version'];
  if (snapshotById(metadata, id) !== undefined) throw invalid(`Snapshot already exists for id: ${id}`);
  if (version >= 2) {
    const sequence = snapshot['sequence-number'];
    if (sequence <= metadata['last-sequence-number'] && snapshot['parent-snapshot-id'] !== undefined) {
      // Another writer's snapshot came first: the client has to write its own anew.
      throw new MillraceError(
        'conflict',
        `Cannot add snapshot with sequence number ${sequence} older than last sequence number ${metadata['last-sequence-number']}`,
        { code: 'CommitFailedException' },
      );
    }
    metadata['last-sequence-number'] = sequence;
  }
  if (version >= 3) assignRows(metadata, snapshot);
  metadata.snapshots = [...metadata.snapshots, { ...snapshot, 'sequence-number': snapshot['sequence-number'] ?? 0 }];
  progress.addedSnapshots.add(id);
  progress.updatedMs = snapshot['timestamp-ms'];
}

/** Row lineage (version 3): a snapshot claims the ids [first-row-id, first-row-id + added-rows). */
function assignRows(metadata: TableMetadata, snapshot: Snapshot): void {
  const next = metadata['next-row-id'] ?? 0;
  const first = snapshot['first-row-id'];
  if (first == null) throw invalid('Cannot add a snapshot: first-row-id is null');
  if (first < next) {
    throw new MillraceError(
      'conflict',
      `Cannot add a snapshot, first-row-id is behind table next-row-id: ${first} < ${next}`,
      {
        code: 'CommitFailedException',
      },
    );
  }
  metadata['next-row-id'] = next + (snapshot['added-rows'] ?? 0);
}

function setRef(progress: CommitProgress, name: string, ref: SnapshotRef): void {
  const { metadata } = progress;
  const id = ref['snapshot-id'];
  const snapshot = snapshotById(metadata, id);
  if (snapshot === undefined) throw invalid(`Cannot set ${name} to unknown snapshot: ${id}`);
  if (name === MAIN_BRANCH && ref.type !== 'branch') throw invalid('main must be a branch');
  const before = metadata.refs[name];
  metadata.refs = { ...metadata.refs, [name]: ref };
  if (name !== MAIN_BRANCH || before?.['snapshot-id'] === id) return;
  const timestamp = progress.addedSnapshots.has(id) ? snapshot['timestamp-ms'] : progress.nowMs;
  progress.updatedMs = timestamp;
  metadata['current-snapshot-id'] = id;
  metadata['snapshot-log'] = [...metadata['snapshot-log'], { 'snapshot-id': id, 'timestamp-ms': timestamp }];
}

function removeSnapshots(progress: CommitProgress, ids: ReadonlySet<bigint>): void {
  const { metadata } = progress;
  const kept = metadata.snapshots.filter((snapshot) => !ids.has(snapshot['snapshot-id']));
  if (kept.length === metadata.snapshots.length) return;
  progress.removedSnapshots = true;
  metadata.snapshots = kept;
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (ids.has(ref['snapshot-id'])) removeRef(metadata, name);
  }
  for (const key of ['statistics', 'partition-statistics'] as const) {
    const files = metadata[key];
    if (files !== undefined) metadata[key] = files.filter((file) => !ids.has(file['snapshot-id']));
  }
}

function removeRef(metadata: TableMetadata, name: string): void {
  metadata.refs = Object.fromEntries(Object.entries(metadata.refs).filter(([other]) => other !== name));
  // The log stays: a table that is being replaced keeps its history.
  if (name === MAIN_BRANCH) delete metadata['current-snapshot-id'];
}

function replaceStatistics(
  metadata: TableMetadata,
  key: 'statistics' | 'partition-statistics',
  id: bigint,
  file?: NonNullable<TableMetadata['statistics']>[number],
): void {
  const others = (metadata[key] ?? []).filter((other) => other['snapshot-id'] !== id);
  metadata[key] = file === undefined ? others : [...others, file];
}

/**
 * The log keeps what was current: snapshots that one commit made current only in passing are left out, and history that
 * would have a gap because of a removed snapshot starts after it.
 */
export function trimSnapshotLog({ metadata, addedSnapshots, removedSnapshots }: CommitProgress): void {
  const ids = new Set(metadata.snapshots.map((snapshot) => snapshot['snapshot-id']));
  let log: TableMetadata['snapshot-log'] = [];
  for (const entry of metadata['snapshot-log']) {
    const id = entry['snapshot-id'];
    if (!ids.has(id)) {
      if (removedSnapshots) log = [];
    } else if (!addedSnapshots.has(id) || id === metadata['current-snapshot-id']) {
      log.push(entry);
    }
  }
  metadata['snapshot-log'] = log;
}

const invalid = (message: string): MillraceError =>
  new MillraceError('invalid', message, { code: 'ValidationException' });
