import { randomUUID } from 'node:crypto';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import { transact } from '@millrace/database';
import { type SegmentRangeSchema, type Split, SplitSchema } from '@millrace/proto/metadata_discovery';
import type { Selectable } from 'kysely';
import type { LedgerDb, LedgerSchema } from './ledger-database.ts';

export interface PartitionRow {
  partition: number;
  startOffset: number;
  committedOffset: number;
  plannedOffset: number;
  sourceEndOffset: number;
}

/** Offsets [startOffset, endOffset) and where they lie. */
export interface PlannedSplit {
  startOffset: number;
  endOffset: number;
  ranges: MessageInitShape<typeof SegmentRangeSchema>[];
  transactionIndexKeys: string[];
  /** The trace that begins with its plan; default: that of the call. */
  traceparent?: string;
}

export async function listPartitions(db: LedgerDb, tableUuid: string): Promise<PartitionRow[]> {
  const rows = await db
    .selectFrom('partitions')
    .selectAll()
    .where('table_uuid', '=', tableUuid)
    .orderBy('partition')
    .execute();
  return rows.map(toPartition);
}

export const toPartition = (row: Selectable<LedgerSchema['partitions']>): PartitionRow => ({
  partition: row.partition,
  startOffset: row.start_offset,
  committedOffset: row.committed_offset,
  plannedOffset: row.planned_offset,
  sourceEndOffset: row.source_end_offset,
});

