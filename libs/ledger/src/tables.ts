import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { formatTableName, MillraceError, type TableName } from '@millrace/base';
import type { TableFormat } from '@millrace/proto/common';
import {
  type LedgerTableSchema,
  type LedgerVersion,
  LedgerVersionSchema,
  VersionKind,
} from '@millrace/proto/metadata_discovery';
import type { Selectable } from 'kysely';
import type { LedgerDb, LedgerSchema, LedgerTransaction } from './ledger-database.ts';

export type TableRow = Selectable<LedgerSchema['tables']>;

/** The newest table of this name, a dropped one included; `not-found` when there never was one. */
export async function findTable(db: LedgerDb, table: TableName | undefined): Promise<TableRow> {
  const name = { namespace: table?.namespace ?? '', name: table?.name ?? '' };
  const row = await db
    .selectFrom('tables')
    .selectAll()
    .where('namespace', '=', name.namespace)
    .where('name', '=', name.name)
    .orderBy('dropped')
    .orderBy('created_ms', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) {
    throw new MillraceError('not-found', `there is no table ${formatTableName(name)}: enable a topic for it first`, {
      code: 'table-not-found',
      context: name,
    });
  }
  return row;
}

export async function getTable(db: LedgerDb, table: TableName | undefined) {
  const row = await findTable(db, table);
  const { schema_json } = await db
    .selectFrom('table_schemas')
    .select('schema_json')
    .where('table_uuid', '=', row.table_uuid)
    .where('schema_id', '=', row.schema_id)
    .executeTakeFirstOrThrow();
  return toLedgerTable({ ...row, schema_json });
}

/** What a table holds, and what was left out on the way. */
export interface TableTotals {
  version: number;
  recordCount: number;
  fileCount: number;
  sizeBytes: number;
  skippedCount: number;
  deadLetterCount: number;
}

export const toTotals = (row: TableRow): TableTotals => ({
  version: row.version,
  recordCount: row.record_count,
  fileCount: row.file_count,
  sizeBytes: row.size_bytes,
  skippedCount: row.skipped_count,
  deadLetterCount: row.dead_letter_count,
});

/** Tables by id, from after the token. */
export async function listTables(
  db: LedgerDb,
  options: { includeDropped: boolean; pageSize: number; pageToken: string },
) {
  const rows = await db
    .selectFrom('tables')
    .innerJoin('table_schemas', (join) =>
      join
        .onRef('table_schemas.table_uuid', '=', 'tables.table_uuid')
        .onRef('table_schemas.schema_id', '=', 'tables.schema_id'),
    )
    .selectAll('tables')
    .select('table_schemas.schema_json')
    .where('tables.table_uuid', '>', options.pageToken)
    .$if(!options.includeDropped, (query) => query.where('dropped', '=', 0))
    .orderBy('tables.table_uuid')
    .limit(options.pageSize + 1)
    .execute();
  const tables = rows.slice(0, options.pageSize);
  return {
    tables: tables.map(toLedgerTable),
    nextPageToken: rows.length > tables.length ? tables.at(-1)!.table_uuid : '',
  };
}

function toLedgerTable(row: TableRow & { schema_json: string }): MessageInitShape<typeof LedgerTableSchema> {
  return {
    table: { namespace: row.namespace, name: row.name },
    topic: row.topic,
    tableUuid: row.table_uuid,
    location: row.location,
    formats: JSON.parse(row.formats_json),
    tableSchemaJson: row.schema_json,
    version: BigInt(row.version),
    oldestVersion: BigInt(row.oldest_version),
    dropped: row.dropped === 1,
    purge: row.purge === 1,
    createdMs: BigInt(row.created_ms),
    versionMs: BigInt(row.version_ms),
    newestRecordMs: BigInt(row.newest_record_ms),
  };
}

/**
 * Takes the table's row lock and reads the row: the first statement of every transaction that changes the table, so
 * that two processes on one database follow each other (I5).
 */
export async function lockTable(trx: LedgerTransaction, tableUuid: string): Promise<TableRow> {
  const row = await trx
    .updateTable('tables')
    .set((eb) => ({ changes: eb('changes', '+', 1) }))
    .where('table_uuid', '=', tableUuid)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw new MillraceError('not-found', `there is no table with id ${tableUuid}`);
  return row;
}

/** The locked row of a table that still lives; `conflict` when it has been dropped. */
export async function lockLiveTable(trx: LedgerTransaction, tableUuid: string): Promise<TableRow> {
  const row = await lockTable(trx, tableUuid);
  if (row.dropped === 1) {
    throw new MillraceError('conflict', `table ${formatTableName(row)} has been dropped`, {
      code: 'table-dropped',
      retryable: false,
      context: { namespace: row.namespace, name: row.name },
    });
  }
  return row;
}

type VersionInit = Omit<MessageInitShape<typeof LedgerVersionSchema>, '$typeName' | '$unknown' | 'version' | 'table'>;

export interface NewVersion {
  kind: Exclude<LedgerVersion['kind'], 0>;
  nowMs: number;
  traceparent: string;
  /** Changes of the table's row beside its version. */
  set?: Partial<Omit<TableRow, 'table_uuid' | 'version' | 'changes'>>;
  body?: VersionInit;
}

/**
 * Appends one version to a locked table and answers its number. The caller has changed files and partitions in the
 * same transaction; positions are read from the partitions as they stand now. A version is never older than the one
 * before it, whatever the clock does.
 */
export async function appendVersion(trx: LedgerTransaction, table: TableRow, added: NewVersion): Promise<number> {
  const version = table.version + 1;
  const createdMs = Math.max(added.nowMs, table.version_ms);
  const partitions = await trx
    .selectFrom('partitions')
    .selectAll()
    .where('table_uuid', '=', table.table_uuid)
    .orderBy('partition')
    .execute();
  const schemaId = added.set?.schema_id ?? table.schema_id;
  const formats = JSON.parse(added.set?.formats_json ?? table.formats_json) as TableFormat[];
  const body = create(LedgerVersionSchema, {
    ...added.body,
    kind: added.kind,
    createdMs: BigInt(createdMs),
    schemaId,
    formats,
    positions: partitions.map((row) => ({
      partition: row.partition,
      startOffset: BigInt(row.start_offset),
      endOffset: BigInt(row.committed_offset),
    })),
    traceparent: added.traceparent,
  });
  await trx
    .insertInto('versions')
    .values({
      table_uuid: table.table_uuid,
      version,
      kind: added.kind,
      schema_id: schemaId,
      created_ms: createdMs,
      body: toBinary(LedgerVersionSchema, body),
    })
    .execute();
  const offsets = body.offsets.map((range) => ({
    table_uuid: table.table_uuid,
    partition: range.partition,
    start_offset: Number(range.startOffset),
    end_offset: Number(range.endOffset),
    version,
  }));
  if (offsets.length > 0) await trx.insertInto('version_offsets').values(offsets).execute();
  const updated = await trx
    .updateTable('tables')
    .set({ ...added.set, version, version_ms: createdMs })
    .where('table_uuid', '=', table.table_uuid)
    .where('version', '=', table.version)
    .executeTakeFirstOrThrow();
  if (updated.numUpdatedRows !== 1n) {
    throw new MillraceError('conflict', `table ${formatTableName(table)} got version ${version} from somebody else`, {
      code: 'version-conflict',
    });
  }
  return version;
}

export const isSchemaKind = (kind: number): boolean => kind === VersionKind.CREATE || kind === VersionKind.SCHEMA;
