import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commit, loadSnapshot, openTable, readCommit } from '@millrace/delta';
import { localStore, type ObjectStore } from '@millrace/object-store';
import { TableFormat } from '@millrace/proto/common';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import { VersionKind } from '@millrace/proto/metadata_discovery';
import { createClient, type RunningService } from '@millrace/rpc';
import { toIcebergSchemaJson } from '@millrace/schema';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDeltaCommitter, deltaCommitterConfig } from './index.ts';
import { dataFile, type FakeLedger, fakeLedger, REF, SCHEMA } from './ledger.fixture.ts';

const { ICEBERG, DELTA } = TableFormat;
const ONLY_ICEBERG = { formats: [ICEBERG] };
const config = deltaCommitterConfig.parse({ port: 0, logLevel: 'silent' });
let folder: string;
let store: ObjectStore;
let ledger: FakeLedger;
const running: RunningService[] = [];
const clients: { close(): void }[] = [];

beforeEach(async () => {
  setLogLevel('silent');
  folder = await mkdtemp(join(tmpdir(), 'millrace-delta-'));
  store = localStore(folder);
  ledger = fakeLedger(`file://${folder}`);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await Promise.all(running.splice(0).map((service) => service.stop()));
  await rm(folder, { recursive: true });
});

async function start() {
  const service = await createDeltaCommitter(config, { ledger: ledger.client });
  running.push(service);
  const client = createClient(DeltaCommitterService, service.address);
  clients.push(client);
  return client;
}

/** Another engine's commit. */
async function foreignCommit(actions: Parameters<typeof commit>[1]['actions'], operation = 'DELETE') {
  const table = await openTable(store, 'other');
  await commit(table, { now: Date.now(), commitInfo: { operation, engineInfo: 'Spark' }, overDrift: true, actions });
}

const paths = async () => [...(await loadSnapshot(store))!.files.keys()].sort();

test('follows the ledger: schema, statistics, offsets, checkpoints; says where it stands', async () => {
  const client = await start();
  ledger.add(VersionKind.CREATE, { tableSchemaJson: ledger.table.tableSchemaJson });
  await client.projectDelta({ table: REF, version: 1n });
  for (let i = 0; i < 10; i++) ledger.append();
  expect(await client.projectDelta({ table: REF, version: 11n })).toMatchObject({
    ledgerVersion: 11n,
    deltaVersion: 10n,
  });
  const fields = [...SCHEMA.fields, { id: 3, name: 'note', type: { kind: 'int' as const }, required: false }];
  ledger.add(VersionKind.SCHEMA, { tableSchemaJson: toIcebergSchemaJson({ schemaId: 1, lastColumnId: 3, fields }) });
  ledger.add(VersionKind.REWRITE, {
    added: [dataFile('big', 0, 20)],
    removed: [dataFile('f0', 0, 10), dataFile('f10', 10, 20)],
  });
  await client.projectDelta({ table: REF, version: 13n });

  expect(await client.describeDelta({ table: REF })).toMatchObject({
    exists: true,
    enabled: true,
    ledgerVersion: 13n,
    oldestLedgerVersion: 1n,
    deltaVersion: 12n,
    minReaderVersion: 1,
    minWriterVersion: 2,
    recordCount: 100n,
    fileCount: 9n,
    positions: [{ partition: 0, startOffset: 0n, endOffset: 100n }],
    checkpointVersion: 10n,
  });
  const snapshot = (await loadSnapshot(store))!;
  expect(snapshot.metadata).toMatchObject({
    id: ledger.table.tableUuid,
    name: 'orders',
    createdTime: 1_700_000_000_000,
  });
  expect(snapshot.metadata.configuration).toEqual({
    'delta.deletedFileRetentionDuration': 'interval 168 hours',
    'delta.logRetentionDuration': 'interval 168 hours',
    'delta.checkpointInterval': '10',
    'millrace.type-mapping': '1',
    'millrace.table-uuid': ledger.table.tableUuid,
    'millrace.topic': 'orders',
  });
  expect(JSON.parse(snapshot.metadata.schemaString).fields.map(({ name }: { name: string }) => name)).toEqual([
    'id',
    'name',
    'note',
  ]);
  expect(snapshot.files.get('data/f90.parquet')!.stats).toBe(
    '{"numRecords":10,"minValues":{"id":90},"maxValues":{"id":99},"nullCount":{"id":0}}',
  );
  const rewrite = await readCommit(store, 12);
  expect(rewrite.flatMap(({ add, remove }) => add?.dataChange ?? remove?.dataChange ?? [])).toEqual([
    false,
    false,
    false,
  ]);

  const { commits, nextPageToken } = await client.listCommits({ table: REF, pageSize: 3 });
  expect(commits.map(({ deltaVersion, operation, ledgerVersion }) => [deltaVersion, operation, ledgerVersion])).toEqual(
    [
      [12n, 'OPTIMIZE', 13n],
      [11n, 'ADD COLUMNS', 12n],
      [10n, 'WRITE', 11n],
    ],
  );
  expect(commits[2]!.info).toMatchObject({
    'millrace.offsets': '{"0":[90,100]}',
    'millrace.positions': '{"0":[0,100]}',
  });
  const rest = await client.listCommits({ table: REF, pageToken: nextPageToken });
  expect([rest.commits.length, rest.commits.at(-1)!.operation, rest.nextPageToken]).toEqual([10, 'CREATE TABLE', '']);

  const now = BigInt(Date.now() + 60_000);
  const plan = { deletedFileCount: 10, oldestLedgerVersion: 11n };
  expect(await client.cleanDeltaLog({ table: REF, olderThanMs: now, dryRun: true })).toMatchObject(plan);
  expect(await client.cleanDeltaLog({ table: REF, olderThanMs: now })).toMatchObject(plan);
  expect(await client.checkpointDelta({ table: REF })).toMatchObject({ deltaVersion: 12n });
  expect(await client.describeDelta({ table: REF })).toMatchObject({
    oldestLedgerVersion: 11n,
    checkpointVersion: 12n,
  });
});

