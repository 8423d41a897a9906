import { formatTableName, MillraceError } from '@millrace/base';
import { transact } from '@millrace/database';
import type { DeadLetterFile } from '@millrace/proto/common';
import { VersionKind } from '@millrace/proto/metadata_discovery';
import { type SharedSpan, startSharedSpan } from '@millrace/telemetry';
import type { Selectable } from 'kysely';
import { deadLettersOf, sum } from './completion.ts';
import type { LedgerDb, LedgerSchema, LedgerTransaction } from './ledger-database.ts';
import { appendVersion, lockTable } from './tables.ts';

export interface Committed {
  version: number;
  /** More splits could be committed: the version was ended by its size. */
  more: boolean;
  recordCount: number;
  fileCount: number;
  sizeBytes: number;
  /** The span "commit version", in the trace of the first of its splits. */
  traceparent: string;
}

/** A version's files are told in one message: about this many bytes of them, then the next version begins. */
const VERSION_BYTES = 1_500_000;
/** A committed split is remembered this long, so that a repeated completion is told that all is well. */
const COMMITTED_SPLITS_MS = 24 * 3_600_000;

type SplitRow = Selectable<LedgerSchema['splits']>;

/**
 * The commit: for every partition the converted splits that follow its committed offset without a gap (I1, I6), as one
 * version (APPEND) with their files in offset order, in one transaction that also ends the splits. Splits without rows
 * move the offsets all the same. undefined: nothing to commit. It continues the traces of its splits; `traceparent` is
 * that of splits without one.
 */
export async function commitTable(
  db: LedgerDb,
  tableUuid: string,
  when: { nowMs: number; traceparent: string },
): Promise<Committed | undefined> {
  let span: SharedSpan | undefined;
  const begin = (taken: readonly SplitRow[], attributes: Record<string, string | number>): SharedSpan => {
    span?.end();
    return (span = startSharedSpan(
      'commit version',
      [...taken.map((split) => split.traceparent), when.traceparent],
      attributes,
    ));
  };
  try {
    return await commitSplits(db, tableUuid, when.nowMs, begin);
  } catch (error) {
    span?.fail(error);
    throw error;
  } finally {
    span?.end();
  }
}

function commitSplits(
  db: LedgerDb,
  tableUuid: string,
  nowMs: number,
  begin: (taken: readonly SplitRow[], attributes: Record<string, string | number>) => SharedSpan,
): Promise<Committed | undefined> {
  return transact(db, async (trx) => {
    const table = await lockTable(trx, tableUuid);
    if (table.dropped === 1) return undefined;
    const { taken, more } = await committable(trx, tableUuid);
    if (taken.length === 0) return undefined;
    const version = table.version + 1;
    const span = begin(taken, {
      'millrace.table': formatTableName(table),
      'millrace.ledger_version': version,
      'millrace.splits': taken.length,
    });
    const [traceparent, ...otherTraceparents] = span.traceparents as [string, ...string[]];
    let fileCount = 0;
    let recordCount = 0;
    let sizeBytes = 0;
    const offsets = new Map<number, { start: number; end: number }>();
    const deadLetters: DeadLetterFile[] = [];
    for (const split of taken) {
      const added = await trx
        .updateTable('files')
        .set((eb) => ({ added_version: version, position: eb('position', '+', fileCount) }))
        .where('split_id', '=', split.split_id)
        .where('added_version', 'is', null)
        .returning(['record_count', 'size_bytes'])
        .execute();
      fileCount += added.length;
      recordCount += sum(added, (file) => file.record_count);
      sizeBytes += sum(added, (file) => file.size_bytes);
      deadLetters.push(...deadLettersOf(split.dead_letters));
      const range = offsets.get(split.partition);
      if (range === undefined) offsets.set(split.partition, { start: split.start_offset, end: split.end_offset });
      else range.end = split.end_offset;
      await endSplit(trx, split, nowMs);
    }
    for (const [partition, range] of offsets) await moveCommitted(trx, tableUuid, partition, range);
    const skipped = sum(taken, (split) => split.skipped_count);
    await appendVersion(trx, table, {
      kind: VersionKind.APPEND,
      nowMs,
      traceparent,
      set: {
        record_count: table.record_count + recordCount,
        file_count: table.file_count + fileCount,
        size_bytes: table.size_bytes + sizeBytes,
        skipped_count: table.skipped_count + skipped,
        dead_letter_count: table.dead_letter_count + sum(deadLetters, (file) => Number(file.recordCount)),
        newest_record_ms: Math.max(table.newest_record_ms, ...taken.map((split) => split.newest_record_ms)),
      },
      body: {
        otherTraceparents,
        offsets: [...offsets].map(([partition, { start, end }]) => ({
          partition,
          startOffset: BigInt(start),
          endOffset: BigInt(end),
        })),
        skippedCount: BigInt(skipped),
        deadLetters,
      },
    });
    await trx.updateTable('topics').set({ last_commit_ms: nowMs }).where('table_uuid', '=', tableUuid).execute();
    await trx
      .deleteFrom('splits')
      .where('table_uuid', '=', tableUuid)
      .where('state', '=', 'committed')
      // What was committed long ago was converted before that: so few are looked at.
      .where('converted_ms', '<=', nowMs - COMMITTED_SPLITS_MS)
      .where('expires_ms', '<=', nowMs)
      .execute();
    return { version, more, recordCount, fileCount, sizeBytes, traceparent };
  });
}

