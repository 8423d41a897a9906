import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import {
  type CompressionCodec,
  encodeRecordBatch,
  encodeTransactionMarker,
  type NewRecord,
  scanSegment,
} from '@millrace/kafka-log';
import { localStore, type ObjectStore } from '@millrace/object-store';
import { openParquet, type Row, rowsFromBatch } from '@millrace/parquet';
import { ErrorPolicy } from '@millrace/proto/common';
import {
  type CompleteSplitRequest,
  type FailSplitRequest,
  type LeaseSchema,
  SplitService,
} from '@millrace/proto/metadata_discovery';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { implement, serve } from '@millrace/rpc';
import { decodeSingleValue, deriveTableSchema, parseAvroSchema, toIcebergSchemaJson } from '@millrace/schema';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createParquetConverter, parquetConverterConfig } from './index.ts';

setLogLevel('silent');

// Schemas: 1 is the first, 2 adds a field.
const AVRO = [
  '',
  '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}',
  '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"]},{"name":"qty","type":["null","int"],"default":null}]}',
];
const tableJson = (id: number) => {
  const schema = deriveTableSchema({
    value: { encoding: 'avro', schema: parseAvroSchema(AVRO[id]!) },
    key: { encoding: 'bytes' },
  });
  return toIcebergSchemaJson({ ...schema, schemaId: id });
};
const ID_FIELD = 1;

const varint = (value: number) => {
  const out: number[] = [];
  for (let rest = value * 2; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) | 128);
  }
};
const order = (schemaId: number, id: number, note?: string) =>
  Uint8Array.from([
    ...[0, 0, 0, 0, schemaId],
    ...varint(id),
    ...(note === undefined ? [0] : [2, ...varint(Buffer.byteLength(note)), ...Buffer.from(note)]),
    ...(schemaId === 2 ? [2, ...varint(id)] : []),
  ]);
const record = (value: Uint8Array | null): NewRecord => ({
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('k'),
  value,
});
const batch = (baseOffset: number, values: (Uint8Array | null)[], codec: CompressionCodec = 'zstd') =>
  encodeRecordBatch({ baseOffset, records: values.map(record), codec });

let folder: string;
let store: ObjectStore;
let ends: (() => unknown)[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'converter-'));
  store = localStore(folder);
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  await rm(folder, { recursive: true });
});

type Outcome = { completed: CompleteSplitRequest } | { failed: FailSplitRequest };

interface World {
  log: Uint8Array;
  endOffset: number;
  policy?: ErrorPolicy;
  /** Bytes through segment-reader instead of ranges. */
  streamed?: boolean;
  aborted?: { producerId: bigint; firstOffset: bigint; lastOffset: bigint }[];
  config?: Record<string, unknown>;
  onHeartbeat?: (count: number) => void;
  onResolve?: (schemaId: number) => void;
  onComplete?: (request: CompleteSplitRequest, count: number) => void;
  /** What the reader waits for before it ends. */
  readerGate?: Promise<void>;
}

