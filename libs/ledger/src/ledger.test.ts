import { create } from '@bufbuild/protobuf';
import { testDatabaseUrl } from '@millrace/database/testing';
import { ErrorDetailSchema, ErrorKind, ErrorPolicy, TableFormat } from '@millrace/proto/common';
import { TopicState, VersionKind } from '@millrace/proto/metadata_discovery';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changeSchema, proposeRewrite } from './changes.ts';
import { commitTable } from './commit.ts';
import { completeSplit } from './completion.ts';
import { forgetFiles, listFiles, listKeptPaths, listRemovedFiles } from './files.ts';
import { expireLeases, failSplit, type GivenLease, heartbeatSplit, leaseSplit } from './leases.ts';
import { type LedgerDb, openLedger } from './ledger-database.ts';
import { addPartition, listPartitions, newestYield, pendingWork, planSplits } from './plan.ts';
import { getTable, listTables } from './tables.ts';
import { dropTopic, pauseTopic, resumeTopic, updateTopic } from './topic-state.ts';
import { createTopic, getTopic } from './topics.ts';
import { expireVersions, listVersions } from './versions.ts';

const LEASES = { leaseMs: 60_000, maxAttempts: 3, backoffMs: 1_000 };
const format = { encoding: 'avro', framing: 'confluent', fixedSchemaId: 0 };
const when = { nowMs: 1_000, traceparent: '' };

let db: LedgerDb;
let close: () => Promise<void>;
beforeEach(async () => ({ db, close } = await openLedger(testDatabaseUrl())));
afterEach(() => close());

const enable = (topic: string, name = topic) =>
  createTopic(db, {
    topic,
    table: { namespace: 'demo', name },
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
    mergedSchemas: [{ key: false, registryId: 7 }],
    nowMs: 1_000,
    traceparent: '',
  });

const table = (name: string) => ({ namespace: 'demo', name });
const uuid = async (topic: string) => (await getTopic(db, topic)).tableUuid;

async function plan(topic: string, partition: number, ...ends: number[]) {
  const tableUuid = await uuid(topic);
  await addPartition(db, tableUuid, partition, 0);
  const { plannedOffset } = (await listPartitions(db, tableUuid)).find((p) => p.partition === partition)!;
  const starts = [plannedOffset, ...ends.slice(0, -1)];
  return planSplits(
    db,
    { tableUuid, partition, nowMs: 1_000, traceparent: 'tp' },
    ends.map((endOffset, i) => ({ startOffset: starts[i]!, endOffset, ranges: [], transactionIndexKeys: [] })),
  );
}

const fileOf = (path: string, partition: number, start: bigint, end: bigint) => ({
  path,
  sizeBytes: 100n,
  recordCount: end - start,
  schemaId: 0,
  rowGroupOffsets: [4n],
  columns: [{ fieldId: 1, sizeBytes: 50n, valueCount: end - start, nullCount: 0n, lowerBound: Uint8Array.of(1) }],
  offsets: [{ partition, startOffset: start, endOffset: end }],
});

/** Leases the next split and completes it with one file. */
async function convert(nowMs = 1_000) {
  const lease = (await leaseSplit(db, 'me', nowMs, LEASES))!;
  const { splitId, partition, startOffset, endOffset } = lease.split;
  const path = `data/${splitId}-${lease.epoch}.parquet`;
  const files = [fileOf(path, partition, startOffset, endOffset)];
  await completeSplit(db, { splitId, epoch: Number(lease.epoch), files, deadLetters: [], skippedCount: 0, nowMs });
  return path;
}

const versionsOf = async (name: string) =>
  (await listVersions(db, { table: table(name), afterVersion: 0, pageSize: 100, withoutFiles: false })).versions;
const error = (retryable: boolean) =>
  create(ErrorDetailSchema, { kind: ErrorKind.CORRUPT, code: 'batch-crc-mismatch', message: 'bad', retryable });

