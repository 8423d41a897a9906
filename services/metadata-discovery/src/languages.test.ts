import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createSegmentBuilder, encodeRecordBatch, formatPartitionFolder, formatSegmentFile } from '@millrace/kafka-log';
import { localStore } from '@millrace/object-store';
import { SplitService, TopicService } from '@millrace/proto/metadata_discovery';
import { createClient, type RunningService } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetadataDiscovery, metadataDiscoveryConfig } from './index.ts';

setLogLevel('silent');
const ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const ORDER =
  'syntax = "proto3"; package shop; message Item { string sku = 1; } message Order { int64 id = 1; repeated Item items = 2; }';
let folder: string;
let service: RunningService;
let topics: ReturnType<typeof createClient<typeof TopicService>>;
let splits: ReturnType<typeof createClient<typeof SplitService>>;

async function file(path: string, text: string) {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

async function start(rules: object[]) {
  const uris = {
    logStoreUri: join(folder, 'log'),
    schemaSourceUri: join(folder, 'schemas'),
    warehouseUri: `file://${folder}/w`,
  };
  const config = {
    port: 0,
    databaseUrl: `sqlite:${join(folder, 'l.db')}`,
    ...uris,
    pollMs: 50,
    schemaPollMs: 50,
    settleMs: 0,
  };
  service = await createMetadataDiscovery(metadataDiscoveryConfig.parse({ ...config, topics: rules }));
  topics = createClient(TopicService, service.address);
  splits = createClient(SplitService, service.address);
}

/** A topic with one record in its log. */
async function log(topic: string) {
  const builder = createSegmentBuilder({ baseOffset: 0 });
  builder.append(encodeRecordBatch({ baseOffset: 0, records: [{ timestampMs: 1, value: Uint8Array.of(1) }] }));
  const store = localStore(join(folder, 'log'));
  const dir = formatPartitionFolder({ topic, partition: 0, topicId: ID });
  for (const [suffix, bytes] of Object.entries(builder.finish()))
    await store.put(`${dir}/${formatSegmentFile({ baseOffset: 0, segmentId: ID, suffix: suffix as 'log' })}`, bytes!);
}

async function splitOf(topic: string) {
  await expect
    .poll(async () => (await topics.describeTopic({ topic })).status?.pendingSplits, { timeout: 10_000 })
    .toBe(1);
  return (await splits.leaseSplit({ owner: 'test', waitMs: 5_000 })).lease!.split!;
}

const names = (json: string) => (JSON.parse(json) as { fields: { name: string }[] }).fields.map(({ name }) => name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'languages-'));
});
afterEach(async () => {
  for (const client of [topics, splits]) client.close();
  await service.stop();
  await rm(folder, { recursive: true });
});

test('a Protobuf subject makes a table of the message that no other uses; another message adds its fields', async () => {
  await file('schemas/orders-value/1-5.proto', ORDER);
  await log('orders');
  await start([{ name: 'orders' }]);
  const split = await splitOf('orders');
  expect(split.valueFormat).toMatchObject({ encoding: 'protobuf', framing: 'confluent', message: 'shop.Order' });
  expect(names(split.tableSchemaJson)).toEqual(['id', 'items', 'key', '_kafka']);
  const ask = (schemaId: number, messageIndexes: number[]) =>
    splits.resolveSchema({ topic: 'orders', schemaId, messageIndexes });
  const order = await ask(5, [1]);
  expect(order).toMatchObject({ schemaType: 'protobuf', schemaText: ORDER, message: 'shop.Order' });
  expect(order.tableSchemaJson).toBe(split.tableSchemaJson);
  const item = await ask(5, [0]);
  expect(item.message).toBe('shop.Item');
  expect(names(item.tableSchemaJson).sort()).toEqual(['_kafka', 'id', 'items', 'key', 'sku']);
  expect((await ask(5, [0])).tableSchemaJson).toBe(item.tableSchemaJson);
  await expect(ask(5, [2])).rejects.toMatchObject({ code: 'protobuf-message' });
  // A renamed field is the column that it was; a new one is a new column.
  await file('schemas/orders-value/2-6.proto', ORDER.replace('int64 id = 1;', 'int64 number = 1; string note = 3;'));
  const renamed = names((await ask(6, [1])).tableSchemaJson);
  expect(renamed).toEqual(expect.arrayContaining(['id', 'note']));
  expect(renamed).not.toContain('number');
  await file('schemas/orders-value/3-7.avsc', '"int"');
  await expect(splits.resolveSchema({ topic: 'orders', schemaId: 7 })).rejects.toMatchObject({
    code: 'schema-type-changed',
  });
});

test('what a topic is can be declared: plain records of one schema, JSON as text, strings', async () => {
  await file('schemas/shared/1-9.proto', ORDER);
  await log('plain');
  await start([
    { name: 'plain', value: { encoding: 'protobuf', schemaId: 9, message: 'Item' }, key: { encoding: 'string' } },
  ]);
  const split = await splitOf('plain');
  expect(split.valueFormat).toMatchObject({
    encoding: 'protobuf',
    framing: 'none',
    fixedSchemaId: 9,
    message: 'shop.Item',
  });
  expect(names(split.tableSchemaJson)).toEqual(['sku', 'key', '_kafka']);
  expect(await splits.resolveSchema({ topic: 'plain', schemaId: 9 })).toMatchObject({ message: 'shop.Item' });
  await log('texts');
  const enable = (settings: object) => topics.enableTopic({ topic: 'texts', settings });
  await expect
    .poll(async () => (await topics.listTopics({ includeAvailable: true })).available, { timeout: 10_000 })
    .toContain('texts');
  for (const [valueFormat, message] of [
    [{ encoding: 'xml' }, /"xml" is not known/],
    [{ encoding: 'avro', framing: 'none' }, /needs fixed_schema_id/],
    [{ encoding: 'json', message: 'A' }, /for protobuf/],
    [{ encoding: 'protobuf' }, /no subject texts-value/],
    [{ encoding: 'protobuf', fixedSchemaId: 9, message: 'Nope' }, /no message Nope/],
    [{ encoding: 'protobuf', fixedSchemaId: 9, nanos: 'round' }, /"round" is not known/],
  ] as const)
    await expect(enable({ valueFormat })).rejects.toThrow(message);
  await enable({ valueFormat: { encoding: 'json' } });
  // The same again is harmless, another format is not.
  await enable({ valueFormat: { encoding: 'json' } });
  await expect(enable({ valueFormat: { encoding: 'string' } })).rejects.toThrow(/other settings \(value_format\)/);
  const texts = await splitOf('texts');
  expect(texts.valueFormat).toMatchObject({ encoding: 'json', framing: 'none', fixedSchemaId: 0 });
  expect(names(texts.tableSchemaJson)).toEqual(['value', 'key', '_kafka']);
});
