import type { TopicState } from '@millrace/proto/metadata_discovery';
import type { LedgerDb } from './ledger-database.ts';

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
