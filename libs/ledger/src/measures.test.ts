import { testDatabaseUrl } from '@millrace/database/testing';
import { ErrorPolicy, TableFormat } from '@millrace/proto/common';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commitTable } from './commit.ts';
import { completeSplit } from './completion.ts';
import { leaseSplit } from './leases.ts';
import { type LedgerDb, openLedger } from './ledger-database.ts';
import { readMeasures } from './measures.ts';
import { addPartition, planSplits, setSourceEnd } from './plan.ts';
import { dropTopic, pauseTopic } from './topic-state.ts';
import { createTopic, getTopic } from './topics.ts';

const LEASES = { leaseMs: 60_000, maxAttempts: 3, backoffMs: 1_000 };
const format = { encoding: 'avro', framing: 'confluent', fixedSchemaId: 0 };
let db: LedgerDb;
let close: () => Promise<void>;
beforeEach(async () => ({ db, close } = await openLedger(testDatabaseUrl())));
afterEach(() => close());

async function topicOf(topic: string, sourceEnds: number[]): Promise<string> {
  await createTopic(db, {
    topic,
    table: { namespace: 'demo', name: topic },
    warehouseUri: 'file:///w',
    settings: {
      formats: [TableFormat.ICEBERG],
      errorPolicy: ErrorPolicy.SUSPEND,
      commitIntervalMs: 60_000,
      commitBytes: 1 << 27,
      kafkaColumns: [],
    },
    keyFormat: format,
    valueFormat: format,
    schemaId: 0,
    tableSchemaJson: '{"schema-id":0}',
    mergedSchemas: [],
    nowMs: 1_000,
    traceparent: '',
  });
  const { tableUuid } = await getTopic(db, topic);
  for (const [partition, end] of sourceEnds.entries()) {
    await addPartition(db, tableUuid, partition, 0);
    await setSourceEnd(db, tableUuid, partition, end);
  }
  return tableUuid;
}

test('lag, queue depth and freshness of every live table', async () => {
  const tableUuid = await topicOf('orders', [30, 5]);
  await topicOf('idle', [0]);
  await topicOf('gone', [7]);
  await dropTopic(db, 'gone', false, { nowMs: 1_500, traceparent: '' });
  await pauseTopic(db, 'idle');
  const splits = [0, 10, 20].map((startOffset) => ({
    ...{ startOffset, endOffset: startOffset + 10, ranges: [], transactionIndexKeys: [] },
  }));
  await planSplits(db, { tableUuid, partition: 0, nowMs: 2_000, traceparent: '' }, splits);
  const measuresOf = async (topic: string) => (await readMeasures(db)).find((one) => one.topic === topic)!;

  expect((await readMeasures(db)).map(({ topic, state }) => [topic, state])).toEqual([
    ['idle', TopicState.PAUSED],
    ['orders', TopicState.RUNNING],
  ]);
  expect(await measuresOf('idle')).toMatchObject({ lag: 0, splits: { pending: 0, leased: 0, converted: 0 } });
  expect(await measuresOf('orders')).toMatchObject({
    ...{ lag: 35, laggingSinceMs: 2_000, newestRecordMs: 0 },
    splits: { pending: 3, leased: 0, converted: 0 },
  });

  for (const newestRecordMs of [700, 900]) {
    const { split, epoch } = (await leaseSplit(db, 'me', 3_000, LEASES))!;
    const done = { splitId: split.splitId, epoch: Number(epoch), files: [], deadLetters: [], skippedCount: 0 };
    await completeSplit(db, { ...done, newestRecordMs, nowMs: 3_000 });
  }
  await leaseSplit(db, 'me', 3_000, LEASES);
  expect((await measuresOf('orders')).splits).toEqual({ pending: 0, leased: 1, converted: 2 });
  await commitTable(db, tableUuid, { nowMs: 4_000, traceparent: '' });
  expect(await measuresOf('orders')).toMatchObject({
    ...{ lag: 15, newestRecordMs: 900, versionMs: 4_000 },
    splits: { pending: 0, leased: 1, converted: 0 },
  });
});
