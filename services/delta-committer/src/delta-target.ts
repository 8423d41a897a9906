import { type Clock, MillraceError } from '@millrace/base';
import { commit, commitKey, type DeltaTable, LOG_FOLDER, loadSnapshot, writeCheckpoint } from '@millrace/delta';
import type { ProjectionTarget } from '@millrace/ledger';
import { openStore } from '@millrace/object-store';
import { type DataFile, TableFormat } from '@millrace/proto/common';
import type { LedgerTable } from '@millrace/proto/metadata_discovery';
import type { Logger } from '@millrace/telemetry';
import { CHECKPOINT_INTERVAL, isDisabled, ledgerVersionOf, type TableDefaults } from './fed-table.ts';
import { disableTransaction, stateTransaction, versionTransaction } from './ledger-transaction.ts';
import type { TableCache } from './table-cache.ts';

export interface DeltaTargetDeps {
  cache: TableCache;
  defaults: TableDefaults;
  logger: Logger;
  clock: Clock;
}

/**
 * The Delta side of the ledger. A table's txn action says which ledger version it shows (I3), so every call may be made
 * again after a crash; put-if-absent of the log's next file decides between two owners (I5).
 */
export function deltaTarget({ cache, defaults, logger, clock }: DeltaTargetDeps): ProjectionTarget {
  /** A checkpoint that fails is no reason to fail a commit that is there: the next commit tries again. */
  async function checkpointWhenDue(table: DeltaTable): Promise<void> {
    const snapshot = table.snapshot!;
    const interval = Number(snapshot.metadata.configuration[CHECKPOINT_INTERVAL] ?? defaults.checkpointInterval);
    if (!(snapshot.version - (snapshot.checkpointVersion ?? 0) >= interval)) return;
    try {
      await writeCheckpoint(table.store, snapshot, clock.now());
    } catch (error) {
      logger.warn({ error, table: table.store.uri, version: snapshot.version }, 'could not write a checkpoint');
    }
  }

  return {
    position: (ledgerTable) =>
      cache.use(ledgerTable, async ({ snapshot, appId }) =>
        snapshot === undefined
          ? undefined
          : { ledgerVersion: ledgerVersionOf(snapshot, appId), enabled: !isDisabled(snapshot) },
      ),

    rebuild: (ledgerTable, state) =>
      cache.use(ledgerTable, async (table) => {
        const files: DataFile[] = [];
        for await (const page of state.files) files.push(...page);
        await commit(table, stateTransaction(ledgerTable, { ...state, files }, defaults, clock.now()));
        await checkpointWhenDue(table);
      }),

    apply: (ledgerTable, version) =>
      cache.use(ledgerTable, async (table) => {
        if (table.drift.since !== undefined && !ledgerTable.formats.includes(TableFormat.DELTA)) {
          // The format has been switched off since: the table stays where it was when others changed it.
          logger.warn({ table: ledgerTable.location }, 'another writer changed the table; it ends as it is');
          return;
        }
        const { snapshot, appId } = table;
        const reached = snapshot === undefined ? 0n : ledgerVersionOf(snapshot, appId);
        if (reached >= version.version) return;
        if (snapshot === undefined || reached !== version.version - 1n) {
          throw new MillraceError(
            'conflict',
            `the Delta table at ${ledgerTable.location} shows ledger version ${reached}, so ${version.version} can't follow`,
            { code: 'delta-position', context: { reached, version: version.version } },
          );
        }
        await commit(table, versionTransaction(ledgerTable, version, clock.now()));
        await checkpointWhenDue(table);
      }),

    disable: (ledgerTable, version) =>
      cache.use(ledgerTable, async (table) => {
        if (table.snapshot !== undefined && ledgerVersionOf(table.snapshot, table.appId) >= version) return;
        await commit(table, disableTransaction(clock.now()));
      }),

    async drop(ledgerTable) {
      cache.forget(ledgerTable);
      if (ledgerTable.purge) await deleteLog(ledgerTable);
    },
  };
}

/**
 * Newest first: what a crash leaves is an older version of the table, and the next call goes on. A table that has taken
 * the place since is not touched.
 */
async function deleteLog(table: LedgerTable): Promise<void> {
  const store = openStore(table.location);
  const snapshot = await loadSnapshot(store);
  if (snapshot !== undefined && snapshot.metadata.id !== table.tableUuid) return;
  for (const folder of [LOG_FOLDER, '_dv/']) {
    const keys = new Set<string>();
    for await (const { key } of store.list(folder)) keys.add(key);
    // The listing may lack what is newest.
    const newest = folder === LOG_FOLDER ? (snapshot?.version ?? -1) : -1;
    for (let version = newest; version >= 0 && !keys.has(commitKey(version)); version--) keys.add(commitKey(version));
    for (const key of [...keys].sort().reverse()) await store.delete(key);
    await store.discardUnfinished(folder, Number.MAX_SAFE_INTEGER);
  }
}
