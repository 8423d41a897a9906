import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Clock, systemClock } from '@millrace/base';
import { testDatabaseUrl } from '@millrace/database/testing';
import {
  currentSchema,
  currentSnapshot,
  newTableMetadata,
  readManifest,
  readManifestList,
  tableFiles,
} from '@millrace/iceberg';
import type { LedgerState } from '@millrace/ledger';
import { localStore } from '@millrace/object-store';
import { type DataFile, DataFileSchema, TableFormat } from '@millrace/proto/common';
import { LedgerTableSchema, LedgerVersionSchema, VersionKind } from '@millrace/proto/metadata_discovery';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCatalogDatabase } from './catalog-database.ts';
import { catalogNamespaces } from './namespaces.ts';
import { icebergProjection } from './projection-target.ts';
import { snapshotExpiry } from './snapshots.ts';
import { catalogTables } from './tables.ts';

const ident = { namespace: ['demo'], name: 'orders' };
const column = (id: number, name: string) => ({ id, name, required: false, type: 'long' });
const schema = (...names: string[]) =>
  JSON.stringify({ type: 'struct', 'schema-id': 0, fields: names.map((name, i) => column(i + 1, name)) });

async function openCatalog(root: string) {
  const store = localStore(join(root, 'warehouse'));
  const files = tableFiles([store]);
  const database = await openCatalogDatabase(testDatabaseUrl(join(root, 'catalog.db')));
  const namespaces = catalogNamespaces(database.db);
  const tables = catalogTables(database.db, files);
  let now = 1_000_000;
  const clock: Clock = { ...systemClock, now: () => (now += 1_000) };
  const target = icebergProjection({ tables, namespaces, files, clock });
  const table = create(LedgerTableSchema, {
    table: { namespace: 'demo', name: 'orders' },
    topic: 'orders',
    tableUuid: '0b7d9a2e-1111-4222-8333-444455556666',
    location: store.uriOf('demo/orders'),
    formats: [TableFormat.ICEBERG, TableFormat.DELTA],
    tableSchemaJson: schema('id'),
  });
  return { store, files, database, namespaces, tables, clock, target, table };
}

const file = (n: number): DataFile =>
  create(DataFileSchema, {
    path: `data/${n}.parquet`,
    sizeBytes: 100n,
    recordCount: 10n,
    rowGroupOffsets: [4n],
    columns: [{ fieldId: 1, sizeBytes: 50n, valueCount: 10n, nullCount: 0n, lowerBound: Uint8Array.of(n) }],
  });
const range = (start: number, end: number) => [{ partition: 0, startOffset: BigInt(start), endOffset: BigInt(end) }];
const version = (number: number, rest: MessageInitShape<typeof LedgerVersionSchema>) =>
  create(LedgerVersionSchema, { version: BigInt(number), kind: VersionKind.APPEND, ...rest });
const state = (number: number, files: DataFile[][], end: number): LedgerState => ({
  version: BigInt(number),
  tableSchemaJson: schema('id'),
  positions: end === 0 ? [] : create(LedgerVersionSchema, { positions: range(0, end) }).positions,
  files: (async function* () {
    yield* files;
  })(),
});

let root: string;
let catalog: Awaited<ReturnType<typeof openCatalog>>;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'millrace-catalog-'));
  catalog = await openCatalog(root);
});
afterEach(async () => {
  await catalog.database.close();
  rmSync(root, { recursive: true });
});

const metadata = async () => (await catalog.tables.get(ident)).metadata;
const livePaths = async () => {
  const manifests = await readManifestList(catalog.files, currentSnapshot(await metadata())!);
  const entries = (await Promise.all(manifests.map((manifest) => readManifest(catalog.files, manifest)))).flat();
  return entries
    .filter((entry) => entry.status !== 2)
    .map((entry) => entry.data_file.file_path.slice(catalog.table.location.length + 1))
    .sort();
};
const metadataFiles = async () => (await Array.fromAsync(catalog.store.list('demo/orders/_iceberg/'))).length;