test('two instances on one table, started again half-way: every version lands once', async () => {
  ledger.add(VersionKind.CREATE, { tableSchemaJson: ledger.table.tableSchemaJson });
  const [first, second] = [await start(), await start()];
  for (let i = 0; i < 12; i++) {
    ledger.append();
    if (i === 6) await running.shift()!.stop();
    if (i % 3 === 0) await second.projectDelta({ table: REF, version: ledger.table.version });
  }
  await second.projectDelta({ table: REF, version: 13n });
  const third = await start();
  expect(await third.projectDelta({ table: REF, version: 13n })).toMatchObject({ ledgerVersion: 13n });
  void first;
  const landed: bigint[] = [];
  await loadSnapshot(store, {
    version: 9,
    onCommit: (_, actions) => landed.push(...actions.flatMap(({ txn }) => txn?.version ?? [])),
  });
  expect(new Set(landed).size).toBe(landed.length);
  expect(await paths()).toEqual([...ledger.live.keys()].sort());
});

test('switched off it ends with ten years of retention; on again it has the whole state in one commit', async () => {
  ledger.add(VersionKind.CREATE, { tableSchemaJson: ledger.table.tableSchemaJson });
  ledger.append();
  const client = await start();
  await client.projectDelta({ table: REF });
  ledger.add(VersionKind.FORMATS, ONLY_ICEBERG);
  ledger.append();
  await client.projectDelta({ table: REF });
  expect(await client.describeDelta({ table: REF })).toMatchObject({
    enabled: false,
    ledgerVersion: 2n,
    fileCount: 1n,
  });
  const { configuration } = (await loadSnapshot(store))!.metadata;
  expect(configuration).toMatchObject({
    'millrace.disabled': 'true',
    'delta.deletedFileRetentionDuration': 'interval 87600 hours',
  });
  ledger.add(VersionKind.FORMATS, { formats: [ICEBERG, DELTA] });
  await client.projectDelta({ table: REF });
  const after = await client.describeDelta({ table: REF });
  expect(after).toMatchObject({ enabled: true, ledgerVersion: 5n, deltaVersion: 2n, recordCount: 20n });
  const snapshot = (await loadSnapshot(store))!;
  expect(snapshot.metadata.configuration['millrace.disabled']).toBeUndefined();
  expect(snapshot.metadata.configuration['delta.deletedFileRetentionDuration']).toBe('interval 168 hours');
});

test("another writer's rows stop the table with a clear error; off and on brings it back", async () => {
  ledger.add(VersionKind.CREATE, { tableSchemaJson: ledger.table.tableSchemaJson });
  ledger.append();
  const client = await start();
  await client.projectDelta({ table: REF });
  await foreignCommit((snapshot) => [{ metaData: { ...snapshot!.metadata, description: 'theirs' } }], 'COMMENT');
  await foreignCommit((snapshot) =>
    [...snapshot!.files.values()].map(({ path }) => ({ remove: { path, dataChange: true } })),
  );
  ledger.append();
  await expect(client.projectDelta({ table: REF, version: 3n })).rejects.toMatchObject({
    kind: 'conflict',
    code: 'delta-foreign-change',
    retryable: false,
  });
  const { error } = await client.describeDelta({ table: REF });
  expect(error?.message).toContain('since version 2 (DELETE by Spark) 0 files are there and 1 are gone');
  await expect(client.checkpointDelta({ table: REF })).rejects.toMatchObject({ code: 'delta-foreign-change' });

  ledger.add(VersionKind.FORMATS, ONLY_ICEBERG);
  await expect.poll(async () => (await client.describeDelta({ table: REF })).enabled, { timeout: 20_000 }).toBe(false);
  ledger.add(VersionKind.FORMATS, { formats: [ICEBERG, DELTA] });
  await expect
    .poll(async () => (await client.describeDelta({ table: REF })).ledgerVersion, { timeout: 20_000 })
    .toBe(5n);
  expect(await paths()).toEqual([...ledger.live.keys()].sort());
  expect((await loadSnapshot(store))!.metadata.description).toBe('theirs');
});

test('a drop with purge leaves no log; another table at the place is not touched', async () => {
  ledger.add(VersionKind.CREATE, { tableSchemaJson: ledger.table.tableSchemaJson });
  ledger.append();
  const client = await start();
  await client.projectDelta({ table: REF });
  ledger.table.tableUuid = '99999999-5a0e-4c4e-8f63-4f2d9d1f7c11';
  await expect(client.describeDelta({ table: REF })).rejects.toMatchObject({ code: 'delta-other-table' });
  ledger.table.tableUuid = '0b1c6a52-5a0e-4c4e-8f63-4f2d9d1f7c11';
  ledger.add(VersionKind.DROP);
  await client.projectDelta({ table: REF });
  for await (const { key } of store.list('_delta_log/')) expect.fail(`${key} is left`);
  expect(await client.describeDelta({ table: REF })).toMatchObject({ exists: false });
  await expect(client.describeDelta({ table: { namespace: 'demo', name: 'none' } })).rejects.toMatchObject({
    kind: 'not-found',
  });
});
