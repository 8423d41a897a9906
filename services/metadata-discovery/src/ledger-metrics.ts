import type { Clock } from '@millrace/base';
import { type LedgerDb, readMeasures } from '@millrace/ledger';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { observe } from '@millrace/telemetry';

const STATES: Partial<Record<TopicState, string>> = {
  [TopicState.RUNNING]: 'running',
  [TopicState.PAUSED]: 'paused',
  [TopicState.SUSPENDED]: 'suspended',
};
const SPLIT_STATES = { pending: 'waiting', leased: 'leased', converted: 'converted' } as const;

/** What the ledger itself tells, read whenever somebody looks: lag, queue depth, freshness. The answer ends it. */
export function observeLedger(db: LedgerDb, clock: Clock): () => void {
  return observe(
    [
      'millrace.topics',
      'millrace.topic.lag',
      'millrace.topic.lag.duration',
      'millrace.splits',
      'millrace.table.records',
      'millrace.table.size',
      'millrace.table.files',
      'millrace.table.commit.age',
      'millrace.table.freshness',
    ],
    async (report) => {
      // Also where there are none: who scales by them needs a number.
      for (const state of Object.values(STATES)) report('millrace.topics', 0, { 'millrace.state': state });
      const tables = await readMeasures(db);
      const seconds = (sinceMs: number) => Math.max(0, clock.now() - sinceMs) / 1e3;
      for (const one of tables) {
        const topic = { 'millrace.topic': one.topic };
        report('millrace.topics', 1, { 'millrace.state': STATES[one.state as TopicState] ?? 'running' });
        report('millrace.topic.lag', one.lag, topic);
        const waits = one.lag > 0 && one.laggingSinceMs > 0;
        report('millrace.topic.lag.duration', waits ? seconds(one.laggingSinceMs) : 0, topic);
        for (const [state, shown] of Object.entries(SPLIT_STATES)) {
          const splits = one.splits[state as keyof typeof SPLIT_STATES];
          report('millrace.splits', splits, { ...topic, 'millrace.state': shown });
        }
        const table = { 'millrace.table': `${one.namespace}.${one.name}` };
        report('millrace.table.records', one.records, table);
        report('millrace.table.size', one.sizeBytes, table);
        report('millrace.table.files', one.files, table);
        const ledger = { ...table, 'millrace.format': 'ledger' };
        report('millrace.table.commit.age', seconds(one.versionMs), ledger);
        if (one.newestRecordMs > 0) report('millrace.table.freshness', seconds(one.newestRecordMs), ledger);
      }
    },
  );
}
