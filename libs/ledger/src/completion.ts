import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { isKind, MillraceError } from '@millrace/base';
import type { DataFile, DeadLetterFileSchema } from '@millrace/proto/common';
import { LedgerVersionSchema } from '@millrace/proto/metadata_discovery';
import { staleLease } from './leases.ts';
import type { LedgerDb, LedgerTransaction } from './ledger-database.ts';
import { type DataFileInit, deadLetterRows, fileToRow, toStored } from './stored-file.ts';

export interface CompletedSplit {
  splitId: string;
  epoch: number;
  files: readonly DataFileInit[];
  deadLetters: readonly MessageInitShape<typeof DeadLetterFileSchema>[];
  skippedCount: number;
  /** The latest Kafka timestamp of its records; 0 or absent: unknown. */
  newestRecordMs?: number;
  nowMs: number;
}

/**
 * Stores what a split became (state converted); the next commit of its table takes it. Only the newest lease epoch may
 * (I2), else `stale-lease`; the same call again is harmless. `invalid` when a file's name or offsets can't belong to the
 * split, `conflict` when a path is in the ledger already. Answers the split's topic.
 */
export async function completeSplit(db: LedgerDb, done: CompletedSplit): Promise<{ topic: string; tableUuid: string }> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('splits')
      .innerJoin('tables', 'tables.table_uuid', 'splits.table_uuid')
      .selectAll('splits')
      .select('tables.topic')
      .where('split_id', '=', done.splitId)
      .where('epoch', '=', done.epoch)
      .where('state', '!=', 'pending')
      .executeTakeFirst();
    if (row === undefined) throw staleLease(done.splitId, done.epoch);
    const answer = { topic: row.topic, tableUuid: row.table_uuid };
    if (row.state !== 'leased') return answer;
    const files = done.files.map((file, position) => ({ ...fileToRow(file), position }));
    for (const file of done.files) checkBelongs(file as DataFile, row);
    const deadLetters = done.deadLetters.map((file) => ({ ...file }));
    const rows = deadLetterRows(create(LedgerVersionSchema, { deadLetters }).deadLetters);
    for (const { path } of rows) checkName(path, `_dead_letters/${done.splitId}-`);
    const converted = await trx
      .updateTable('splits')
      .set({
        state: 'converted',
        converted_ms: done.nowMs,
        data_bytes: sum(files, (file) => file.size_bytes),
        stored_bytes: sum(files, (file) => file.body.length + file.column_stats.length),
        skipped_count: toStored(done.skippedCount, 'skipped_count'),
        newest_record_ms: toStored(done.newestRecordMs ?? 0, 'newest_record_ms'),
        dead_letters: toBinary(LedgerVersionSchema, create(LedgerVersionSchema, { deadLetters })),
      })
      .where('split_id', '=', done.splitId)
      .where('epoch', '=', done.epoch)
      .where('state', '=', 'leased')
      .executeTakeFirstOrThrow();
    if (converted.numUpdatedRows !== 1n) throw staleLease(done.splitId, done.epoch);
    await insertFiles(
      trx,
      files.map((file) => ({ ...file, table_uuid: row.table_uuid, split_id: done.splitId, added_version: null })),
    );
    for (const { path } of rows) {
      await trx
        .insertInto('dead_letters')
        .values({ table_uuid: row.table_uuid, path, split_id: done.splitId })
        .execute();
    }
    return answer;
  });
}

export const sum = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((total, item) => total + value(item), 0);

/** Files enter a table once; a path that is there is a `conflict`. */
export async function insertFiles(
  trx: LedgerTransaction,
  rows: (ReturnType<typeof fileToRow> & {
    table_uuid: string;
    split_id: string | null;
    position: number;
    added_version: number | null;
  })[],
): Promise<void> {
  for (const row of rows) {
    try {
      await trx
        .insertInto('files')
        .values({ ...row, removed_version: null, removed_ms: null })
        .execute();
    } catch (error) {
      if (!isKind(error, 'already-exists')) throw error;
      throw new MillraceError('conflict', `file ${row.path} is in the ledger already: a file enters a table once`, {
        code: 'file-known',
        retryable: false,
        context: { path: row.path },
      });
    }
  }
}

function checkBelongs(
  file: DataFile,
  split: { split_id: string; partition: number; start_offset: number; end_offset: number },
): void {
  checkName(file.path, `data/${split.split_id}-`);
  for (const range of file.offsets) {
    if (
      range.partition !== split.partition ||
      Number(range.startOffset) < split.start_offset ||
      Number(range.endOffset) > split.end_offset ||
      range.startOffset > range.endOffset
    ) {
      throw new MillraceError(
        'invalid',
        `${file.path} holds offsets ${range.startOffset} to ${range.endOffset} of partition ${range.partition}, but split ${split.split_id} is partition ${split.partition}, ${split.start_offset} to ${split.end_offset}`,
        { code: 'file-outside-split', context: { path: file.path, splitId: split.split_id } },
      );
    }
  }
}

function checkName(path: string, prefix: string): void {
  if (path.startsWith(prefix)) return;
  throw new MillraceError('invalid', `file ${path} must be named ${prefix}…: clean-up tells by the name whose it is`, {
    code: 'path-invalid',
    context: { path },
  });
}

export const deadLettersOf = (body: Uint8Array | null) =>
  body === null ? [] : fromBinary(LedgerVersionSchema, body).deadLetters;
