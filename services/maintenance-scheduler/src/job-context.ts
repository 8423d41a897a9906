import { type Clock, formatTableName, MillraceError, type TableName } from '@millrace/base';
import type { ObjectStore } from '@millrace/object-store';
import type { DeltaCommitterService } from '@millrace/proto/delta_committer';
import type { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import type { LedgerService, LedgerTable } from '@millrace/proto/metadata_discovery';
import type { ParquetConverterService } from '@millrace/proto/parquet_converter';
import type { Client } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import type { PolicyValues } from './policy.ts';

/** What jobs work with: the other services, and the objects. */
export interface JobDeps {
  ledger: Client<typeof LedgerService>;
  iceberg: Client<typeof IcebergCatalogService>;
  delta: Client<typeof DeltaCommitterService>;
  converter: Client<typeof ParquetConverterService>;
  store: ObjectStore;
  clock: Clock;
  logger: Logger;
  rewriteTimeoutMs: number;
}

/** One run of a job. */
export interface JobContext extends JobDeps {
  jobId: string;
  /** Larger than that of every earlier job of the table. */
  epoch: bigint;
  name: TableName;
  table: LedgerTable;
  /** The table's folder in the store, with a slash at its end. */
  folder: string;
  policy: PolicyValues;
  dryRun: boolean;
  nowMs: number;
  signal: AbortSignal;
  /** Filled while the job runs: what had been done is told even when it fails. */
  counts: Record<string, number>;
}

/** Says in one line what the job did. */
export type JobRun = (context: JobContext) => Promise<string>;

export const count = ({ counts }: JobContext, name: string, by: number): void => {
  counts[name] = (counts[name] ?? 0) + by;
};

/** The folder of a table, which must lie in the warehouse that this scheduler was given. */
export function folderOf(store: ObjectStore, table: LedgerTable): string {
  try {
    return `${store.keyOf(table.location)}/`;
  } catch (error) {
    throw new MillraceError(
      'invalid',
      `table ${formatTableName(table.table!)} lies at ${table.location}, outside this scheduler's warehouse ${store.uri}: start the scheduler with the warehouse of metadata-discovery`,
      { code: 'warehouse-mismatch', context: { location: table.location, warehouse: store.uri }, cause: error },
    );
  }
}

/** So many are asked for before the job looks whether it is to end. */
const DELETES_AT_ONCE = 1_000;

/** Deletes objects; one that is gone already is no error. */
export async function deleteObjects({ store, signal }: JobContext, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += DELETES_AT_ONCE) {
    signal.throwIfAborted();
    await store.deleteMany(keys.slice(from, from + DELETES_AT_ONCE), signal);
  }
}

/** "1.4 MB" */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