describe('the projection', () => {
  test('versions become commits, each once, carrying version and offsets', async () => {
    const { target, table } = catalog;
    expect(await target.position(table)).toBeUndefined();
    await target.rebuild(table, state(1, [], 0));
    expect((await metadata()).snapshots).toEqual([]);
    const append = version(2, { added: [file(1), file(2)], offsets: range(0, 20), positions: range(0, 20) });
    await target.apply(table, append);
    await target.apply(table, append);
    await target.apply(table, version(3, { kind: VersionKind.SCHEMA, tableSchemaJson: schema('id', 'note') }));
    expect(await target.position(table)).toEqual({ ledgerVersion: 3n, enabled: true });
    await target.apply(table, version(4, { offsets: range(20, 25), positions: range(0, 25) }));
    const rewrite = {
      kind: VersionKind.REWRITE,
      added: [file(3)],
      removed: [file(1), file(2)],
      positions: range(0, 25),
    };
    await target.apply(table, version(5, rewrite));
    expect(await target.position(table)).toEqual({ ledgerVersion: 5n, enabled: true });
    const now = await metadata();
    expect(
      now.snapshots.map(({ summary }) => [
        summary.operation,
        summary['millrace.ledger-version'],
        summary['millrace.offsets'],
        summary['millrace.positions'],
      ]),
    ).toEqual([
      ['append', '2', '{"0":[0,20]}', '{"0":[0,20]}'],
      ['append', '4', '{"0":[20,25]}', '{"0":[0,25]}'],
      ['replace', '5', '{}', '{"0":[0,25]}'],
    ]);
    expect(currentSchema(now).fields.map((field) => field.name)).toEqual(['id', 'note']);
    expect(await livePaths()).toEqual(['data/3.parquet']);
    expect(now).toMatchObject({
      'table-uuid': table.tableUuid,
      properties: {
        'gc.enabled': 'false',
        'millrace.type-mapping': '1',
        'write.metadata.path': `${table.location}/_iceberg`,
      },
    });
    expect(now.properties['millrace.ledger-version']).toBeUndefined();
  });

  test('formats: gc.enabled is false only while another format shares the files', async () => {
    const { target, table } = catalog;
    await target.rebuild(table, state(1, [], 0));
    const formats = (...list: TableFormat[]) => ({ kind: VersionKind.FORMATS, formats: list });
    await target.apply(table, version(2, formats(TableFormat.ICEBERG)));
    expect((await metadata()).properties['gc.enabled']).toBeUndefined();
    await target.apply(table, version(3, formats(TableFormat.ICEBERG, TableFormat.DELTA)));
    expect((await metadata()).properties['gc.enabled']).toBe('false');
    expect(await target.position(table)).toEqual({ ledgerVersion: 3n, enabled: true });
  });

  test('disabled it stays readable, and comes back by one commit that keeps what is live', async () => {
    const { target, table } = catalog;
    await target.rebuild(table, state(2, [[file(1), file(2)]], 20));
    await target.disable(table, 3n);
    await target.disable(table, 3n);
    expect(await target.position(table)).toEqual({ ledgerVersion: 2n, enabled: false });
    expect((await metadata()).properties['history.expire.max-snapshot-age-ms']).toBe('315360000000');
    await target.rebuild(table, state(9, [[file(2)], [file(3)]], 30));
    await target.rebuild(table, state(9, [[file(2)], [file(3)]], 30));
    // An owner that stood still since before it was switched on again changes nothing.
    await target.disable(table, 3n);
    expect(await target.position(table)).toEqual({ ledgerVersion: 9n, enabled: true });
    expect(await livePaths()).toEqual(['data/2.parquet', 'data/3.parquet']);
    const { snapshots, properties } = await metadata();
    expect(snapshots.map(({ summary }) => summary.operation)).toEqual(['append', 'overwrite']);
    expect(snapshots[1]!.summary).toMatchObject({ 'added-data-files': '1', 'deleted-data-files': '1' });
    expect(properties['history.expire.max-snapshot-age-ms']).toBeUndefined();
  });

  test('two processes: each version once, the loser leaves no file', async () => {
    const other = await openCatalog(root);
    const { target, table } = catalog;
    const rebuilds = await Promise.allSettled(
      [target, other.target].map((t) => t.rebuild(table, state(1, [[file(0)]], 5))),
    );
    for (const result of rebuilds) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ kind: 'conflict' });
    }
    for (let n = 2; n < 8; n++) {
      const next = version(n, { added: [file(n)], offsets: range(n, n + 1), positions: range(0, n + 1) });
      await Promise.all([target, other.target].map((t) => t.apply(table, next)));
    }
    await other.database.close();
    expect((await metadata()).snapshots.map(({ summary }) => summary['millrace.ledger-version'])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
    ]);
    // Seven commits: metadata, manifest list and manifest each.
    expect(await metadataFiles()).toBe(21);
  });

  test('a table dropped and made again is another table; purge removes the metadata', async () => {
    const { target, table } = catalog;
    await target.rebuild(table, state(1, [[file(1)]], 5));
    const again = create(LedgerTableSchema, { ...table, tableUuid: '0b7d9a2e-9999-4222-8333-444455556666' });
    expect(await target.position(again)).toBeUndefined();
    await target.rebuild(again, state(1, [[file(2)]], 5));
    expect(await livePaths()).toEqual(['data/2.parquet']);
    expect((await metadata())['table-uuid']).toBe(again.tableUuid);
    await target.drop(create(LedgerTableSchema, { ...table, purge: true }));
    expect(await target.position(again)).toEqual({ ledgerVersion: 1n, enabled: true });
    await target.drop(again);
    expect(await catalog.tables.find(ident)).toBeUndefined();
    expect(await metadataFiles()).toBeGreaterThan(0);
    await target.drop(create(LedgerTableSchema, { ...again, purge: true }));
    expect(await metadataFiles()).toBe(0);
  });

  test("a user's own table keeps its name", async () => {
    const { target, table, tables, namespaces } = catalog;
    await namespaces.create(['demo'], {});
    await tables.create(
      ident,
      newTableMetadata({ schema: JSON.parse(schema('x')), location: catalog.store.uriOf('demo/own') }, 1),
    );
    await expect(target.rebuild(table, state(1, [], 0))).rejects.toMatchObject({ code: 'table-name-taken' });
  });

  test('a version that removes what is not there is a conflict and changes nothing', async () => {
    const { target, table } = catalog;
    await target.rebuild(table, state(1, [[file(1)]], 5));
    const before = await metadataFiles();
    const broken = version(2, { kind: VersionKind.REWRITE, added: [file(3)], removed: [file(9)] });
    await expect(target.apply(table, broken)).rejects.toMatchObject({ code: 'file-not-live' });
    expect(await target.position(table)).toEqual({ ledgerVersion: 1n, enabled: true });
    expect(await metadataFiles()).toBe(before);
  });
});

