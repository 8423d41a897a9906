import { fromBinary } from '@bufbuild/protobuf';
import { formatTableName, MillraceError, type TableName } from '@millrace/base';
import type { DataFile, PartitionOffsets } from '@millrace/proto/common';
import { LedgerVersionSchema } from '@millrace/proto/metadata_discovery';
import { checkMaintenanceEpoch } from './changes.ts';
import type { LedgerDb } from './ledger-database.ts';
import { rowToFile } from './stored-file.ts';
import { findTable, lockTable } from './tables.ts';
import { PAGE_BYTES, readAtOnce } from './versions.ts';

/** Rows read at once while a page fills: bounds memory when files have many columns. */
const CHUNK_ROWS = 200;

export interface FilePage {
  version: number;
  files: DataFile[];
  nextPageToken: string;
  positions: PartitionOffsets[];
}

/**
 * The files live at a version (0: the newest), by path, a page of at most `pageSize` and about 2 MB. `conflict` (code
 * versions-expired, context "oldest") when the version has been expired, `not-found` when it is yet to come.
 */
export const listFiles = (db: LedgerDb, request: FilesRequest): Promise<FilePage> =>
  readAtOnce(db, (trx) => filePage(trx, request));

export interface FilesRequest {
  table: TableName | undefined;
  version: number;
  pageSize: number;
  pageToken: string;
  withoutColumns: boolean;
}

async function filePage(db: LedgerDb, request: FilesRequest): Promise<FilePage> {
  const table = await findTable(db, request.table);
  const version = request.version === 0 ? table.version : request.version;
  const context = { namespace: table.namespace, table: table.name, version, oldest: table.oldest_version };
  if (version > table.version) {
    throw new MillraceError(
      'not-found',
      `${formatTableName(table)} has no version ${version}; the newest is ${table.version}`,
      {
        code: 'version-not-found',
        context,
      },
    );
  }
  if (version < table.oldest_version) {
    throw new MillraceError(
      'conflict',
      `version ${version} of ${formatTableName(table)} has been expired; the oldest is ${table.oldest_version}`,
      { code: 'versions-expired', retryable: false, context },
    );
  }
  const files: DataFile[] = [];
  let after = request.pageToken;
  let bytes = 0;
  let ended = false;
  while (!ended && files.length < request.pageSize && bytes < PAGE_BYTES) {
    const limit = Math.min(CHUNK_ROWS, request.pageSize - files.length);
    const rows = await db
      .selectFrom('files')
      .select(['path', 'body'])
      .$if(!request.withoutColumns, (query) => query.select('column_stats'))
      .where('table_uuid', '=', table.table_uuid)
      .where('path', '>', after)
      .where('added_version', '<=', version)
      .where((eb) => eb.or([eb('removed_version', 'is', null), eb('removed_version', '>', version)]))
      .orderBy('path')
      .limit(limit)
      .execute();
    ended = rows.length < limit;
    for (const row of rows) {
      if (bytes > PAGE_BYTES) {
        ended = false;
        break;
      }
      files.push(rowToFile(row as { body: Uint8Array }));
      bytes += row.body.length + (row.column_stats?.length ?? 0);
      after = row.path;
    }
  }
  const { body } = await db
    .selectFrom('versions')
    .select('body')
    .where('table_uuid', '=', table.table_uuid)
    .where('version', '=', version)
    .executeTakeFirstOrThrow();
  return {
    version,
    files,
    nextPageToken: ended ? '' : after,
    positions: fromBinary(LedgerVersionSchema, body).positions,
  };
}

/** Paths of files that no newer version has and that still exist in the store. */
export async function listRemovedFiles(
  db: LedgerDb,
  request: { table: TableName | undefined; removedBeforeMs: number; removedByVersion: number; pageSize: number },
): Promise<string[]> {
  const { table_uuid: tableUuid } = await findTable(db, request.table);
  const rows = await db
    .selectFrom('files')
    .select('path')
    .where('table_uuid', '=', tableUuid)
    .where('forgotten', '=', 0)
    .where('removed_ms', '<=', request.removedBeforeMs)
    .where('removed_version', '<=', request.removedByVersion)
    .orderBy('removed_version')
    .orderBy('path')
    .limit(request.pageSize)
    .execute();
  return rows.map(({ path }) => path);
}

/** Notes that removed files are gone from the store. A path that is live or unknown is left alone. */
export async function forgetFiles(db: LedgerDb, table: TableName | undefined, paths: readonly string[]): Promise<void> {
  const { table_uuid: tableUuid } = await findTable(db, table);
  for (let i = 0; i < paths.length; i += CHUNK_ROWS) {
    await db
      .updateTable('files')
      .set({ forgotten: 1 })
      .where('table_uuid', '=', tableUuid)
      .where('path', 'in', paths.slice(i, i + CHUNK_ROWS))
      .where('removed_version', 'is not', null)
      .execute();
  }
}

export interface KeptPaths {
  paths: string[];
  prefixes: string[];
  nextPageToken: string;
}

/**
 * What a sweep of orphans must leave: files of the ledger that exist, live or removed, and dead letters, a page at a
 * time; and, in every page, the prefixes under which splits that are not committed may write. A sweep must list the
 * store before it asks: what a split has written by then is either covered by its prefix or, committed since, a path.
 * With a `maintenanceEpoch`, rewrites of older jobs are refused from now on; `conflict` when a newer job has asked.
 */
export async function listKeptPaths(
  db: LedgerDb,
  request: { table: TableName | undefined; pageSize: number; pageToken: string; maintenanceEpoch?: number },
): Promise<KeptPaths> {
  const { table_uuid: tableUuid } = await findTable(db, request.table);
  const epoch = request.maintenanceEpoch ?? 0;
  if (epoch > 0) {
    await db.transaction().execute(async (trx) => {
      const table = await lockTable(trx, tableUuid);
      checkMaintenanceEpoch(table, epoch);
      if (epoch === table.maintenance_epoch) return;
      await trx.updateTable('tables').set({ maintenance_epoch: epoch }).where('table_uuid', '=', tableUuid).execute();
    });
  }
  const splits = await db
    .selectFrom('splits')
    .select('split_id')
    .where('table_uuid', '=', tableUuid)
    .where('state', '!=', 'committed')
    .where('epoch', '>', 0)
    .execute();
  const rows = await db
    .selectFrom('files')
    .select('path')
    .where('table_uuid', '=', tableUuid)
    .where('forgotten', '=', 0)
    .unionAll(db.selectFrom('dead_letters').select('path').where('table_uuid', '=', tableUuid))
    .$call((union) => db.selectFrom(union.as('kept')).select('path'))
    .where('path', '>', request.pageToken)
    .orderBy('path')
    .limit(request.pageSize)
    .execute();
  return {
    paths: rows.map(({ path }) => path),
    prefixes: splits.flatMap(({ split_id }) => [`data/${split_id}-`, `_dead_letters/${split_id}-`]),
    nextPageToken: rows.length === request.pageSize ? rows.at(-1)!.path : '',
  };
}
