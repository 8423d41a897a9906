import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testDatabaseUrl } from '@millrace/database/testing';
import {
  createSegmentBuilder,
  encodeProducerSnapshot,
  encodeRecordBatch,
  formatPartitionFolder,
  formatSegmentFile,
  type SegmentSuffix,
  type TransactionIndexEntry,
} from '@millrace/kafka-log';
import { localStore, type ObjectStore } from '@millrace/object-store';
import { ErrorKind, ErrorPolicy, TableFormat } from '@millrace/proto/common';
import {
  type Lease,
  LedgerService,
  SplitService,
  TopicService,
  TopicState,
  VersionKind,
} from '@millrace/proto/metadata_discovery';
import { createClient, type RunningService } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMetadataDiscovery, metadataDiscoveryConfig } from './index.ts';

setLogLevel('silent');
const WAIT = { timeout: 10_000 };
const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const V1 = '{"type":"record","name":"o","fields":[{"name":"id","type":"long"}]}';
const V2 =
  '{"type":"record","name":"o","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}';
const REFUSED = '{"type":"record","name":"o","fields":[{"name":"id","type":"string"}]}';

let folder: string;
let store: ObjectStore;
let service: RunningService;
let topics: ReturnType<typeof createClient<typeof TopicService>>;
let splits: ReturnType<typeof createClient<typeof SplitService>>;
let ledger: ReturnType<typeof createClient<typeof LedgerService>>;

async function start(more: Record<string, unknown> = {}) {
  const config = metadataDiscoveryConfig.parse({
    port: 0,
    databaseUrl: testDatabaseUrl(join(folder, 'ledger.db')),
    logStoreUri: join(folder, 'log'),
    schemaSourceUri: `file://${join(folder, 'schemas')}`,
    warehouseUri: `file://${join(folder, 'warehouse')}`,
    namespace: 'demo',
    pollMs: 50,
    schemaPollMs: 50,
    commitIntervalMs: 1_000,
    settleMs: 0,
    backoffMs: 0,
    ...more,
  });
  service = await createMetadataDiscovery(config);
  topics = createClient(TopicService, service.address);
  splits = createClient(SplitService, service.address);
  ledger = createClient(LedgerService, service.address);
}