/** A converter with a discovery that has one split, and a reader over a local folder. */
async function startWorld(world: World) {
  const key = 'orders-3-AAAAAAAAAAAAAAAAAAAAAA/0.log';
  await store.put(`log/${key}`, world.log);
  const logStore = localStore(join(folder, 'log'));
  const span = { objectKey: key, startByte: 0n, endByte: BigInt(world.log.length), segmentBaseOffset: 0n };
  const range = { ...span, startOffset: 0n, endOffset: BigInt(world.endOffset) };
  const lease: MessageInitShape<typeof LeaseSchema> = {
    epoch: 4n,
    split: {
      splitId: 'split7',
      topic: 'orders',
      table: { namespace: 'shop', name: 'orders' },
      location: `file://${folder}/table`,
      partition: 3,
      startOffset: 0n,
      endOffset: BigInt(world.endOffset),
      ranges: [range],
      errorPolicy: world.policy ?? ErrorPolicy.SUSPEND,
      tableSchemaJson: tableJson(1),
      keyFormat: { encoding: 'bytes', framing: 'none' },
      valueFormat: { encoding: 'avro', framing: 'confluent' },
    },
  };
  let leased = false;
  let heartbeats = 0;
  let completions = 0;
  let settle!: (outcome: Outcome) => void;
  const outcome = new Promise<Outcome>((resolve) => (settle = resolve));
  const discovery = implement(SplitService, {
    async leaseSplit(request, call) {
      if (!leased) {
        leased = true;
        return { lease };
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, request.waitMs);
        call.signal.addEventListener('abort', () => resolve(clearTimeout(timer)));
      });
      return {};
    },
    async heartbeatSplit() {
      world.onHeartbeat?.(++heartbeats);
      return { expiresMs: 0n };
    },
    async completeSplit(request) {
      world.onComplete?.(request, ++completions);
      settle({ completed: request });
      return {};
    },
    async failSplit(request) {
      settle({ failed: request });
      return {};
    },
    async resolveSchema(request) {
      world.onResolve?.(request.schemaId);
      const schemaText = AVRO[request.schemaId];
      if (!schemaText)
        throw new MillraceError('not-found', `no schema has the id ${request.schemaId}`, { code: 'schema-unknown' });
      return { schemaType: 'avro', schemaText, tableSchemaJson: tableJson(request.schemaId) };
    },
  });
  const reader = implement(SegmentReaderService, {
    async *readSplit(request) {
      const value = {
        ranges: world.streamed ? [] : [range],
        storeId: request.readableStores[0] ?? '',
        aborted: world.aborted ?? [],
      };
      yield { message: { case: 'plan', value } };
      if (!world.streamed) return;
      const scanned = {
        key,
        startByte: 0,
        endByte: world.log.length,
        startOffset: 0,
        endOffset: world.endOffset,
        segmentBaseOffset: 0,
      };
      for await (const piece of scanSegment(logStore, scanned, { runBytes: 200 })) {
        if (piece.kind !== 'batches') continue;
        const value = { data: piece.bytes, objectKey: key, startByte: BigInt(piece.startByte) };
        yield { message: { case: 'batches', value } };
      }
      await world.readerGate;
    },
  });
  const serving = await serve({ name: 'fake', host: '127.0.0.1', port: 0, services: [discovery, reader] });
  const converter = await createParquetConverter(
    parquetConverterConfig.parse({
      port: 0,
      discoveryAddress: serving.address,
      segmentReaderAddress: serving.address,
      logStoreUri: world.streamed ? '' : join(folder, 'log'),
      leaseWaitMs: 5_000,
      heartbeatMs: 50,
      drainMs: 200,
      ...world.config,
    }),
  );
  ends.push(
    () => serving.stop(0),
    () => converter.stop(),
  );
  return { outcome, converter };
}

const convert = async (world: World) => (await startWorld(world)).outcome;

async function completed(world: World): Promise<CompleteSplitRequest> {
  const outcome = await convert(world);
  if (!('completed' in outcome)) throw new Error(outcome.failed.error?.message);
  return outcome.completed;
}

async function failure(world: World) {
  const outcome = await convert(world);
  if (!('failed' in outcome)) throw new Error('it was completed');
  return outcome.failed;
}

async function keys(prefix = 'table/'): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}

async function readRows(path: string): Promise<Row[]> {
  const bytes = await store.get(`table/${path}`);
  const file = await openParquet({ size: bytes.length, read: async (start, end) => bytes.subarray(start, end) });
  const rows: Row[] = [];
  for await (const batch of file.read()) rows.push(...rowsFromBatch(batch));
  return rows;
}

const ids = (from: number, count: number, schemaId = 1) =>
  Array.from({ length: count }, (_, i) => order(schemaId, from + i, i % 3 === 0 ? undefined : `note ${i}`));

