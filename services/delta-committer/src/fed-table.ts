import { hoursInterval, type Metadata, type Snapshot } from '@millrace/delta';
import type { LedgerTable } from '@millrace/proto/metadata_discovery';

/** What the projection writes into the properties of tables that a topic feeds. */
export const DISABLED = 'millrace.disabled';
const TABLE_UUID = 'millrace.table-uuid';
const TOPIC = 'millrace.topic';
const TYPE_MAPPING = 'millrace.type-mapping';

const FILE_RETENTION = 'delta.deletedFileRetentionDuration';
const LOG_RETENTION = 'delta.logRetentionDuration';
export const CHECKPOINT_INTERVAL = 'delta.checkpointInterval';
const TEN_YEARS_HOURS = 87_600;

export interface TableDefaults {
  checkpointInterval: number;
  retentionHours: number;
}

export const appIdOf = (table: LedgerTable): string => `millrace:${table.tableUuid}`;

/** The ledger version that the table shows, by its txn action; 0 when it has none. */
export const ledgerVersionOf = (snapshot: Snapshot, appId: string): bigint =>
  snapshot.transactions.get(appId)?.version ?? 0n;

export const isDisabled = ({ metadata }: Snapshot): boolean => metadata.configuration[DISABLED] === 'true';

/**
 * Properties of a table that is followed: what users have set stays, unless the table comes back from being disabled.
 */
export function followedProperties(
  table: LedgerTable,
  defaults: TableDefaults,
  now: Record<string, string> = {},
): Record<string, string> {
  const { [DISABLED]: disabled, ...kept } = now;
  const retention = {
    [FILE_RETENTION]: hoursInterval(defaults.retentionHours),
    [LOG_RETENTION]: hoursInterval(defaults.retentionHours),
  };
  return {
    ...retention,
    [CHECKPOINT_INTERVAL]: String(defaults.checkpointInterval),
    [TYPE_MAPPING]: '1',
    ...kept,
    ...(disabled === undefined ? {} : retention),
    [TABLE_UUID]: table.tableUuid,
    [TOPIC]: table.topic,
  };
}

/** Properties of a table that is no longer followed: nobody's clean-up takes its files for ten years. */
export function disabledProperties({ configuration }: Metadata): Record<string, string> {
  const tenYears = hoursInterval(TEN_YEARS_HOURS);
  return { ...configuration, [FILE_RETENTION]: tenYears, [LOG_RETENTION]: tenYears, [DISABLED]: 'true' };
}