/** Makes the partition known; the table covers it from `startOffset`. A partition that is known stays as it is. */
export async function addPartition(
  db: LedgerDb,
  tableUuid: string,
  partition: number,
  startOffset: number,
): Promise<void> {
  await db
    .insertInto('partitions')
    .values({
      table_uuid: tableUuid,
      partition,
      start_offset: startOffset,
      committed_offset: startOffset,
      planned_offset: startOffset,
      source_end_offset: startOffset,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** One past the last offset that the source has shown. It never goes back: the log may lose its tail, not its past. */
export async function setSourceEnd(
  db: LedgerDb,
  tableUuid: string,
  partition: number,
  sourceEndOffset: number,
): Promise<void> {
  await db
    .updateTable('partitions')
    .set({ source_end_offset: sourceEndOffset })
    .where('table_uuid', '=', tableUuid)
    .where('partition', '=', partition)
    .where('source_end_offset', '<', sourceEndOffset)
    .execute();
}

/**
 * Plans contiguous splits that start at the partition's planned offset. Answers their ids; `conflict` when somebody
 * else planned first (the planned offset is compared and swapped).
 */
export async function planSplits(
  db: LedgerDb,
  at: { tableUuid: string; partition: number; nowMs: number; traceparent: string },
  splits: readonly PlannedSplit[],
): Promise<string[]> {
  const [first, last] = [splits[0], splits.at(-1)];
  if (first === undefined || last === undefined) return [];
  for (const [i, split] of splits.entries()) {
    const start = i === 0 ? split.startOffset : splits[i - 1]!.endOffset;
    if (split.startOffset !== start || split.endOffset <= start) {
      throw new MillraceError('internal', `split ${split.startOffset}–${split.endOffset} does not follow ${start}`, {
        code: 'split-not-contiguous',
      });
    }
  }
  const ids = splits.map(() => randomUUID());
  await transact(db, async (trx) => {
    const moved = await trx
      .updateTable('partitions')
      .set({ planned_offset: last.endOffset })
      .where('table_uuid', '=', at.tableUuid)
      .where('partition', '=', at.partition)
      .where('planned_offset', '=', first.startOffset)
      .executeTakeFirstOrThrow();
    if (moved.numUpdatedRows !== 1n) {
      throw new MillraceError(
        'conflict',
        `partition ${at.partition} is not planned up to ${first.startOffset} any more`,
        {
          code: 'plan-conflict',
          context: { partition: at.partition, offset: first.startOffset },
        },
      );
    }
    for (const [i, split] of splits.entries()) {
      await trx
        .insertInto('splits')
        .values({
          split_id: ids[i]!,
          table_uuid: at.tableUuid,
          partition: at.partition,
          start_offset: split.startOffset,
          end_offset: split.endOffset,
          state: 'pending',
          owner: null,
          body: splitBody(split),
          traceparent: split.traceparent ?? at.traceparent,
          created_ms: at.nowMs,
          dead_letters: null,
        })
        .execute();
    }
  });
  return ids;
}

const splitBody = (split: PlannedSplit): Uint8Array =>
  toBinary(
    SplitSchema,
    create(SplitSchema, { ranges: split.ranges, transactionIndexKeys: split.transactionIndexKeys }),
  );

export const splitOfBody = (body: Uint8Array): Split => fromBinary(SplitSchema, body);

/** How many of the newest splits tell what the next will become. */
const YIELD_SPLITS = 8;

/** Bytes of log that the newest committed splits of a table had, and bytes of the data files that they became. */
export async function newestYield(db: LedgerDb, tableUuid: string): Promise<{ logBytes: number; dataBytes: number }> {
  const rows = await db
    .selectFrom('splits')
    .select(['body', 'data_bytes'])
    .where('state', '=', 'committed')
    .where('table_uuid', '=', tableUuid)
    .orderBy('converted_ms', 'desc')
    .limit(YIELD_SPLITS)
    .execute();
  const yielded = { logBytes: 0, dataBytes: 0 };
  for (const { body, data_bytes } of rows) {
    yielded.dataBytes += data_bytes;
    for (const range of splitOfBody(body).ranges) yielded.logBytes += Number(range.endByte - range.startByte);
  }
  return yielded;
}

/** The splits that wait for a converter, with where their bytes were when they were planned. */
export async function listPendingSplits(db: LedgerDb, tableUuid: string) {
  const rows = await db
    .selectFrom('splits')
    .select(['split_id', 'epoch', 'partition', 'start_offset', 'end_offset', 'body'])
    .where('table_uuid', '=', tableUuid)
    .where('state', '=', 'pending')
    .orderBy('partition')
    .orderBy('start_offset')
    .execute();
  return rows.map((row) => ({
    splitId: row.split_id,
    epoch: row.epoch,
    partition: row.partition,
    startOffset: row.start_offset,
    endOffset: row.end_offset,
    split: splitOfBody(row.body),
  }));
}

/** Gives a split that waits new places for the same offsets, after its segments were replaced in the log. */
export async function replanSplit(db: LedgerDb, splitId: string, epoch: number, split: PlannedSplit): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('splits')
    .set({ body: splitBody(split) })
    .where('split_id', '=', splitId)
    .where('state', '=', 'pending')
    .where('epoch', '=', epoch)
    .where('start_offset', '=', split.startOffset)
    .where('end_offset', '=', split.endOffset)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

/**
 * Ends a split that waits and whose offsets the log has lost for good: converted without rows, so that the table can go
 * on after them. False when somebody has leased it meanwhile.
 */
export async function abandonSplit(db: LedgerDb, splitId: string, epoch: number, nowMs: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('splits')
    .set({ state: 'converted', epoch: epoch + 1, converted_ms: nowMs })
    .where('split_id', '=', splitId)
    .where('state', '=', 'pending')
    .where('epoch', '=', epoch)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

/**
 * How much of a table is under way. `committable` is what starts at a partition's committed offset without a gap,
 * `byPartition` how many splits of each wait or are leased.
 */
export async function pendingWork(db: LedgerDb, tableUuid: string) {
  const rows = await db
    .selectFrom('splits')
    .innerJoin('partitions', (join) =>
      join
        .onRef('partitions.table_uuid', '=', 'splits.table_uuid')
        .onRef('partitions.partition', '=', 'splits.partition'),
    )
    .select([
      'splits.partition',
      'splits.start_offset',
      'splits.end_offset',
      'splits.state',
      'splits.data_bytes',
      'splits.converted_ms',
      'partitions.committed_offset',
    ])
    .where('splits.table_uuid', '=', tableUuid)
    .where('splits.state', 'in', ['pending', 'leased', 'converted'])
    .execute();
  // Sorted here: in SQL it leads to an index that has the committed splits of a day as well.
  rows.sort((a, b) => a.partition - b.partition || a.start_offset - b.start_offset);
  const reached = new Map<number, number>();
  const work = { waiting: 0, leased: 0, converted: 0, committable: 0, committableBytes: 0, oldestMs: 0 };
  const byPartition = new Map<number, number>();
  for (const row of rows) {
    if (row.state !== 'converted') byPartition.set(row.partition, (byPartition.get(row.partition) ?? 0) + 1);
    if (row.state === 'pending') work.waiting++;
    else if (row.state === 'leased') work.leased++;
    else work.converted++;
    const next = reached.get(row.partition) ?? row.committed_offset;
    if (row.state === 'converted' && row.start_offset === next) {
      reached.set(row.partition, row.end_offset);
      work.committable++;
      work.committableBytes += row.data_bytes;
      work.oldestMs = work.oldestMs === 0 ? row.converted_ms : Math.min(work.oldestMs, row.converted_ms);
    }
  }
  return { ...work, byPartition };
}
