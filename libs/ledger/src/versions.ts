import { create, fromBinary } from '@bufbuild/protobuf';
import { formatTableName, MillraceError, type TableName } from '@millrace/base';
import { TableRefSchema } from '@millrace/proto/common';
import { type LedgerVersion, LedgerVersionSchema, VersionKind } from '@millrace/proto/metadata_discovery';
import { sum } from './completion.ts';
import type { LedgerDb } from './ledger-database.ts';
import { rowToFile } from './stored-file.ts';
import { findTable, isSchemaKind, lockTable, type TableRow } from './tables.ts';

/** A page of versions or files ends near this size, so that it fits a message. */
export const PAGE_BYTES = 2_000_000;

export interface VersionPage {
  versions: LedgerVersion[];
  more: boolean;
}

/**
 * Versions after one, ascending, with their files unless `withoutFiles`; a page ends after `pageSize` versions or about
 * 2 MB. `conflict` (code versions-expired, context "oldest") when the next one has been expired.
 */
export const listVersions = (db: LedgerDb, request: VersionsRequest): Promise<VersionPage> =>
  readAtOnce(db, (trx) => versionPage(trx, request));

export interface VersionsRequest {
  table: TableName | undefined;
  afterVersion: number;
  pageSize: number;
  withoutFiles: boolean;
}

/** Several reads that see one state of the database, whatever is committed meanwhile. */
export const readAtOnce = <T>(db: LedgerDb, read: (trx: LedgerDb) => Promise<T>): Promise<T> =>
  db.transaction().setAccessMode('read only').setIsolationLevel('repeatable read').execute(read);

async function versionPage(db: LedgerDb, request: VersionsRequest): Promise<VersionPage> {
  const table = await findTable(db, request.table);
  if (request.afterVersion + 1 < table.oldest_version) {
    throw new MillraceError(
      'conflict',
      `version ${request.afterVersion + 1} of ${formatTableName(table)} has been expired; the oldest is ${table.oldest_version}: list the files at a version instead`,
      { code: 'versions-expired', retryable: false, context: { oldest: table.oldest_version } },
    );
  }
  const rows = await db
    .selectFrom('versions')
    .leftJoin('table_schemas', (join) =>
      join
        .onRef('table_schemas.table_uuid', '=', 'versions.table_uuid')
        .onRef('table_schemas.schema_id', '=', 'versions.schema_id'),
    )
    .select(['versions.version', 'versions.kind', 'versions.body', 'table_schemas.schema_json'])
    .where('versions.table_uuid', '=', table.table_uuid)
    .where('versions.version', '>', request.afterVersion)
    .orderBy('versions.version')
    .limit(request.pageSize + 1)
    .execute();
  const versions: VersionPage['versions'] = [];
  let bytes = 0;
  for (const row of rows.slice(0, request.pageSize)) {
    const version = fromBinary(LedgerVersionSchema, row.body);
    version.table = create(TableRefSchema, { namespace: table.namespace, name: table.name });
    version.version = BigInt(row.version);
    if (isSchemaKind(row.kind)) version.tableSchemaJson = row.schema_json ?? '';
    bytes += row.body.length + version.tableSchemaJson.length;
    if (!request.withoutFiles) {
      const files = await filesOf(db, table, row);
      bytes += files.bytes;
      version.added = files.added;
      version.removed = files.removed;
    }
    if (versions.length > 0 && bytes > PAGE_BYTES) return { versions, more: true };
    versions.push(version);
  }
  return { versions, more: rows.length > versions.length };
}

async function filesOf(db: LedgerDb, table: TableRow, row: { version: number; kind: number }) {
  const added = await db
    .selectFrom('files')
    .select(['body', 'column_stats'])
    .where('table_uuid', '=', table.table_uuid)
    .where('added_version', '=', row.version)
    .orderBy('position')
    .execute();
  // A dropped table's files are too many to tell, and nobody needs them told.
  const removed =
    row.kind === VersionKind.DROP
      ? []
      : await db
          .selectFrom('files')
          .select('body')
          .where('table_uuid', '=', table.table_uuid)
          .where('removed_version', '=', row.version)
          .orderBy('path')
          .execute();
  const bytes =
    sum(added, (file) => file.body.length + file.column_stats.length) + sum(removed, (file) => file.body.length);
  return { added: added.map(rowToFile), removed: removed.map(rowToFile), bytes };
}

/** The newest version of every table, by name: of namesakes the one that lives, or the last that was dropped. */
export async function newestVersions(
  db: LedgerDb,
): Promise<{ tableUuid: string; table: TableName; version: number }[]> {
  const rows = await db
    .selectFrom('tables')
    .select(['table_uuid', 'namespace', 'name', 'version'])
    .orderBy('dropped', 'desc')
    .orderBy('created_ms')
    .execute();
  // The last of a name wins: dropped ones come first, by age.
  const byName = new Map(
    rows.map((row) => [
      `${row.namespace}/${row.name}`,
      {
        tableUuid: row.table_uuid,
        table: { namespace: row.namespace, name: row.name },
        version: row.version,
      },
    ]),
  );
  return [...byName.values()];
}

/**
 * Forgets the versions made before `beforeMs`, none after `beforeVersion` and never the newest. The oldest that is kept
 * carries the positions that the ones before it reached, so offsets stay proved from there. Rows of files that are gone
 * from the store and from every version go with them. Answers how many versions went.
 */
export async function expireVersions(
  db: LedgerDb,
  request: { table: TableName | undefined; beforeMs: number; beforeVersion: number },
): Promise<number> {
  const { table_uuid: tableUuid } = await findTable(db, request.table);
  return db.transaction().execute(async (trx) => {
    const table = await lockTable(trx, tableUuid);
    const young = await trx
      .selectFrom('versions')
      .select((eb) => eb.fn.min('version').as('version'))
      .where('table_uuid', '=', tableUuid)
      .where('created_ms', '>=', request.beforeMs)
      .executeTakeFirst();
    const oldest = Math.min(young?.version ?? table.version, request.beforeVersion + 1, table.version);
    if (oldest <= table.oldest_version) return 0;
    await trx.deleteFrom('versions').where('table_uuid', '=', tableUuid).where('version', '<', oldest).execute();
    await trx.deleteFrom('version_offsets').where('table_uuid', '=', tableUuid).where('version', '<', oldest).execute();
    await trx.deleteFrom('proposals').where('table_uuid', '=', tableUuid).where('version', '<', oldest).execute();
    await trx
      .deleteFrom('files')
      .where('table_uuid', '=', tableUuid)
      .where('forgotten', '=', 1)
      .where('removed_version', '<', oldest)
      .execute();
    await trx.updateTable('tables').set({ oldest_version: oldest }).where('table_uuid', '=', tableUuid).execute();
    return oldest - table.oldest_version;
  });
}
