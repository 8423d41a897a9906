import type { TopicState } from '@millrace/proto/metadata_discovery';
import type { LedgerDb } from './ledger-database.ts';
import { type PartitionRow, toPartition } from './plan.ts';
import { type TableTotals, toTotals } from './tables.ts';

/** A topic as a look at all of them needs it. */
export interface TopicActivity {
  topic: string;
  state: TopicState;
  /** Changes with any setting that planning and committing depend on. */
  settings: string;
  /** Splits that wait or are leased. */
  unfinished: number;
  /** Splits that are converted and not committed. */
  converted: number;
}

/** Every topic that was enabled, dropped ones included: two statements, whose cost is that of what is under way. */
export async function topicActivity(db: LedgerDb): Promise<TopicActivity[]> {
  const topics = await db
    .selectFrom('topics')
    .select(['topic', 'table_uuid', 'state', 'error_policy', 'commit_interval_ms', 'commit_bytes'])
    .execute();
  const splits = await db
    .selectFrom('splits')
    .select((eb) => ['table_uuid', 'state', eb.fn.countAll<number>().as('count')])
    .where('state', 'in', ['pending', 'leased', 'converted'])
    .groupBy(['state', 'table_uuid'])
    .execute();
  const work = new Map<string, Pick<TopicActivity, 'unfinished' | 'converted'>>();
  for (const { table_uuid, state, count } of splits) {
    const found = work.get(table_uuid) ?? { unfinished: 0, converted: 0 };
    found[state === 'converted' ? 'converted' : 'unfinished'] += Number(count);
    work.set(table_uuid, found);
  }
  return topics.map((row) => ({
    topic: row.topic,
    state: row.state as TopicState,
    settings: `${row.state} ${row.error_policy} ${row.commit_interval_ms} ${row.commit_bytes}`,
    ...(work.get(row.table_uuid) ?? { unfinished: 0, converted: 0 }),
  }));
}

const TABLES_A_STATEMENT = 500;

/** How far tables are: their partitions, their splits that are not committed, their totals. By table; few statements for many. */
export async function readProgress(db: LedgerDb, tableUuids: readonly string[]) {
  const found = new Map<string, { partitions: PartitionRow[]; pendingSplits: number; totals: TableTotals }>();
  for (let i = 0; i < tableUuids.length; i += TABLES_A_STATEMENT) {
    const some = tableUuids.slice(i, i + TABLES_A_STATEMENT);
    const tables = await db.selectFrom('tables').selectAll().where('table_uuid', 'in', some).execute();
    for (const row of tables) found.set(row.table_uuid, { partitions: [], pendingSplits: 0, totals: toTotals(row) });
    const partitions = await db
      .selectFrom('partitions')
      .selectAll()
      .where('table_uuid', 'in', some)
      .orderBy('table_uuid')
      .orderBy('partition')
      .execute();
    for (const row of partitions) found.get(row.table_uuid)!.partitions.push(toPartition(row));
    const splits = await db
      .selectFrom('splits')
      .select((eb) => ['table_uuid', eb.fn.countAll<number>().as('count')])
      .where('table_uuid', 'in', some)
      .where('state', 'in', ['pending', 'leased', 'converted'])
      .groupBy('table_uuid')
      .execute();
    for (const { table_uuid, count } of splits) found.get(table_uuid)!.pendingSplits = Number(count);
  }
  return found;
}
