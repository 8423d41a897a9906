import { MillraceError } from '@millrace/base';
import { commitKey, type DeltaTable, openTable, refreshTable } from '@millrace/delta';
import { openStore } from '@millrace/object-store';
import type { LedgerTable } from '@millrace/proto/metadata_discovery';
import { appIdOf } from './fed-table.ts';

export interface TableCache {
  /**
   * Runs `action` on the table's state, alone: calls for one table queue. The state is that of the last call, or read
   * from the log when there was none, it failed, or the log on the store is no longer the one that was read.
   */
  use<T>(table: LedgerTable, action: (table: DeltaTable) => Promise<T>): Promise<T>;
  forget(table: LedgerTable): void;
}

/** `filesMax`: live files in memory, over all tables; the table used least recently goes first. */
export function tableCache(filesMax: number): TableCache {
  // In order of use, the least recent first.
  const open = new Map<string, { table: DeltaTable; files: number }>();
  let files = 0;
  const tails = new Map<string, Promise<unknown>>();

  async function stateOf(table: LedgerTable): Promise<DeltaTable> {
    const known = open.get(table.tableUuid)?.table;
    if (known?.snapshot !== undefined && (await known.store.head(commitKey(known.snapshot.version))) !== undefined) {
      await refreshTable(known);
      return known;
    }
    return openTable(openStore(table.location), appIdOf(table));
  }

  async function run<T>(table: LedgerTable, action: (table: DeltaTable) => Promise<T>): Promise<T> {
    const key = table.tableUuid;
    try {
      const state = await stateOf(table);
      checkOwner(state, table);
      const result = await action(state);
      drop(key);
      const size = state.snapshot?.files.size ?? 0;
      open.set(key, { table: state, files: size });
      files += size;
      for (const oldest of open.keys()) {
        if (files <= filesMax) break;
        drop(oldest);
      }
      return result;
    } catch (error) {
      // What was half done shows when the log is read again.
      drop(key);
      throw error;
    }
  }

  function drop(key: string): void {
    files -= open.get(key)?.files ?? 0;
    open.delete(key);
  }

  return {
    async use(table, action) {
      const key = table.tableUuid;
      const before = tails.get(key) ?? Promise.resolve();
      const mine = before.then(() => run(table, action));
      const tail = mine.catch(() => {});
      tails.set(key, tail);
      try {
        return await mine;
      } finally {
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
    forget: (table) => {
      drop(table.tableUuid);
    },
  };
}

function checkOwner({ snapshot }: DeltaTable, table: LedgerTable): void {
  if (snapshot === undefined || snapshot.metadata.id === table.tableUuid) return;
  throw new MillraceError(
    'already-exists',
    `at ${table.location} lies another Delta table (id ${snapshot.metadata.id}, not ${table.tableUuid}): it is not touched. Remove its _delta_log folder, or give the topic a table of another name`,
    { code: 'delta-other-table', context: { location: table.location, id: snapshot.metadata.id } },
  );
}