test.each([false, true])('a split becomes one file with bounds and offsets (streamed: %s)', async (streamed) => {
  const log = Buffer.concat([batch(0, ids(100, 50)), batch(50, ids(150, 50), 'lz4'), batch(100, [null, null])]);
  const request = await completed({ log, endOffset: 102, streamed });
  expect(request).toMatchObject({ splitId: 'split7', epoch: 4n, skippedCount: 0n, deadLetters: [] });
  expect(request.files).toHaveLength(1);
  const [file] = request.files;
  expect(file).toMatchObject({
    path: 'data/split7-4-0.parquet',
    recordCount: 102n,
    schemaId: 1,
    offsets: [{ partition: 3, startOffset: 0n, endOffset: 102n }],
  });
  expect(file!.rowGroupOffsets).toEqual([4n]);
  const id = file!.columns.find((column) => column.fieldId === ID_FIELD)!;
  expect(id).toMatchObject({ valueCount: 102n, nullCount: 2n });
  expect(decodeSingleValue({ kind: 'long' }, id.lowerBound!)).toBe(100n);
  expect(decodeSingleValue({ kind: 'long' }, id.upperBound!)).toBe(199n);
  const rows = await readRows(file!.path);
  expect(rows.slice(0, 2)).toMatchObject([
    { id: 100n, note: null, key: Uint8Array.of(107), _kafka: { partition: 3, offset: 0n, op: 'append', schema_id: 1 } },
    { id: 101n, note: 'note 1', _kafka: { offset: 1n, timestamp: 1_700_000_000_000_000n } },
  ]);
  expect(rows[101]).toMatchObject({ id: null, note: null, _kafka: { offset: 101n, op: 'delete', schema_id: null } });
  expect(rows.map((row) => (row['_kafka'] as Row)['offset'])).toEqual(rows.map((_, i) => BigInt(i)));
});

test('files end at their target size and share the offsets without gap', async () => {
  const log = Buffer.concat(Array.from({ length: 40 }, (_, i) => batch(i * 100, ids(i * 100, 100))));
  const config = { targetFileBytes: 20_000, batchBytes: 65_536, chunkBytes: 65_536 };
  const { files } = await completed({ log, endOffset: 4000, config });
  expect(files.length).toBeGreaterThan(1);
  expect(files.map((file) => file.path)).toEqual(files.map((_, i) => `data/split7-4-${i}.parquet`));
  expect(files.reduce((sum, file) => sum + file.recordCount, 0n)).toBe(4000n);
  files.forEach((file, i) => {
    expect(file.offsets[0]!.startOffset).toBe(i === 0 ? 0n : files[i - 1]!.offsets[0]!.endOffset);
    expect(file.recordCount).toBe(file.offsets[0]!.endOffset - file.offsets[0]!.startOffset);
  });
  expect(files.at(-1)!.offsets[0]!.endOffset).toBe(4000n);
});

test('a newer writer schema closes the file; the next one has the table schema that came with it', async () => {
  const asked: number[] = [];
  const log = Buffer.concat([batch(0, ids(0, 10)), batch(10, [...ids(10, 5, 2), ...ids(15, 5, 1), null])]);
  const { files } = await completed({ log, endOffset: 21, onResolve: (id) => asked.push(id) });
  expect(files.map((file) => [file.schemaId, file.recordCount])).toEqual([
    [1, 10n],
    [2, 11n],
  ]);
  expect(asked).toEqual([1, 2]);
  const quantity = files[1]!.columns.find((column) => decodeBound(column.upperBound) === 14);
  expect(quantity).toMatchObject({ valueCount: 11n, nullCount: 6n });
});

const decodeBound = (bound: Uint8Array | undefined) =>
  bound?.length === 4 ? Buffer.from(bound).readInt32LE() : undefined;

