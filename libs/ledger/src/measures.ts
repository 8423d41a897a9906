import { TopicState } from '@millrace/proto/metadata_discovery';
import { sql } from 'kysely';
import type { LedgerDb, SplitState } from './ledger-database.ts';

/** A live table and how far it is, for metrics: counts, and times in milliseconds since the epoch (0: unknown). */
export interface TableMeasures {
  topic: string;
  namespace: string;
  name: string;
  /** A TopicState. */
  state: number;
  /** Offsets that the source has shown and no version holds. */
  lag: number;
  /** When the oldest of them was planned; without a plan, the last commit. */
  laggingSinceMs: number;
  splits: Record<Exclude<SplitState, 'committed'>, number>;
  records: number;
  files: number;
  sizeBytes: number;
  versionMs: number;
  newestRecordMs: number;
}

/** All live tables, by three queries whatever their number. */
export async function readMeasures(db: LedgerDb): Promise<TableMeasures[]> {
  const tables = await db
    .selectFrom('topics')
    .innerJoin('tables', 'tables.table_uuid', 'topics.table_uuid')
    .selectAll('tables')
    .select(['topics.state', 'topics.last_commit_ms'])
    .where('topics.state', '!=', TopicState.DROPPED)
    .orderBy('topics.topic')
    .execute();
  const lags = await db
    .selectFrom('partitions')
    .select(['table_uuid', sql<number | string>`sum(source_end_offset - committed_offset)`.as('lag')])
    .whereRef('source_end_offset', '>', 'committed_offset')
    .groupBy('table_uuid')
    .execute();
  const splits = await db
    .selectFrom('splits')
    .select((eb) => [
      'table_uuid',
      'state',
      eb.fn.countAll<number | string>().as('count'),
      eb.fn.min('created_ms').as('since'),
    ])
    .where('state', 'in', ['pending', 'leased', 'converted'])
    .groupBy(['table_uuid', 'state'])
    .execute();
  const lagOf = new Map(lags.map((row) => [row.table_uuid, Number(row.lag)]));
  const splitsOf = Map.groupBy(splits, (row) => row.table_uuid);
  return tables.map((row) => {
    const own = splitsOf.get(row.table_uuid) ?? [];
    const countOf = (state: SplitState) => Number(own.find((one) => one.state === state)?.count ?? 0);
    return {
      topic: row.topic,
      namespace: row.namespace,
      name: row.name,
      state: row.state,
      lag: lagOf.get(row.table_uuid) ?? 0,
      laggingSinceMs: own.length > 0 ? Math.min(...own.map(({ since }) => Number(since))) : row.last_commit_ms,
      splits: { pending: countOf('pending'), leased: countOf('leased'), converted: countOf('converted') },
      records: row.record_count,
      files: row.file_count,
      sizeBytes: row.size_bytes,
      versionMs: row.version_ms,
      newestRecordMs: row.newest_record_ms,
    };
  });
}