async function stop() {
  for (const client of [topics, splits, ledger]) client.close();
  await service.stop();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metadata-discovery-'));
  store = localStore(join(folder, 'log'));
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

async function schema(subject: string, version: number, id: number, text: string) {
  await mkdir(join(folder, 'schemas', subject), { recursive: true });
  await writeFile(join(folder, 'x'), text);
  await rename(join(folder, 'x'), join(folder, 'schemas', subject, `${version}-${id}.avsc`));
}

interface SegmentOptions {
  aborted?: TransactionIndexEntry[];
  openFrom?: number;
  topicId?: string;
  cutBytes?: number;
}

/** A segment of batches of ten records, 1 KB each. */
async function segment(topic: string, partition: number, base: number, end: number, options: SegmentOptions = {}) {
  const { aborted = [], openFrom, topicId = TOPIC_ID, cutBytes = 0 } = options;
  const builder = createSegmentBuilder({ baseOffset: base });
  for (let offset = base; offset < end; offset += 10) {
    const records = Array.from({ length: Math.min(10, end - offset) }, () => ({
      timestampMs: 1,
      value: new Uint8Array(1_000),
    }));
    builder.append(encodeRecordBatch({ baseOffset: offset, records }));
  }
  const files: Partial<Record<SegmentSuffix, Uint8Array>> = builder.finish(aborted);
  files.log = files.log!.subarray(0, files.log!.length - cutBytes);
  if (openFrom !== undefined) {
    const zeros = { producerEpoch: 0, lastSequence: 0, offsetDelta: 0, timestampMs: 0, coordinatorEpoch: 0 };
    const producer = { producerId: 1, lastOffset: end - 1, currentTransactionFirstOffset: openFrom, ...zeros };
    files.snapshot = encodeProducerSnapshot([producer]);
  }
  const at = formatPartitionFolder({ topic, partition, topicId });
  const segmentId = String(base).padStart(22, 'A');
  // The log last: what has no log is not seen, so a segment appears whole.
  for (const [suffix, bytes] of Object.entries(files).reverse()) {
    const name = formatSegmentFile({ baseOffset: base, segmentId, suffix: suffix as SegmentSuffix });
    await store.put(`${at}/${name}`, bytes);
  }
}

const lease = async (waitMs = 3_000) => (await splits.leaseSplit({ owner: 'test', waitMs })).lease;
const complete = ({ split, epoch }: Lease) =>
  splits.completeSplit({
    splitId: split!.splitId,
    epoch,
    files: [
      {
        path: `data/${split!.splitId}-${epoch}.parquet`,
        sizeBytes: 100n,
        recordCount: split!.endOffset - split!.startOffset,
        offsets: [{ partition: split!.partition, startOffset: split!.startOffset, endOffset: split!.endOffset }],
      },
    ],
  });
const status = async (topic: string) => (await topics.describeTopic({ topic })).status!;
const columns = (json: string) => JSON.parse(json).fields.map((field: { name: string }) => field.name);

describe('a topic becomes a table', () => {
  test('enable, lease, complete, commit, watch; new segments follow; a restart goes on', async () => {
    await schema('orders-value', 1, 1, V1);
    await segment('orders', 0, 5, 100);
    await segment('orders', 1, 0, 50);
    await start();
    const { status: enabled } = await topics.enableTopic({ topic: 'orders' });
    expect(enabled).toMatchObject({ state: TopicState.RUNNING, location: `file://${folder}/warehouse/demo/orders` });
    const leases = [(await lease())!, (await lease())!];
    expect(leases.map(({ split }) => [split!.partition, split!.startOffset, split!.endOffset])).toEqual([
      [0, 5n, 100n],
      [1, 0n, 50n],
    ]);
    expect(leases[0]!.split).toMatchObject({
      ranges: [{ startByte: 0n, startOffset: 5n, endOffset: 100n, segmentBaseOffset: 5n }],
      valueFormat: { encoding: 'avro', framing: 'confluent' },
      keyFormat: { encoding: 'bytes' },
      errorPolicy: ErrorPolicy.SUSPEND,
    });
    expect(columns(leases[0]!.split!.tableSchemaJson)).toEqual(['id', 'key', '_kafka']);
    expect(await lease(0)).toBeUndefined();
    await complete(leases[1]!);
    await complete(leases[0]!);
    await expect.poll(async () => (await status('orders')).lag, WAIT).toBe(0n);
    const watch = ledger.watchLedger({})[Symbol.asyncIterator]();
    const first = (await watch.next()).value!;
    expect(first.table).toMatchObject({ namespace: 'demo', name: 'orders' });
    await segment('orders', 0, 100, 120);
    await complete((await lease())!);
    expect((await watch.next()).value!.version).toBeGreaterThan(first.version);
    await stop();
    await start();
    await segment('orders', 0, 120, 130);
    await complete((await lease())!);
    await expect.poll(async () => (await status('orders')).recordCount, WAIT).toBe(175n);
    const { versions } = await ledger.listVersions({ table: { namespace: 'demo', name: 'orders' } });
    expect(versions[0]).toMatchObject({ kind: VersionKind.CREATE, formats: [TableFormat.ICEBERG, TableFormat.DELTA] });
    expect(versions.at(-1)!.positions).toMatchObject([
      { partition: 0, startOffset: 5n, endOffset: 130n },
      { partition: 1, startOffset: 0n, endOffset: 50n },
    ]);
  });

  test('rules enable topics by themselves, repeating is harmless, other settings are refused', async () => {
    for (const topic of ['a.orders', 'a.clicks', '__remote_log_metadata']) await segment(topic, 0, 0, 10);
    await start({ topics: [{ pattern: 'a\\..*|__.*', namespace: 'ns', formats: ['delta'] }] });
    await expect.poll(async () => (await topics.listTopics({})).topics.length, WAIT).toBe(2);
    const listed = await topics.listTopics({ includeAvailable: true, pageSize: 1 });
    expect(listed).toMatchObject({ available: ['__remote_log_metadata'], nextPageToken: 'a.clicks' });
    const table = { namespace: 'ns', name: 'a.orders' };
    await topics.enableTopic({ topic: 'a.orders', table, settings: { formats: [TableFormat.DELTA] } });
    await expect(topics.enableTopic({ topic: 'a.orders' })).rejects.toMatchObject({ kind: 'already-exists' });
    await expect(topics.enableTopic({ topic: 'nowhere' })).rejects.toMatchObject({ code: 'topic-unknown' });
    const unnamed = { topic: 'x', settings: { commitIntervalMs: 999n } };
    await expect(topics.enableTopic(unnamed)).rejects.toMatchObject({ kind: 'invalid' });
    // Without a schema the value is its bytes.
    const { split } = (await lease())!;
    expect(columns(split!.tableSchemaJson)).toEqual(['value', 'key', '_kafka']);
    expect(split!.valueFormat).toMatchObject({ encoding: 'bytes', framing: 'none' });
    // A dropped topic stays dropped, rule or not.
    await topics.dropTopic({ topic: 'a.orders' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await status('a.orders')).state).toBe(TopicState.DROPPED);
  });
});

describe('schemas', () => {
  test('new versions evolve the table, by the poll or when a converter asks; a refused one suspends', async () => {
    await schema('orders-value', 1, 1, V1);
    await segment('orders', 0, 0, 10);
    await segment('others', 0, 0, 10);
    await start({ topics: [{ pattern: '.*' }] });
    await expect.poll(async () => (await topics.listTopics({})).topics.length, WAIT).toBe(2);
    await schema('orders-value', 2, 7, V2);
    const resolved = await splits.resolveSchema({ topic: 'orders', schemaId: 7 });
    expect(resolved.schemaType).toBe('avro');
    expect(columns(resolved.tableSchemaJson)).toEqual(['id', 'note', 'key', '_kafka']);
    // An older one changes nothing.
    expect(await splits.resolveSchema({ topic: 'orders', schemaId: 1 })).toMatchObject({
      tableSchemaJson: resolved.tableSchemaJson,
    });
    await expect(splits.resolveSchema({ topic: 'orders', schemaId: 99 })).rejects.toMatchObject({
      code: 'unknown-schema-id',
    });
    const { versions } = await ledger.listVersions({ table: { namespace: 'demo', name: 'orders' } });
    expect(versions.map((version) => version.kind)).toEqual([VersionKind.CREATE, VersionKind.SCHEMA]);
    await schema('orders-value', 3, 8, REFUSED);
    await expect.poll(async () => (await status('orders')).state, WAIT).toBe(TopicState.SUSPENDED);
    expect((await status('orders')).error).toMatchObject({ code: 'schema-change-refused', context: { field: 'id' } });
    expect((await status('others')).state).toBe(TopicState.RUNNING);
  });

  test('a registry that is away is named until it is back; what needs no new schema goes on', async () => {
    const answers: Record<string, unknown> = {
      '/subjects/t-value/versions': [1],
      '/subjects/t-value/versions/1': { id: 1, version: 1, schema: V1 },
      '/subjects/t-value/versions/latest': { id: 1, version: 1, schema: V1 },
    };
    const registry = createServer(({ url }, response) => {
      response.statusCode = answers[url!] === undefined ? 404 : 200;
      response.setHeader('connection', 'close').end(JSON.stringify(answers[url!] ?? {}));
    });
    await once(registry.listen(0, '127.0.0.1'), 'listening');
    const { port } = registry.address() as AddressInfo;
    await start({ schemaSourceUri: `http://127.0.0.1:${port}` });
    await segment('t', 0, 0, 10);
    await topics.enableTopic({ topic: 't' });
    await complete((await lease())!);
    await once(registry.close(), 'close');
    await expect.poll(async () => (await status('t')).error?.code, WAIT).toBe('registry-unavailable');
    await segment('t', 0, 10, 20);
    expect((await lease(10_000))!.split).toMatchObject({ startOffset: 10n, endOffset: 20n });
    expect((await status('t')).error?.message).toMatch(/registry http:.* does not answer: .*ECONNREFUSED/);
    await once(registry.listen(port, '127.0.0.1'), 'listening');
    await expect.poll(async () => (await status('t')).error, WAIT).toBeUndefined();
    await once(registry.close(), 'close');
  });
});

describe('the log', () => {
  test('large segments are cut, small ones share a split, and the tail waits while there is other work', async () => {
    await segment('t', 0, 0, 100);
    for (let base = 100; base < 140; base += 10) await segment('t', 0, base, base + 10);
    await start({ topics: [{ name: 't' }], splitBytes: 40_000 });
    const leases = [(await lease())!, (await lease())!, (await lease())!];
    const offsets = leases.map(({ split }) => [split!.startOffset, split!.endOffset, split!.ranges.length]);
    expect(offsets.map(([startOffset]) => startOffset)).toEqual([0n, offsets[0]![1], offsets[1]![1]]);
    expect(leases[0]!.split!.ranges[0]).toMatchObject({ startByte: 0n });
    expect(leases[1]!.split!.ranges[0]!.startByte).toBe(leases[0]!.split!.ranges[0]!.endByte);
    expect(leases[2]!.split!.ranges.length).toBeGreaterThan(1);
    for (const held of leases) await complete(held);
    for (let more = await lease(500); more; more = await lease(500)) await complete(more);
    await expect.poll(async () => (await status('t')).lag, WAIT).toBe(0n);
  });

  test('an open transaction holds the plan back; its abort marker in a later segment is named', async () => {
    await segment('t', 0, 0, 50, { openFrom: 30 });
    await start({ topics: [{ name: 't' }] });
    const before = (await lease())!;
    expect(before.split).toMatchObject({ startOffset: 0n, endOffset: 30n });
    await complete(before);
    expect(await lease(300)).toBeUndefined();
    const aborted = [{ producerId: 1, firstOffset: 30, lastOffset: 59, lastStableOffset: 60 }];
    await segment('t', 0, 50, 60, { aborted });
    const after = (await lease())!;
    expect(after.split).toMatchObject({ startOffset: 30n, endOffset: 60n, ranges: [{ startOffset: 30n }, {}] });
    expect(after.split!.transactionIndexKeys).toEqual([expect.stringMatching(/00050-A*50\.txnindex$/)]);
  });

  test('a gap is covered by the split that follows it and named in the status', async () => {
    await segment('t', 0, 0, 10);
    await segment('t', 0, 15, 20);
    await start({ topics: [{ name: 't' }] });
    expect((await lease())!.split).toMatchObject({
      startOffset: 0n,
      endOffset: 20n,
      ranges: [{}, { startOffset: 15n }],
    });
    expect((await status('t')).error).toMatchObject({ code: 'log-gap', context: { offset: '10', nextOffset: '15' } });
  });

  test('a truncated segment: its whole batches, then the suspension; resumed once it is whole', async () => {
    await segment('t', 0, 0, 30, { cutBytes: 100 });
    await segment('u', 0, 0, 30);
    await start({ topics: [{ name: 't' }, { name: 'u' }] });
    const leases = [(await lease())!, (await lease())!];
    const ends = new Map(leases.map(({ split }) => [split!.topic, split!.endOffset]));
    expect([ends.get('t'), ends.get('u')]).toEqual([20n, 30n]);
    for (const held of leases) await complete(held);
    await expect.poll(async () => (await status('t')).state, WAIT).toBe(TopicState.SUSPENDED);
    expect((await status('t')).error).toMatchObject({ kind: ErrorKind.CORRUPT, code: 'segment-truncated' });
    expect((await status('u')).state).toBe(TopicState.RUNNING);
    await expect.poll(async () => (await status('t')).recordCount, WAIT).toBe(20n);
    await segment('t', 0, 0, 30);
    await topics.resumeTopic({ topic: 't' });
    expect((await lease())!.split).toMatchObject({ startOffset: 20n, endOffset: 30n });
  });

  test('two topics of one name, and one that was made again, are errors of that topic alone', async () => {
    await segment('t', 0, 0, 10);
    await segment('u', 0, 0, 10);
    await start({ topics: [{ pattern: '.*' }] });
    await expect.poll(async () => (await status('t')).pendingSplits, WAIT).toBe(1);
    await segment('t', 0, 0, 20, { topicId: 'BBBBBBBBBBBBBBBBBBBBBB' });
    await expect.poll(async () => (await status('t')).error?.code, WAIT).toBe('topic-ids-ambiguous');
    await rm(join(folder, 'log', `t-0-${TOPIC_ID}`), { recursive: true });
    await expect.poll(async () => (await status('t')).error?.code, WAIT).toBe('topic-recreated');
    expect((await status('u')).error).toBeUndefined();
  });
});

describe('bounds', () => {
  test('planning stops while as many splits wait as may, and goes on as they are converted', async () => {
    for (let base = 0; base < 100; base += 10) await segment('t', 0, base, base + 10);
    await start({ topics: [{ name: 't' }], splitBytes: 1_024, pendingSplits: 2 });
    await expect.poll(async () => (await status('t')).pendingSplits, WAIT).toBe(2);
    const seen: number[] = [];
    for (let more = await lease(); more; more = await lease(1_500)) {
      seen.push((await status('t')).pendingSplits);
      await complete(more);
    }
    // Those that wait or are leased; what is converted and not committed yet is pending too.
    expect(seen.length).toBeGreaterThanOrEqual(5);
    await expect.poll(async () => (await status('t')).lag, WAIT).toBe(0n);
  });

  test('no more topics than may be', async () => {
    for (const topic of ['t', 'u', 'v']) await segment(topic, 0, 0, 10);
    await start({ maxTopics: 2 });
    await expect
      .poll(async () => (await topics.listTopics({ includeAvailable: true })).available, WAIT)
      .toHaveLength(3);
    await topics.enableTopic({ topic: 't' });
    await topics.enableTopic({ topic: 'u' });
    await expect(topics.enableTopic({ topic: 'v' })).rejects.toMatchObject({
      kind: 'exhausted',
      code: 'too-many-topics',
    });
    await topics.enableTopic({ topic: 't' });
    await topics.dropTopic({ topic: 't' });
    await topics.enableTopic({ topic: 'v' });
  });

  test('a flood of callers that wait: as many as may wait, the rest are told to try again', async () => {
    await start({ maxCalls: 3 });
    const flood = Array.from({ length: 200 }, () =>
      splits.leaseSplit({ owner: 'flood', waitMs: 1_000 }).then(
        () => 'waited',
        (error) => error.code,
      ),
    );
    const answers = await Promise.all(flood);
    expect(answers.filter((answer) => answer === 'waited')).toHaveLength(3);
    expect(answers.filter((answer) => answer === 'too-many-calls')).toHaveLength(197);
    expect((await topics.listTopics({})).topics).toEqual([]);
  });
});

describe('work', () => {
  test('failed splits are tried again, then the table is suspended; pause and resume; formats change', async () => {
    await segment('t', 0, 0, 10);
    await start({ topics: [{ name: 't' }], maxAttempts: 2 });
    const error = { kind: ErrorKind.UNAVAILABLE, code: 'x', message: 'store is down', retryable: true };
    for (const released of [true, false, false]) {
      const { split, epoch } = (await lease())!;
      await splits.failSplit({ splitId: split!.splitId, epoch, released, error });
    }
    expect(await status('t')).toMatchObject({ state: TopicState.SUSPENDED, error: { message: 'store is down' } });
    expect(await lease(0)).toBeUndefined();
    await topics.resumeTopic({ topic: 't' });
    const held = (await lease())!;
    expect(held.epoch).toBe(4n);
    const stale = { splitId: held.split!.splitId, epoch: 3n };
    await expect(splits.heartbeatSplit(stale)).rejects.toMatchObject({ kind: 'stale-lease' });
    expect((await splits.heartbeatSplit({ ...stale, epoch: 4n })).expiresMs).toBeGreaterThan(Date.now());
    expect((await topics.pauseTopic({ topic: 't' })).status!.state).toBe(TopicState.PAUSED);
    await complete(held);
    await expect.poll(async () => (await status('t')).recordCount, WAIT).toBe(10n);
    await topics.updateTopic({ topic: 't', formats: [TableFormat.DELTA] });
    const { table } = await ledger.getTable({ table: { namespace: 'demo', name: 't' } });
    expect(table).toMatchObject({ formats: [TableFormat.DELTA], version: 3n });
  });

  test('segments that were moved are found again after a failure', async () => {
    await segment('t', 0, 0, 30);
    await start({ topics: [{ name: 't' }], backoffMs: 1_500 });
    const { split, epoch } = (await lease())!;
    // The leader changed: another copy of the same offsets, the old one gone.
    await rm(join(folder, 'log', `t-0-${TOPIC_ID}`), { recursive: true });
    await segment('t', 0, 0, 20);
    await segment('t', 0, 20, 40);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const error = { kind: ErrorKind.UNAVAILABLE, code: 'x', message: 'gone', retryable: true };
    await splits.failSplit({ splitId: split!.splitId, epoch, error });
    expect((await lease())!.split!.ranges).toMatchObject([
      { startOffset: 0n, endOffset: 20n },
      { startOffset: 20n, endOffset: 30n },
    ]);
  });

  test('offsets that retention took before they were read: lost only when the policy passes errors', async () => {
    await segment('t', 0, 0, 30);
    await start({ topics: [{ name: 't' }], maxAttempts: 1 });
    const { split, epoch } = (await lease())!;
    await rm(join(folder, 'log', `t-0-${TOPIC_ID}`), { recursive: true });
    await segment('t', 0, 30, 40);
    const error = { kind: ErrorKind.NOT_FOUND, code: 'segment-missing', message: 'gone', retryable: false };
    await splits.failSplit({ splitId: split!.splitId, epoch, error });
    await topics.resumeTopic({ topic: 't' });
    const again = (await lease())!;
    expect(again.split!.splitId).toBe(split!.splitId);
    await splits.failSplit({ splitId: split!.splitId, epoch: again.epoch, error });
    await topics.updateTopic({ topic: 't', errorPolicy: ErrorPolicy.SKIP });
    await topics.resumeTopic({ topic: 't' });
    const next = (await lease())!;
    expect(next.split).toMatchObject({ startOffset: 30n, endOffset: 40n });
    await complete(next);
    await expect.poll(async () => (await status('t')).lag, WAIT).toBe(0n);
    expect(await status('t')).toMatchObject({ recordCount: 10n, error: { code: 'log-gap' } });
  });

  test('a stop ends waiting calls and streams at once and keeps leases', async () => {
    await segment('t', 0, 0, 10);
    await start({ topics: [{ name: 't' }] });
    const held = (await lease())!;
    const watched = (async () => {
      for await (const _ of ledger.watchLedger({}));
    })();
    const waiting = lease(30_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = Date.now();
    const stopped = service.stop();
    expect(await waiting).toBeUndefined();
    await watched;
    await stopped;
    expect(Date.now() - before).toBeLessThan(3_000);
    await start({ topics: [{ name: 't' }] });
    await complete(held);
  });
});