test.each([false, true])('aborted records and control records are no rows (streamed: %s)', async (streamed) => {
  const transaction = { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional: true };
  const log = Buffer.concat([
    encodeRecordBatch({ baseOffset: 0, records: ids(0, 5).map(record), ...transaction }),
    batch(5, ids(5, 5)),
    encodeTransactionMarker({ baseOffset: 10, timestampMs: 1, producerId: 5, type: 'abort' }),
    encodeRecordBatch({ baseOffset: 11, records: ids(11, 3).map(record), ...transaction }),
    encodeTransactionMarker({ baseOffset: 14, timestampMs: 1, producerId: 5, type: 'commit' }),
  ]);
  const aborted = [{ producerId: 5n, firstOffset: 0n, lastOffset: 10n }];
  const { files } = await completed({ log, endOffset: 15, aborted, streamed });
  expect(files[0]!.offsets).toMatchObject([{ startOffset: 0n, endOffset: 15n }]);
  expect((await readRows(files[0]!.path)).map((row) => row['id'])).toEqual([5n, 6n, 7n, 8n, 9n, 11n, 12n, 13n]);
});

test('a split without rows has no files', async () => {
  const request = await completed({ log: batch(0, []), endOffset: 5 });
  expect(request.files).toEqual([]);
  expect(await keys()).toEqual([]);
});

/** Offset 12 is broken in each; the code that names it, and how many offsets it costs. */
const broken: [string, () => Uint8Array, string, number][] = [
  [
    'a changed byte',
    () => {
      const bad = batch(10, ids(10, 5));
      bad[70]! ^= 1;
      return Buffer.concat([batch(0, ids(0, 10)), bad, batch(15, ids(15, 5))]);
    },
    'batch-crc-mismatch',
    5,
  ],
  [
    'a truncated segment',
    () => Buffer.concat([batch(0, ids(0, 15)), batch(15, ids(15, 5)).subarray(0, 80)]),
    'segment-truncated',
    5,
  ],
  ['an unknown schema id', () => oneBad(order(9, 1)), 'schema-unknown', 1],
  ['no schema id', () => oneBad(Buffer.from('{"id": 1}')), 'record-undecodable', 1],
  ['a record that ends early', () => oneBad(order(1, 12, 'text').subarray(0, 8)), 'record-undecodable', 1],
];
const oneBad = (value: Uint8Array) => batch(0, [...ids(0, 12), value, null, ...ids(14, 6)]);

test.each(broken)('%s, policy suspend: the split fails and says where and why', async (_, log, code) => {
  const { error, released } = await failure({ log: log(), endOffset: 20 });
  expect(released).toBe(false);
  expect(error).toMatchObject({ code, retryable: false, context: { topic: 'orders', partition: '3' } });
  expect(error!.message).toMatch(/^topic orders, partition 3, offsets? 1\d/);
  expect(error!.message).toMatch(/orders-3-A+\/0\.log/);
  expect(Object.keys(error!.context)).toEqual(expect.arrayContaining(['offset', 'segment', 'byte']));
  expect(await keys()).toEqual([]);
});

test.each(broken)('%s, policy skip: counted, with a sample', async (_, log, code, lost) => {
  const request = await completed({ log: log(), endOffset: 20, policy: ErrorPolicy.SKIP });
  expect(request.skippedCount).toBe(BigInt(lost));
  expect(request.skippedSamples).toMatchObject([{ code }]);
  expect(request.files[0]!.recordCount).toBe(BigInt(20 - lost));
  expect(request.files[0]!.offsets).toMatchObject([{ startOffset: 0n, endOffset: 20n }]);
  expect(request.deadLetters).toEqual([]);
});

