import type { TableName } from '@millrace/base';
import { formatTableName, MillraceError } from '@millrace/base';
import { VersionKind } from '@millrace/proto/metadata_discovery';
import { insertFiles, sum } from './completion.ts';
import type { LedgerDb, LedgerTransaction } from './ledger-database.ts';
import { type DataFileInit, fileToRow } from './stored-file.ts';
import { appendVersion, findTable, lockLiveTable, type TableRow } from './tables.ts';
import { insertMerged, insertSchema } from './topics.ts';

export interface Rewrite {
  table: TableName | undefined;
  removedPaths: readonly string[];
  added: readonly DataFileInit[];
  proposalId: string;
  /** 0: not checked. */
  maintenanceEpoch?: number;
  nowMs: number;
  traceparent: string;
}

const PATHS_A_STATEMENT = 500;

/**
 * Replaces live files by others with the same rows: one version (REWRITE). `conflict` when a removed path is not live
 * any more, or a newer maintenance job has asked what is to be kept, `invalid` when the numbers of rows differ. A proposal that was accepted before is answered with its version.
 */
export async function proposeRewrite(db: LedgerDb, rewrite: Rewrite): Promise<{ version: number; topic: string }> {
  const { table_uuid: tableUuid, topic } = await findTable(db, rewrite.table);
  const paths = [...new Set(rewrite.removedPaths)];
  if (rewrite.proposalId === '' || paths.length === 0) {
    throw new MillraceError('invalid', 'a rewrite needs a proposal_id and at least one path in removed_paths', {
      code: 'rewrite-empty',
    });
  }
  return db.transaction().execute(async (trx) => {
    const table = await lockLiveTable(trx, tableUuid);
    const known = await trx
      .selectFrom('proposals')
      .select('version')
      .where('table_uuid', '=', tableUuid)
      .where('proposal_id', '=', rewrite.proposalId)
      .executeTakeFirst();
    if (known !== undefined) return { version: known.version, topic };
    checkMaintenanceEpoch(table, rewrite.maintenanceEpoch ?? 0);
    const version = table.version + 1;
    const removed = await removeFiles(trx, table, paths, version, rewrite.nowMs);
    const added = rewrite.added.map((file, position) => ({
      ...fileToRow(file),
      table_uuid: tableUuid,
      split_id: null,
      position,
      added_version: version,
    }));
    const rows = { before: sum(removed, (f) => f.record_count), after: sum(added, (f) => f.record_count) };
    if (rows.before !== rows.after) {
      throw new MillraceError(
        'invalid',
        `rewrite ${rewrite.proposalId} of ${formatTableName(table)} would replace ${rows.before} rows by ${rows.after}: a rewrite keeps every row`,
        { code: 'rewrite-row-count' },
      );
    }
    await insertFiles(trx, added);
    await trx
      .insertInto('proposals')
      .values({ table_uuid: tableUuid, proposal_id: rewrite.proposalId, version })
      .execute();
    await appendVersion(trx, table, {
      kind: VersionKind.REWRITE,
      nowMs: rewrite.nowMs,
      traceparent: rewrite.traceparent,
      set: {
        file_count: table.file_count + added.length - removed.length,
        size_bytes: table.size_bytes + sum(added, (f) => f.size_bytes) - sum(removed, (f) => f.size_bytes),
      },
    });
    return { version, topic };
  });
}

export function checkMaintenanceEpoch(table: TableRow, epoch: number): void {
  if (epoch === 0 || epoch >= table.maintenance_epoch) return;
  throw new MillraceError(
    'conflict',
    `a newer maintenance job of ${formatTableName(table)} has begun (epoch ${table.maintenance_epoch}, this one's is ${epoch}): what this one made may have been swept`,
    { code: 'maintenance-superseded', retryable: false, context: { epoch } },
  );
}

async function removeFiles(
  trx: LedgerTransaction,
  table: TableRow,
  paths: readonly string[],
  version: number,
  nowMs: number,
) {
  const removed: { path: string; record_count: number; size_bytes: number }[] = [];
  for (let i = 0; i < paths.length; i += PATHS_A_STATEMENT) {
    const rows = await trx
      .updateTable('files')
      .set({ removed_version: version, removed_ms: nowMs })
      .where('table_uuid', '=', table.table_uuid)
      .where('path', 'in', paths.slice(i, i + PATHS_A_STATEMENT))
      .where('added_version', 'is not', null)
      .where('removed_version', 'is', null)
      .returning(['path', 'record_count', 'size_bytes'])
      .execute();
    removed.push(...rows);
  }
  if (removed.length !== paths.length) {
    const live = new Set(removed.map(({ path }) => path));
    const path = paths.find((candidate) => !live.has(candidate))!;
    throw new MillraceError(
      'conflict',
      `${path} is not live in ${formatTableName(table)} any more: plan the rewrite again`,
      { code: 'rewrite-conflict', context: { path } },
    );
  }
  return removed;
}

export interface SchemaChange {
  tableUuid: string;
  /** The schema that the new one was made from; another one in the meantime is a `conflict`. */
  fromSchemaId: number;
  schemaId: number;
  tableSchemaJson: string;
  mergedSchemas: { key: boolean; registryId: number }[];
  nowMs: number;
  traceparent: string;
}

/** Gives a table a new schema: one version (SCHEMA). Answers its number. */
export async function changeSchema(db: LedgerDb, change: SchemaChange): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const table = await lockLiveTable(trx, change.tableUuid);
    if (table.schema_id !== change.fromSchemaId) {
      throw new MillraceError(
        'conflict',
        `${formatTableName(table)} has schema ${table.schema_id} now, not ${change.fromSchemaId}`,
        { code: 'schema-conflict' },
      );
    }
    await insertSchema(trx, change.tableUuid, change.schemaId, change.tableSchemaJson, change.mergedSchemas);
    return appendVersion(trx, table, {
      kind: VersionKind.SCHEMA,
      nowMs: change.nowMs,
      traceparent: change.traceparent,
      set: { schema_id: change.schemaId },
    });
  });
}

/** Registry schemas that the table has every field of: no version, only a note. */
export const noteMergedSchemas = (
  db: LedgerDb,
  tableUuid: string,
  merged: { key: boolean; registryId: number }[],
): Promise<void> => insertMerged(db, tableUuid, merged);