test('what the newest committed splits became is known, of waiting ones nothing', async () => {
  await enable('orders');
  const tableUuid = await uuid('orders');
  expect(await newestYield(db, tableUuid)).toEqual({ logBytes: 0, dataBytes: 0 });
  await addPartition(db, tableUuid, 0, 0);
  const range = { objectKey: 'a', startByte: 50n, endByte: 250n };
  const split = (startOffset: number) => ({
    ...{ startOffset, endOffset: startOffset + 10 },
    ranges: [range, range],
    transactionIndexKeys: [],
  });
  await planSplits(db, { tableUuid, partition: 0, ...when }, [split(0), split(10), split(20)]);
  await convert();
  await convert();
  await commitTable(db, tableUuid, when);
  await convert();
  expect(await newestYield(db, tableUuid)).toEqual({ logBytes: 800, dataBytes: 200 });
});

describe('topics and tables', () => {
  test('a table begins with CREATE; its name and its topic are taken', async () => {
    await enable('orders');
    const [version] = await versionsOf('orders');
    expect(version).toMatchObject({ kind: VersionKind.CREATE, version: 1n, tableSchemaJson: '{"schema-id":0}' });
    await expect(enable('orders')).rejects.toMatchObject({ kind: 'already-exists', code: 'topic-enabled' });
    await expect(enable('others', 'orders')).rejects.toMatchObject({ kind: 'already-exists', code: 'table-exists' });
    expect((await listTables(db, { includeDropped: false, pageSize: 10, pageToken: '' })).tables).toHaveLength(1);
  });

  test('formats and schema are versions; an unchanged value is none; another base schema is a conflict', async () => {
    await enable('orders');
    const both = [TableFormat.ICEBERG, TableFormat.DELTA];
    await updateTopic(db, 'orders', { formats: both, commitBytes: 5 }, when);
    await updateTopic(db, 'orders', { formats: both }, when);
    const change = {
      tableUuid: await uuid('orders'),
      fromSchemaId: 0,
      schemaId: 1,
      tableSchemaJson: '{"schema-id":1}',
      mergedSchemas: [],
      ...when,
    };
    expect(await changeSchema(db, change)).toBe(3);
    await expect(changeSchema(db, change)).rejects.toMatchObject({ kind: 'conflict' });
    const [, formats, schema] = await versionsOf('orders');
    expect(formats).toMatchObject({ kind: VersionKind.FORMATS, formats: both, schemaId: 0 });
    expect(schema).toMatchObject({ kind: VersionKind.SCHEMA, schemaId: 1, tableSchemaJson: '{"schema-id":1}' });
    expect(await getTable(db, table('orders'))).toMatchObject({ version: 3n, tableSchemaJson: '{"schema-id":1}' });
  });

  test('a drop makes leases stale; the name can be used again, in a folder of its own once the purge is done', async () => {
    await enable('orders');
    await plan('orders', 0, 10, 20);
    const path = await convert();
    await commitTable(db, await uuid('orders'), when);
    const lease = (await leaseSplit(db, 'me', 1_000, LEASES))!;
    await dropTopic(db, 'orders', true, when);
    await dropTopic(db, 'orders', true, when);
    await expect(heartbeatSplit(db, lease.split.splitId, 1, 1_000, 60_000)).rejects.toMatchObject({
      kind: 'stale-lease',
    });
    expect((await getTopic(db, 'orders')).state).toBe(TopicState.DROPPED);
    const versions = await versionsOf('orders');
    expect(versions.at(-1)).toMatchObject({ kind: VersionKind.DROP, removed: [] });
    await expect(enable('orders')).rejects.toMatchObject({ kind: 'conflict', code: 'table-purging' });
    const removed = { table: table('orders'), removedBeforeMs: 1_000, removedByVersion: 99, pageSize: 10 };
    expect(await listRemovedFiles(db, removed)).toEqual([path]);
    await forgetFiles(db, table('orders'), [path]);
    await enable('orders');
    const again = await getTable(db, table('orders'));
    expect(again).toMatchObject({ version: 1n, dropped: false });
    expect(again.location).toMatch(/^file:\/\/\/w\/demo\/orders-[0-9a-f]{8}$/);
  });
});

