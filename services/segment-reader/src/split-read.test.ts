import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeRecordBatch, encodeTransactionIndex } from '@millrace/kafka-log';
import { localStore } from '@millrace/object-store';
import { type ReadSplitResponse, SegmentReaderService } from '@millrace/proto/segment_reader';
import { createClient } from '@millrace/rpc';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSegmentReader, segmentReaderConfig } from './index.ts';

const KEY = 'orders-0-AAAAAAAAAAAAAAAAAAAAAA/00000000000000000000-AAAAAAAAAAAAAAAAAAAAAA.log';
const BATCHES = 300;
let folder: string;
let log: Buffer;
let service: Awaited<ReturnType<typeof createSegmentReader>>;
let client: ReturnType<typeof createClient<typeof SegmentReaderService>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segment-reader-'));
  log = Buffer.concat(
    Array.from({ length: BATCHES }, (_, i) =>
      encodeRecordBatch({
        baseOffset: i * 10,
        records: Array.from({ length: 10 }, () => ({ timestampMs: i, value: new Uint8Array(900) })),
      }),
    ),
  );
  const store = localStore(folder);
  await store.put(KEY, log);
  const damaged = Buffer.from(log);
  damaged[damaged.length / 2 + 500]! ^= 1;
  await store.put('damaged.log', damaged);
  const aborted = [
    { producerId: 5, firstOffset: 100, lastOffset: 200, lastStableOffset: 200 },
    { producerId: 6, firstOffset: 5000, lastOffset: 6000, lastStableOffset: 200 },
  ];
  await store.put('a.txnindex', encodeTransactionIndex(aborted));
  const config = segmentReaderConfig.parse({
    port: 0,
    logStoreUri: folder,
    chunkBytes: 500_000,
    messageBytes: 100_000,
  });
  service = await createSegmentReader(config);
  client = createClient(SegmentReaderService, service.address);
});

afterAll(async () => {
  client.close();
  await service.stop();
  await rm(folder, { recursive: true });
});

const split = (objectKey = KEY, more = {}) => ({
  splitId: 's1',
  topic: 'orders',
  partition: 3,
  startOffset: 0n,
  endOffset: 3000n,
  ranges: [
    { objectKey, startByte: 0n, endByte: BigInt(log.length), startOffset: 0n, endOffset: 3000n, segmentBaseOffset: 0n },
  ],
  ...more,
});

async function collect(messages: AsyncIterable<ReadSplitResponse>): Promise<ReadSplitResponse['message'][]> {
  const found: ReadSplitResponse['message'][] = [];
  for await (const { message } of messages) found.push(message);
  return found;
}

test('a caller that reads the store gets ranges and the aborted transactions that touch them', async () => {
  const request = {
    split: split(KEY, { transactionIndexKeys: ['a.txnindex', 'a.txnindex'] }),
    readableStores: ['log'],
  };
  const [plan, ...rest] = await collect(client.readSplit(request));
  expect(plan).toMatchObject({
    case: 'plan',
    value: {
      storeId: 'log',
      ranges: [{ objectKey: KEY }],
      aborted: [{ producerId: 5n, firstOffset: 100n, lastOffset: 200n }],
    },
  });
  expect(rest).toEqual([]);
});

test('another gets the batches as they stand in the log', async () => {
  const [plan, ...rest] = await collect(client.readSplit({ split: split(), readableStores: ['elsewhere'] }));
  expect(plan).toMatchObject({ case: 'plan', value: { ranges: [], storeId: '' } });
  const parts = rest.map((message) => {
    if (message.case !== 'batches') throw new Error('no batches');
    expect(message.value.data.length).toBeLessThanOrEqual(100_000);
    return message.value.data;
  });
  expect(Buffer.concat(parts).equals(log)).toBe(true);
});

test('a broken batch ends the stream with segment, byte and code, or is named when it may be skipped', async () => {
  const error = {
    kind: 'corrupt',
    code: 'batch-crc-mismatch',
    context: { segment: 'damaged.log', topic: 'orders', partition: '3' },
  };
  await expect(collect(client.readSplit({ split: split('damaged.log') }))).rejects.toMatchObject(error);
  const messages = await collect(client.readSplit({ split: split('damaged.log'), skipCorruptBatches: true }));
  const skipped = messages.flatMap((message) => (message.case === 'batches' ? message.value.skipped : []));
  expect(skipped).toMatchObject([
    { baseOffset: 1500n, lastOffset: 1509n, code: 'batch-crc-mismatch', objectKey: 'damaged.log' },
  ]);
});

test('what is not there, or makes no sense, is said', async () => {
  await expect(collect(client.readSplit({ split: split('none.log') }))).rejects.toMatchObject({
    kind: 'not-found',
    code: 'segment-missing',
    retryable: true,
  });
  await expect(collect(client.readSplit({ split: split(KEY, { ranges: [] }) }))).rejects.toMatchObject({
    code: 'split-invalid',
  });
  const lost = split(KEY, { transactionIndexKeys: ['b.txnindex'] });
  await expect(collect(client.readSplit({ split: lost }))).rejects.toMatchObject({ code: 'transaction-index-missing' });
});

test('no more reads at a time than may be; the others are told to try again', async () => {
  const store = localStore(folder);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const get: typeof store.get = async (...args) => {
    await held;
    return store.get(...args);
  };
  const config = segmentReaderConfig.parse({ port: 0, logStoreUri: folder, maxConcurrentReads: 2 });
  const busy = await createSegmentReader(config, { logStore: { ...store, get } });
  const caller = createClient(SegmentReaderService, busy.address);
  const reads = Array.from({ length: 30 }, () =>
    collect(caller.readSplit({ split: split() })).then(
      () => 'read',
      (error) => `${error.kind} ${error.code}`,
    ),
  );
  expect(new Set(await Promise.all(reads.slice(2)))).toEqual(new Set(['exhausted too-many-reads']));
  release();
  expect(await Promise.all(reads.slice(0, 2))).toEqual(['read', 'read']);
  expect((await collect(caller.readSplit({ split: split() }))).length).toBeGreaterThan(0);
  caller.close();
  await busy.stop();
});

test('a slow caller holds the reader back', async () => {
  let read = 0;
  const store = localStore(folder);
  const config = segmentReaderConfig.parse({ port: 0, logStoreUri: folder, chunkBytes: 65_536, messageBytes: 65_536 });
  const large = 60;
  const key = 'large.log';
  // Each batch 1 MB: more than gRPC and the kernel buffer.
  const batch = (i: number) =>
    encodeRecordBatch({ baseOffset: i, records: [{ timestampMs: 1, value: new Uint8Array(1 << 20) }] });
  await store.put(key, Buffer.concat(Array.from({ length: large }, (_, i) => batch(i))));
  const size = batch(0).length * large;
  const get: typeof store.get = (...args) => {
    read += args[1]!.end - args[1]!.start;
    return store.get(...args);
  };
  const counting = { ...store, get };
  const slow = await createSegmentReader(config, { logStore: counting });
  const caller = createClient(SegmentReaderService, slow.address);
  const ranges = [{ ...split().ranges[0]!, objectKey: key, endByte: BigInt(size) }];
  const stream = caller.readSplit({ split: split(key, { ranges }) })[Symbol.asyncIterator]();
  await stream.next();
  await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(read).toBeLessThan((large - 10) << 20);
  await stream.return!(undefined);
  caller.close();
  await slow.stop();
});