/** For every partition the converted splits from its committed offset on, until the version is large enough. */
async function committable(trx: LedgerTransaction, tableUuid: string): Promise<{ taken: SplitRow[]; more: boolean }> {
  const rows = await trx
    .selectFrom('splits')
    .innerJoin('partitions', (join) =>
      join
        .onRef('partitions.table_uuid', '=', 'splits.table_uuid')
        .onRef('partitions.partition', '=', 'splits.partition'),
    )
    .selectAll('splits')
    .select('partitions.committed_offset')
    .where('splits.table_uuid', '=', tableUuid)
    .where('splits.state', '=', 'converted')
    .execute();
  // Sorted here: in SQL it leads to an index that has the committed splits of a day as well.
  rows.sort((a, b) => a.partition - b.partition || a.start_offset - b.start_offset);
  const next = new Map<number, number>();
  const taken: SplitRow[] = [];
  let storedBytes = 0;
  for (const { committed_offset, ...split } of rows) {
    if (split.start_offset !== (next.get(split.partition) ?? committed_offset)) continue;
    if (taken.length > 0 && storedBytes + split.stored_bytes > VERSION_BYTES) return { taken, more: true };
    storedBytes += split.stored_bytes;
    next.set(split.partition, split.end_offset);
    taken.push(split);
  }
  return { taken, more: false };
}

async function endSplit(trx: LedgerTransaction, split: SplitRow, nowMs: number): Promise<void> {
  const ended = await trx
    .updateTable('splits')
    .set({ state: 'committed', expires_ms: nowMs + COMMITTED_SPLITS_MS })
    .where('split_id', '=', split.split_id)
    .where('state', '=', 'converted')
    .executeTakeFirstOrThrow();
  mustChangeOne(ended.numUpdatedRows, `split ${split.split_id} is not converted any more`);
}

async function moveCommitted(
  trx: LedgerTransaction,
  tableUuid: string,
  partition: number,
  range: { start: number; end: number },
): Promise<void> {
  const moved = await trx
    .updateTable('partitions')
    .set({ committed_offset: range.end })
    .where('table_uuid', '=', tableUuid)
    .where('partition', '=', partition)
    .where('committed_offset', '=', range.start)
    .executeTakeFirstOrThrow();
  mustChangeOne(moved.numUpdatedRows, `partition ${partition} is not committed up to ${range.start} any more`);
}

function mustChangeOne(changed: bigint, message: string): void {
  if (changed !== 1n) throw new MillraceError('conflict', message, { code: 'commit-conflict' });
}