describe('splits', () => {
  /** Plans splits of one offset and so many bytes in partition 0. */
  async function planBytes(topic: string, ...sizes: number[]) {
    const tableUuid = await uuid(topic);
    await addPartition(db, tableUuid, 0, 0);
    const { plannedOffset } = (await listPartitions(db, tableUuid))[0]!;
    const splits = sizes.map((bytes, i) => ({
      ...{ startOffset: plannedOffset + i, endOffset: plannedOffset + i + 1, transactionIndexKeys: [] },
      ranges: [{ objectKey: 'a', startByte: 7n, endByte: 7n + BigInt(bytes) }],
    }));
    await planSplits(db, { tableUuid, partition: 0, nowMs: 1_000, traceparent: '' }, splits);
  }

  async function leaseAll(): Promise<string> {
    const order: string[] = [];
    for (;;) {
      const lease = await leaseSplit(db, 'me', 1_000, LEASES);
      if (lease === undefined) return order.join(' ');
      order.push(`${lease.split.topic}${lease.split.startOffset}`);
    }
  }

  test('topics take turns, the oldest plan first: a large split is a turn, small ones share one', async () => {
    for (const topic of ['a', 'b', 'c']) await enable(topic);
    await planBytes('a', 5_000_000, 5_000_000, 3_000_000, 3_000_000, 1);
    await planBytes('b', 100, 100, 100);
    await planBytes('c', ...Array.from({ length: 10 }, () => 100));
    expect(await leaseAll()).toBe('a0 b0 b1 b2 c0 c1 c2 c3 c4 c5 c6 c7 a1 c8 c9 a2 a3 a4');
    // Who had nothing for long is next, however much the others have waiting.
    await planBytes('a', 5_000_000, 5_000_000);
    await planBytes('b', 100);
    expect(await leaseAll()).toBe('b3 a5 a6');
  });

  test('a planned offset moves once; splits that leave a gap are refused', async () => {
    await enable('a');
    await plan('a', 0, 10);
    const at = { tableUuid: await uuid('a'), partition: 0, nowMs: 1, traceparent: '' };
    const split = { startOffset: 0, endOffset: 10, ranges: [], transactionIndexKeys: [] };
    await expect(planSplits(db, at, [split])).rejects.toMatchObject({ kind: 'conflict' });
    await expect(planSplits(db, at, [{ ...split, startOffset: 10, endOffset: 10 }])).rejects.toMatchObject({
      code: 'split-not-contiguous',
    });
  });

  test('the newest epoch alone heartbeats, completes and fails; completing again is harmless', async () => {
    await enable('a');
    const [splitId] = (await plan('a', 0, 10)) as [string];
    await leaseSplit(db, 'one', 1_000, LEASES);
    expect(await heartbeatSplit(db, splitId, 1, 2_000, 60_000)).toBe(62_000);
    expect(await expireLeases(db, 61_999, LEASES)).toEqual([]);
    expect(await expireLeases(db, 62_000, LEASES)).toMatchObject([{ topic: 'a', suspended: false }]);
    expect(await leaseSplit(db, 'two', 62_999, LEASES)).toBeUndefined();
    expect(await leaseSplit(db, 'two', 63_000, LEASES)).toMatchObject({ epoch: 2n, traceparent: 'tp' });
    const done = { splitId, files: [], deadLetters: [], skippedCount: 0, nowMs: 63_000 };
    await expect(completeSplit(db, { ...done, epoch: 1 })).rejects.toMatchObject({ kind: 'stale-lease' });
    await expect(heartbeatSplit(db, splitId, 1, 63_000, 60_000)).rejects.toMatchObject({ kind: 'stale-lease' });
    const failed = { splitId, epoch: 1, released: false, error: undefined, nowMs: 63_000 };
    await expect(failSplit(db, failed, LEASES)).rejects.toMatchObject({ kind: 'stale-lease' });
    await completeSplit(db, { ...done, epoch: 2 });
    await completeSplit(db, { ...done, epoch: 2 });
    await commitTable(db, await uuid('a'), when);
    await completeSplit(db, { ...done, epoch: 2 });
    expect((await versionsOf('a')).at(-1)).toMatchObject({
      added: [],
      offsets: [{ partition: 0, startOffset: 0n, endOffset: 10n }],
    });
  });

  test('retryable errors suspend after the last attempt, others at once; released leases are unblamed', async () => {
    await enable('a');
    const [splitId] = (await plan('a', 0, 10)) as [string];
    let nowMs = 0;
    const attempt = async (released: boolean, retryable: boolean) => {
      nowMs += 60_000;
      const lease = (await leaseSplit(db, 'me', nowMs, LEASES))!;
      return failSplit(db, { splitId, epoch: Number(lease.epoch), released, error: error(retryable), nowMs }, LEASES);
    };
    for (let i = 0; i < 5; i++) expect(await attempt(true, true)).toMatchObject({ suspended: false });
    expect(await attempt(false, true)).toMatchObject({ suspended: false });
    expect(await attempt(false, true)).toMatchObject({ suspended: false });
    expect(await attempt(false, true)).toMatchObject({ suspended: true });
    expect(await getTopic(db, 'a')).toMatchObject({ state: TopicState.SUSPENDED, error: { message: 'bad' } });
    expect(await leaseSplit(db, 'me', nowMs * 2, LEASES)).toBeUndefined();
    expect(await resumeTopic(db, 'a')).toMatchObject({ state: TopicState.RUNNING, error: undefined });
    expect(await attempt(false, false)).toMatchObject({ suspended: true });
    await resumeTopic(db, 'a');
    expect((await pauseTopic(db, 'a')).state).toBe(TopicState.PAUSED);
    expect(await leaseSplit(db, 'me', nowMs * 2, LEASES)).toBeUndefined();
  });

  test('files must carry the split in their name and lie in its offsets, and are known once', async () => {
    await enable('a');
    const [splitId] = (await plan('a', 0, 10)) as [string];
    await leaseSplit(db, 'me', 1_000, LEASES);
    const complete = (...files: ReturnType<typeof fileOf>[]) =>
      completeSplit(db, { splitId, epoch: 1, files, deadLetters: [], skippedCount: 0, nowMs: 1_000 });
    for (const file of [
      fileOf('data/x.parquet', 0, 0n, 10n),
      fileOf(`data/${splitId}-/../x`, 0, 0n, 10n),
      fileOf(`${splitId}-x`, 0, 0n, 10n),
      fileOf(`data/${splitId}-x`, 0, 0n, 11n),
      fileOf(`data/${splitId}-x`, 1, 0n, 10n),
    ])
      await expect(complete(file)).rejects.toMatchObject({ kind: 'invalid' });
    const file = fileOf(`data/${splitId}-x`, 0, 0n, 10n);
    await expect(complete(file, file)).rejects.toMatchObject({ kind: 'conflict', code: 'file-known' });
    await complete(file);
  });
});