test.each(broken)('%s, policy log: a dead letter', async (_, log, code, lost) => {
  const request = await completed({ log: log(), endOffset: 20, policy: ErrorPolicy.LOG });
  expect(request.skippedCount).toBe(0n);
  expect(request.deadLetters).toMatchObject([{ path: '_dead_letters/split7-4.parquet', recordCount: 1n }]);
  expect(request.files[0]!.recordCount).toBe(BigInt(20 - lost));
  expect(await keys()).toEqual(['table/_dead_letters/split7-4.parquet', 'table/data/split7-4-0.parquet']);
  const [letter] = await readRows(request.deadLetters[0]!.path);
  expect(letter).toMatchObject({
    topic: 'orders',
    partition: 3,
    code,
    segment: 'orders-3-AAAAAAAAAAAAAAAAAAAAAA/0.log',
  });
  expect(Number(letter!['last_offset']) - Number(letter!['offset']) + 1).toBe(lost);
  expect(letter!['value'] !== null).toBe(lost === 1);
});

test('nothing but broken records: an unknown schema is asked for once', async () => {
  const asked: number[] = [];
  const log = batch(
    0,
    Array.from({ length: 5000 }, (_, i) => order(9, i)),
  );
  const request = await completed({ log, endOffset: 5000, policy: ErrorPolicy.LOG, onResolve: (id) => asked.push(id) });
  expect(request.files).toEqual([]);
  expect(request.deadLetters[0]!.recordCount).toBe(5000n);
  expect(asked).toEqual([9]);
});

test('a registry that is away is asked again, not counted as broken', async () => {
  let tries = 0;
  const onResolve = () => {
    if (++tries === 1) throw new MillraceError('exhausted', 'busy');
  };
  const request = await completed({ log: batch(0, ids(0, 5)), endOffset: 5, policy: ErrorPolicy.SKIP, onResolve });
  expect(request).toMatchObject({ skippedCount: 0n, files: [{ recordCount: 5n }] });
});

test('a lease that is not the newest any more ends the work and deletes its files', async () => {
  let open!: () => void;
  const readerGate = new Promise<void>((resolve) => (open = resolve));
  let stale!: () => void;
  const wasStale = new Promise<void>((resolve) => (stale = resolve));
  const { outcome } = await startWorld({
    log: batch(0, ids(0, 5)),
    endOffset: 5,
    streamed: true,
    readerGate,
    config: { batchBytes: 65_536 },
    onHeartbeat() {
      stale();
      throw new MillraceError('stale-lease', 'a newer lease exists');
    },
  });
  await wasStale;
  const settled = await Promise.race([outcome, new Promise((resolve) => setTimeout(() => resolve('nothing'), 300))]);
  open();
  expect(settled).toBe('nothing');
  expect(await keys()).toEqual([]);
});

test('a completion that is refused as stale deletes the files', async () => {
  const refused = new Promise<void>((resolve) => {
    void startWorld({
      log: batch(0, ids(0, 5)),
      endOffset: 5,
      onComplete() {
        resolve();
        throw new MillraceError('stale-lease', 'a newer lease exists');
      },
    });
  });
  await refused;
  await expect.poll(() => keys()).toEqual([]);
});

test('a completion whose answer got lost is repeated with the same files', async () => {
  const seen: number[] = [];
  const request = await completed({
    log: batch(0, ids(0, 5)),
    endOffset: 5,
    onComplete(completion, count) {
      seen.push(completion.files.length);
      if (count === 1) throw new MillraceError('deadline', 'too slow');
    },
  });
  expect(seen).toEqual([1, 1]);
  expect(await keys()).toEqual([`table/${request.files[0]!.path}`]);
});

test('a drain releases a split that does not end in time, without blame', async () => {
  let open!: () => void;
  const readerGate = new Promise<void>((resolve) => (open = resolve));
  let beat!: () => void;
  const working = new Promise<void>((resolve) => (beat = resolve));
  const world = { log: batch(0, ids(0, 5)), endOffset: 5, streamed: true, readerGate, onHeartbeat: () => beat() };
  const { outcome, converter } = await startWorld(world);
  await working;
  await converter.stop();
  open();
  expect(await outcome).toMatchObject({ failed: { splitId: 'split7', epoch: 4n, released: true } });
  expect(await keys()).toEqual([]);
});