test('expiry: snapshots and the metadata files that only they needed; never data files', async () => {
  const { target, table, tables, files, clock, store } = catalog;
  await store.put('demo/orders/data/1.parquet', Buffer.from('x'));
  await store.put('demo/orders/_iceberg/orphan-m0.avro', Buffer.from('x'));
  await target.rebuild(table, state(1, [[file(1)]], 5));
  for (let n = 2; n < 6; n++) {
    const change = { kind: VersionKind.REWRITE, added: [file(n)], removed: [file(n - 1)], positions: range(0, 5) };
    await target.apply(table, version(n, change));
  }
  const before = await metadataFiles();
  const request = { olderThanMs: clock.now() + 1_000_000, keepCount: 2, dryRun: true };
  // Files of this test are far younger than the real clock's hour.
  const expiry = snapshotExpiry({ tables, files, clock, orphanAgeMs: 3_600_000 });
  const planned = await expiry.expire(ident, request);
  expect(planned).toMatchObject({ expiredCount: 3, oldestLedgerVersion: 4n });
  expect(await metadataFiles()).toBe(before);
  const done = await expiry.expire(ident, { ...request, dryRun: false });
  expect(done).toEqual(planned);
  // One new metadata file; three manifest lists and the manifests of versions 1 to 3 are gone.
  expect(await metadataFiles()).toBe(before + 1 - done.deletedFileCount);
  expect(await livePaths()).toEqual(['data/5.parquet']);
  expect((await expiry.expire(ident, { ...request, dryRun: false })).expiredCount).toBe(0);
  const past = { ...clock, now: () => Date.now() + 10_000 };
  const sweep = snapshotExpiry({ tables, files, clock: past, orphanAgeMs: 0 });
  expect(await sweep.expire(ident, { ...request, dryRun: false })).toMatchObject({ deletedFileCount: 1 });
  expect(await store.head('demo/orders/_iceberg/orphan-m0.avro')).toBeUndefined();
  expect(await store.head('demo/orders/data/1.parquet')).toBeDefined();
  expect(await livePaths()).toEqual(['data/5.parquet']);
});
