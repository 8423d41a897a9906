import type { Clock } from '@millrace/base';
import {
  applyUpdates,
  currentSnapshot,
  expiryUpdates,
  metadataFilesOf,
  metadataFolder,
  type Snapshot,
  selectExpired,
  type TableFiles,
  type TableMetadata,
} from '@millrace/iceberg';
import { LEDGER_VERSION } from '@millrace/ledger';
import type { TableIdent } from './catalog-errors.ts';
import type { CatalogTable, Tables } from './tables.ts';

export interface ExpiryRequest {
  olderThanMs: number;
  keepCount: number;
  dryRun: boolean;
}

export interface ExpiryResult {
  expiredCount: number;
  deletedFileCount: number;
  oldestLedgerVersion: bigint;
}

export const snapshotVersion = (snapshot: Snapshot | undefined): bigint =>
  BigInt(snapshot?.summary[LEDGER_VERSION] ?? 0);

/** The oldest ledger version that a snapshot still shows; files removed later than by it must stay. 0: no snapshot. */
export const oldestLedgerVersion = (metadata: TableMetadata): bigint =>
  metadata.snapshots
    .map(snapshotVersion)
    .reduce((oldest, version) => (version < oldest ? version : oldest), snapshotVersion(currentSnapshot(metadata)));

export interface SnapshotExpiry {
  /** Ends snapshots by the policy, then deletes metadata files that nothing refers to; data files stay. */
  expire(ident: TableIdent, request: ExpiryRequest): Promise<ExpiryResult>;
}

export function snapshotExpiry(deps: {
  tables: Tables;
  files: TableFiles;
  clock: Clock;
  orphanAgeMs: number;
}): SnapshotExpiry {
  const { tables, files, clock } = deps;

  function expired(metadata: TableMetadata, { olderThanMs, keepCount }: ExpiryRequest) {
    return selectExpired(metadata, { olderThanMs, keepCount: Math.max(1, keepCount), nowMs: clock.now() });
  }

  const afterExpiry = (metadata: TableMetadata, request: ExpiryRequest): TableMetadata =>
    applyUpdates(metadata, expiryUpdates(expired(metadata, request)), clock.now());

  /**
   * What the table has let go: at once what `before` referred to; other files in its metadata folder only from an age
   * that no commit under way can have.
   */
  async function* unreferenced(
    table: CatalogTable,
    before: Set<string>,
    after: Set<string>,
    youngest: number,
  ): AsyncGenerator<string> {
    for (const uri of before) if (!after.has(uri)) yield uri;
    for await (const { uri, modifiedMs } of files.list(`${metadataFolder(table.metadata)}/`)) {
      const isMetadata = /\.(metadata\.json|avro)$/.test(uri);
      if (isMetadata && modifiedMs < youngest && !after.has(uri) && !before.has(uri)) yield uri;
    }
  }

  return {
    async expire(ident, request) {
      // From before the table is read: however long this stands still, commits that come meanwhile are not old.
      const youngest = clock.now() - deps.orphanAgeMs;
      const base = await tables.get(ident);
      const before = await metadataFilesOf(files, base.metadata, base.metadataLocation);
      const { snapshotIds } = expired(base.metadata, request);
      let table: CatalogTable;
      if (request.dryRun) table = { ...base, metadata: afterExpiry(base.metadata, request) };
      else {
        const change = ({ metadata }: CatalogTable) => ({ metadata: afterExpiry(metadata, request) });
        [table] = (await tables.commit([{ ident, change }])) as [CatalogTable];
      }
      const after = await metadataFilesOf(files, table.metadata, table.metadataLocation);
      let deletedFileCount = 0;
      for await (const uri of unreferenced(table, before, after, youngest)) {
        if (!request.dryRun) await files.remove(uri);
        deletedFileCount++;
      }
      return {
        expiredCount: snapshotIds.length,
        deletedFileCount,
        oldestLedgerVersion: oldestLedgerVersion(table.metadata),
      };
    },
  };
}