describe('versions and files', () => {
  test('a commit takes the contiguous prefix of every partition, in offset order', async () => {
    await enable('a');
    await plan('a', 0, 10, 20, 30);
    await plan('a', 1, 5);
    const leases: GivenLease[] = [];
    for (let i = 0; i < 4; i++) leases.push((await leaseSplit(db, 'me', 1_000, LEASES))!);
    const complete = async (i: number) => {
      const { splitId, partition, startOffset, endOffset } = leases[i]!.split;
      const files = [fileOf(`data/${splitId}-a`, partition, startOffset, endOffset)];
      const deadLetters = [{ path: `_dead_letters/${splitId}-a`, sizeBytes: 1n, recordCount: 2n }];
      await completeSplit(db, { splitId, epoch: 1, files, deadLetters, skippedCount: 1, nowMs: 1_000 });
      return files[0]!.path;
    };
    const byStart = (p: number, s: number) =>
      leases.findIndex((lease) => lease.split.partition === p && Number(lease.split.startOffset) === s);
    await complete(byStart(0, 10));
    expect(await commitTable(db, await uuid('a'), when)).toBeUndefined();
    expect(await pendingWork(db, await uuid('a'))).toMatchObject({ leased: 3, converted: 1, committable: 0 });
    const kept = await listKeptPaths(db, { table: table('a'), pageSize: 10, pageToken: '' });
    expect([kept.paths.length, kept.prefixes.length]).toEqual([2, 8]);
    await complete(byStart(0, 0));
    await complete(byStart(1, 0));
    expect(await pendingWork(db, await uuid('a'))).toMatchObject({ committable: 3, committableBytes: 300 });
    expect(await commitTable(db, await uuid('a'), { nowMs: 9_000, traceparent: '' })).toMatchObject({
      recordCount: 25,
    });
    const version = (await versionsOf('a')).at(-1)!;
    expect(version.added.map((file) => file.offsets[0])).toMatchObject([
      { partition: 0, startOffset: 0n },
      { partition: 0, startOffset: 10n },
      { partition: 1, startOffset: 0n },
    ]);
    expect(version.added[0]!.columns).toMatchObject([{ fieldId: 1, nullCount: 0n, lowerBound: Uint8Array.of(1) }]);
    expect(version).toMatchObject({
      offsets: [
        { partition: 0, startOffset: 0n, endOffset: 20n },
        { partition: 1, startOffset: 0n, endOffset: 5n },
      ],
      skippedCount: 3n,
      createdMs: 9_000n,
    });
    expect(version.deadLetters).toHaveLength(3);
    // A clock that steps back does not make an older version.
    await complete(byStart(0, 20));
    await commitTable(db, await uuid('a'), { nowMs: 5, traceparent: '' });
    expect((await versionsOf('a')).at(-1)).toMatchObject({ createdMs: 9_000n, positions: [{ endOffset: 30n }, {}] });
  });

  test('a rewrite replaces live files once, keeps rows, and conflicts when one is gone', async () => {
    await enable('a');
    await plan('a', 0, 10, 20);
    const paths = [await convert(), await convert()];
    await commitTable(db, await uuid('a'), when);
    const rewrite = {
      table: table('a'),
      removedPaths: paths,
      added: [fileOf('data/rewrite-r-0.parquet', 0, 0n, 20n)],
      proposalId: 'r',
      nowMs: 2_000,
      traceparent: '',
    };
    const fewer = { ...rewrite, added: [fileOf('data/rewrite-r-0.parquet', 0, 0n, 19n)] };
    await expect(proposeRewrite(db, fewer)).rejects.toMatchObject({ code: 'rewrite-row-count' });
    // A sweep of a newer job may have taken what an older one wrote, and the other way round.
    const kept = (maintenanceEpoch: number) =>
      listKeptPaths(db, { table: table('a'), pageSize: 10, pageToken: '', maintenanceEpoch });
    await kept(7);
    const superseded = { kind: 'conflict', code: 'maintenance-superseded', retryable: false };
    await expect(proposeRewrite(db, { ...rewrite, maintenanceEpoch: 6 })).rejects.toMatchObject(superseded);
    await expect(kept(6)).rejects.toMatchObject(superseded);
    await kept(0);
    expect(await proposeRewrite(db, { ...rewrite, maintenanceEpoch: 7 })).toEqual({ version: 3, topic: 'a' });
    expect(await proposeRewrite(db, rewrite)).toEqual({ version: 3, topic: 'a' });
    await expect(proposeRewrite(db, { ...rewrite, proposalId: 's' })).rejects.toMatchObject({ kind: 'conflict' });
    const version = (await versionsOf('a')).at(-1)!;
    expect(version).toMatchObject({ kind: VersionKind.REWRITE, offsets: [], positions: [{ endOffset: 20n }] });
    expect(version.removed.map((file) => [file.path, file.columns.length])).toEqual(paths.sort().map((p) => [p, 0]));
    const at = (v: number) =>
      listFiles(db, { table: table('a'), version: v, pageSize: 100, pageToken: '', withoutColumns: true });
    expect((await at(2)).files.map((file) => file.path)).toEqual(paths);
    expect((await at(0)).files.map((file) => file.path)).toEqual(['data/rewrite-r-0.parquet']);
    await expect(at(4)).rejects.toMatchObject({ kind: 'not-found' });
  });

  test('pages end and go on; expired versions say which is the oldest', async () => {
    await enable('a');
    await plan('a', 0, 1, 2, 3, 4, 5);
    for (let i = 0; i < 5; i++) {
      await convert();
      await commitTable(db, await uuid('a'), { nowMs: 1_000 + i, traceparent: '' });
    }
    const page = await listVersions(db, { table: table('a'), afterVersion: 1, pageSize: 2, withoutFiles: true });
    expect([page.versions.map((v) => v.version), page.more]).toEqual([[2n, 3n], true]);
    const seen: string[] = [];
    for (let token: string | undefined = ''; token !== undefined; ) {
      const files = await listFiles(db, {
        table: table('a'),
        version: 0,
        pageSize: 2,
        pageToken: token,
        withoutColumns: false,
      });
      seen.push(...files.files.map((file) => file.path));
      token = files.nextPageToken || undefined;
    }
    expect(new Set(seen).size).toBe(5);
    const expire = (beforeMs: number, beforeVersion: number) =>
      expireVersions(db, { table: table('a'), beforeMs, beforeVersion });
    expect(await expire(1_002, 99)).toBe(3);
    expect(await expire(1_002, 99)).toBe(0);
    await expect(versionsOf('a')).rejects.toMatchObject({ kind: 'conflict', context: { oldest: '4' } });
    expect(await expire(9_999, 4)).toBe(1);
    expect(await expire(9_999, 99)).toBe(1);
    const [last] = (await listVersions(db, { table: table('a'), afterVersion: 5, pageSize: 9, withoutFiles: false }))
      .versions;
    expect(last).toMatchObject({ offsets: [{ startOffset: 4n }], positions: [{ startOffset: 0n, endOffset: 5n }] });
  });

  test('versions and pages also end by their size', async () => {
    await enable('a');
    await plan('a', 0, 1, 2, 3, 4);
    for (let i = 0; i < 4; i++) {
      const { split, epoch } = (await leaseSplit(db, 'me', 1_000, LEASES))!;
      const file = fileOf(`data/${split.splitId}-0`, 0, split.startOffset, split.endOffset);
      file.columns[0]!.lowerBound = new Uint8Array(700_000);
      const done = { splitId: split.splitId, epoch: Number(epoch), files: [file], deadLetters: [] };
      await completeSplit(db, { ...done, skippedCount: 0, nowMs: 1_000 });
    }
    expect(await commitTable(db, await uuid('a'), when)).toMatchObject({ fileCount: 2, more: true });
    expect(await commitTable(db, await uuid('a'), when)).toMatchObject({ fileCount: 2, more: false });
    const request = { table: table('a'), pageSize: 100 };
    const page = await listVersions(db, { ...request, afterVersion: 0, withoutFiles: false });
    expect([page.versions.length, page.more]).toEqual([2, true]);
    expect((await listVersions(db, { ...request, afterVersion: 0, withoutFiles: true })).more).toBe(false);
    const files = await listFiles(db, { ...request, version: 0, pageToken: '', withoutColumns: false });
    expect(files.files.length).toBeLessThan(4);
    const rest = await listFiles(db, {
      ...request,
      version: 0,
      pageToken: files.nextPageToken,
      withoutColumns: false,
    });
    expect([files.files.length + rest.files.length, rest.nextPageToken]).toEqual([4, '']);
  });
});
