import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testDatabaseUrl } from '@millrace/database/testing';
import {
  createSegmentBuilder,
  encodeRecordBatch,
  formatPartitionFolder,
  formatSegmentFile,
  type SegmentSuffix,
} from '@millrace/kafka-log';
import { SplitService, TopicService } from '@millrace/proto/metadata_discovery';
import { createClient, type RunningService } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetadataDiscovery, metadataDiscoveryConfig } from './index.ts';

const TOPICS = ['a', 'b', 'c', 'd'];
const WAIT = { timeout: 20_000 };
let folder: string;
let ends: (() => unknown)[];

beforeEach(async () => {
  setLogLevel('silent');
  folder = await mkdtemp(join(tmpdir(), 'millrace-two-'));
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  await rm(folder, { recursive: true });
});

async function segment(topic: string, baseOffset: number, count: number): Promise<void> {
  const at = join(
    folder,
    'log',
    formatPartitionFolder({ topic, partition: 0, topicId: `${topic}Q3QYfEORVC5MmXzzwrZDw`.slice(0, 22) }),
  );
  await mkdir(at, { recursive: true });
  const builder = createSegmentBuilder({ baseOffset });
  const records = Array.from({ length: count }, () => ({ timestampMs: 1, value: new Uint8Array(100) }));
  builder.append(encodeRecordBatch({ baseOffset, records }));
  const segmentId = String(baseOffset).padStart(22, 'A');
  for (const [suffix, bytes] of Object.entries(builder.finish()).reverse())
    await writeFile(join(at, formatSegmentFile({ baseOffset, segmentId, suffix: suffix as SegmentSuffix })), bytes);
}

async function replica(replicaName: string) {
  const config = metadataDiscoveryConfig.parse({
    port: 0,
    replicaName,
    databaseUrl: testDatabaseUrl(join(folder, 'ledger.db')),
    logStoreUri: join(folder, 'log'),
    schemaSourceUri: `file://${join(folder, 'schemas')}`,
    warehouseUri: `file://${join(folder, 'warehouse')}`,
    pollMs: 50,
    commitIntervalMs: 1_000,
    settleMs: 0,
    ownerLeaseMs: 1_000,
    topics: [{ pattern: '.*', value: { encoding: 'bytes' } }],
  });
  const service: RunningService = await createMetadataDiscovery(config);
  const topics = createClient(TopicService, service.address);
  const splits = createClient(SplitService, service.address);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= service.stop();
    return stopped;
  };
  ends.push(topics.close, splits.close, stop);
  return { topics, splits, stop };
}

test('rules enable each topic once, both work, either answers for both, and one that leaves hands over', async () => {
  for (const topic of TOPICS) await segment(topic, 0, 10);
  const [one, two] = await Promise.all([replica('one'), replica('two')]);
  const status = async ({ topics }: typeof one, topic: string) => (await topics.describeTopic({ topic })).status!;
  const work = async (from: typeof one) => {
    const { lease } = await from.splits.leaseSplit({ owner: 'test', waitMs: 1_000 });
    if (lease === undefined) return 0;
    const { split, epoch } = lease;
    const { splitId, partition, startOffset, endOffset } = split!;
    const files = [
      {
        path: `data/${splitId}-${epoch}.parquet`,
        sizeBytes: 100n,
        recordCount: endOffset - startOffset,
        offsets: [{ partition, startOffset, endOffset }],
      },
    ];
    // Leased of one, completed at the other.
    await (from === one ? two : one).splits.completeSplit({ splitId, epoch, files });
    return 1;
  };
  const lag = async (from: typeof one) => {
    let sum = 0n;
    for (const topic of TOPICS) sum += (await status(from, topic)).lag;
    return sum;
  };
  await expect.poll(async () => (await one.topics.listTopics({})).topics.length, WAIT).toBe(4);
  for (let done = 0; done < TOPICS.length; ) done += await work(done % 2 === 0 ? one : two);
  await expect.poll(() => lag(one), WAIT).toBe(0n);
  expect(await lag(two)).toBe(0n);
  // Retention took what one table needs next: its owner says so, and the other replica repeats it.
  await segment('a', 20, 10);
  for (const from of [one, two])
    await expect.poll(async () => (await status(from, 'a')).error?.code, WAIT).toBe('log-gap');
  await one.stop();
  for (const topic of ['b', 'c', 'd']) await segment(topic, 10, 10);
  const rest = async () => {
    const { lease } = await two.splits.leaseSplit({ owner: 'test', waitMs: 1_000 });
    return lease?.split?.topic;
  };
  const leased = new Set<string | undefined>();
  await expect
    .poll(async () => {
      leased.add(await rest());
      return ['a', 'b', 'c', 'd'].filter((topic) => leased.has(topic));
    }, WAIT)
    .toEqual(['a', 'b', 'c', 'd']);
});
