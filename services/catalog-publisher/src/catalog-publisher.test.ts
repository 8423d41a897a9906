import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatTableName, MillraceError, type TableName } from '@millrace/base';
import type { CatalogAdapter, CatalogSettings } from '@millrace/catalogs';
import { testDatabaseUrl } from '@millrace/database/testing';
import { CatalogPublisherService } from '@millrace/proto/catalog_publisher';
import { TableFormat } from '@millrace/proto/common';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { type Client, createClient, implement, type RunningService, serve } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCatalogPublisher, type PublisherConfig, publisherConfig } from './index.ts';

/** A catalog in memory. */
class FakeCatalog implements CatalogAdapter {
  settings: CatalogSettings;
  shown = new Map<string, string>();
  down = false;
  publishes = 0;
  constructor(settings: CatalogSettings) {
    this.settings = settings;
  }
  fail() {
    if (this.down) throw new MillraceError('unavailable', `catalog ${this.settings.name} is down`);
  }
  async check() {
    this.fail();
  }
  async describe(table: TableName) {
    this.fail();
    return this.shown.get(formatTableName(table));
  }
  async publish(table: TableName, pointer: string) {
    this.fail();
    const key = formatTableName(table);
    const replacedPointer = this.shown.get(key);
    if (replacedPointer === pointer) return { action: 'unchanged' as const, seenPointer: pointer, replacedPointer };
    if (replacedPointer === 'theirs') throw new MillraceError('already-exists', 'another table of this name');
    this.publishes++;
    this.shown.set(key, pointer);
    return { action: 'moved' as const, seenPointer: pointer, replacedPointer };
  }
  async withdraw(table: TableName) {
    this.fail();
    return this.shown.delete(formatTableName(table));
  }
}

interface FakeTable {
  version: bigint;
  projected: bigint;
  iceberg: boolean;
  dropped: boolean;
}

const orders = { namespace: 'demo', name: 'orders' };
const clicks = { namespace: 'web', name: 'clicks' };
const key = formatTableName;

let folder: string;
let tables: Map<string, FakeTable>;
let events: ((table: TableName) => void)[];
let catalogs: Map<string, FakeCatalog>;
let ends: (() => unknown)[];
let service: RunningService;
let client: Client<typeof CatalogPublisherService>;
let config: PublisherConfig;
const never = async (): Promise<never> => {
  throw new MillraceError('unsupported', 'not in this test');
};

const nameOf = (text: string): TableName => ({ namespace: text.split('.')[0]!, name: text.split('.')[1]! });
const find = (table: TableName | undefined): FakeTable => {
  const found = tables.get(key(table!));
  if (found === undefined) throw new MillraceError('not-found', 'no such table');
  return found;
};

function announce(table: TableName, change: Partial<FakeTable> = {}): void {
  const before = tables.get(key(table)) ?? { version: 0n, projected: 0n, iceberg: true, dropped: false };
  tables.set(key(table), { ...before, version: before.version + 1n, ...change });
  for (const event of events) event(table);
}

async function fakeServices(): Promise<string> {
  const server = await serve({
    name: 'fakes',
    host: '127.0.0.1',
    port: 0,
    services: [
      implement(LedgerService, {
        async getTable({ table }) {
          const { version, iceberg, dropped } = find(table);
          return { table: { table: table!, version, dropped, formats: iceberg ? [TableFormat.ICEBERG] : [] } };
        },
        async *watchLedger(_, { signal }) {
          const queue = [...tables.keys()].map(nameOf);
          let wake = () => {};
          events.push((table) => {
            queue.push(table);
            wake();
          });
          signal.addEventListener('abort', () => wake());
          while (!signal.aborted) {
            while (queue.length > 0) yield { table: queue.shift()!, version: 1n };
            await new Promise<void>((resolve) => (wake = resolve));
          }
        },
        listTables: never,
        listVersions: never,
        listFiles: never,
        proposeRewrite: never,
        listRemovedFiles: never,
        forgetFiles: never,
        listKeptPaths: never,
        expireVersions: never,
      }),
      implement(IcebergCatalogService, {
        async describeIceberg({ table }) {
          const { projected, iceberg, dropped } = find(table);
          const exists = projected > 0n && !dropped;
          return { exists, enabled: iceberg, ledgerVersion: projected, metadataLocation: `v${projected}` };
        },
        async projectIceberg({ table, version }) {
          const found = find(table);
          if (!found.iceberg) throw new MillraceError('invalid', 'not an Iceberg table');
          found.projected = found.version;
          return { ledgerVersion: version };
        },
        listSnapshots: never,
        expireSnapshots: never,
      }),
    ],
  });
  ends.push(() => server.stop(0));
  return server.address;
}

async function startService(): Promise<void> {
  service = await createCatalogPublisher(config, {
    openAdapter(settings) {
      const there = catalogs.get(settings.name) ?? new FakeCatalog(settings);
      there.settings = settings;
      catalogs.set(settings.name, there);
      return there;
    },
  });
  client = createClient(CatalogPublisherService, service.address);
}

async function stopService(): Promise<void> {
  client.close();
  await service.stop();
}

const add = (name: string, more: { tables?: string[]; uri?: string } = {}) =>
  client.addIntegration({ integration: { name, kind: 'iceberg-rest', uri: 'http://x', ...more } });
const shown = (catalog: string, table: TableName) => catalogs.get(catalog)?.shown.get(key(table));
const one = async (table: TableName, integration = 'other') =>
  (await client.publishNow({ integration, table })).publications[0]!;

beforeEach(async () => {
  setLogLevel('silent');
  folder = mkdtempSync(join(tmpdir(), 'millrace-publisher-'));
  [tables, events, catalogs, ends] = [new Map(), [], new Map(), []];
  const address = await fakeServices();
  config = publisherConfig.parse({
    port: 0,
    drainMs: 200,
    databaseUrl: testDatabaseUrl(join(folder, 'p.db')),
    discoveryAddress: address,
    icebergAddress: address,
    minPublishIntervalMs: 5,
    checkIntervalMs: 100,
  });
  await startService();
});
afterEach(async () => {
  await stopService();
  for (const end of ends.reverse()) await end();
  rmSync(folder, { recursive: true });
});

test('publishes what the ledger has, follows it, and remembers over a restart', async () => {
  announce(orders);
  await add('other');
  await expect.poll(() => shown('other', orders)).toBe('v1');
  announce(orders);
  announce(orders);
  await expect.poll(() => shown('other', orders)).toBe('v3');
  await stopService();
  tables.get(key(orders))!.version++;
  await startService();
  await expect.poll(() => shown('other', orders)).toBe('v4');
  await expect.poll(async () => (await client.listPublications({})).publications[0]?.pointer).toBe('v4');
  const { publications } = await client.listPublications({});
  expect(publications).toHaveLength(1);
  expect(publications[0]).toMatchObject({ integration: 'other', pointer: 'v4', seenPointer: 'v4', drifted: false });
  expect(Number(publications[0]!.publishedMs)).toBeGreaterThan(0);
});

test('drift is found by the check, told and repaired', async () => {
  announce(orders);
  await add('other');
  await one(orders);
  catalogs.get('other')!.shown.set(key(orders), 'elsewhere');
  await expect.poll(() => shown('other', orders)).toBe('v1');
  catalogs.get('other')!.shown.delete(key(orders));
  expect(await one(orders)).toMatchObject({ pointer: 'v1', seenPointer: 'v1', drifted: true });
  expect(await one(orders)).toMatchObject({ drifted: false });
});

test('a catalog that is down, or refuses one table, stops nothing else, and catches up', async () => {
  await add('down');
  await add('other');
  catalogs.get('down')!.down = true;
  catalogs.get('other')!.shown.set(key(clicks), 'theirs');
  announce(orders);
  announce(clicks);
  await expect.poll(() => shown('other', orders)).toBe('v1');
  const { publications } = await client.publishNow({});
  expect(publications.map((p) => [p.integration, key(p.table!), p.error?.message ?? 'fine'])).toEqual([
    ['down', 'demo.orders', 'catalog down is down'],
    ['down', 'web.clicks', 'catalog down is down'],
    ['other', 'demo.orders', 'fine'],
    ['other', 'web.clicks', 'another table of this name'],
  ]);
  expect(publications[3]).toMatchObject({ pointer: '', seenPointer: 'theirs' });
  expect(shown('other', clicks)).toBe('theirs');
  catalogs.get('down')!.down = false;
  await expect.poll(() => shown('down', orders), { timeout: 5_000 }).toBe('v1');
  expect(await one(orders, 'down')).toMatchObject({ pointer: 'v1' });
});

test('only the tables that an integration names; a table without Iceberg is none', async () => {
  announce(orders);
  announce(clicks);
  announce({ namespace: 'web', name: 'delta_only' }, { iceberg: false });
  await add('web', { tables: ['web.*'] });
  await add('two', { tables: ['demo.orders', 'web.clicks'] });
  const { publications } = await client.publishNow({});
  expect(publications.map((p) => [p.integration, key(p.table!)])).toEqual([
    ['web', 'web.clicks'],
    ['two', 'demo.orders'],
    ['two', 'web.clicks'],
  ]);
  await expect(client.publishNow({ integration: 'web', table: orders })).rejects.toMatchObject({ kind: 'not-found' });
  await expect(client.publishNow({ integration: 'nope' })).rejects.toMatchObject({ code: 'catalog-unknown' });
});

test('a dropped table is withdrawn', async () => {
  announce(orders);
  announce(clicks);
  await add('other');
  await client.publishNow({});
  announce(orders, { dropped: true });
  await expect.poll(() => shown('other', orders)).toBeUndefined();
  expect(shown('other', clicks)).toBe('v1');
  const { publications } = await client.listPublications({ integration: 'other' });
  expect(publications.map((p) => key(p.table!))).toEqual(['web.clicks']);
});

test('an integration is added once, and refused when its catalog is not reached', async () => {
  catalogs.set('gone', new FakeCatalog({} as CatalogSettings));
  catalogs.get('gone')!.down = true;
  await expect(add('gone')).rejects.toMatchObject({ kind: 'unavailable', message: 'catalog gone is down' });
  await expect(add('other', { tables: ['x'] })).rejects.toMatchObject({ code: 'name-invalid' });
  await add('other', { tables: ['web.*'] });
  await add('other', { tables: ['web.*'] });
  await expect(add('other')).rejects.toMatchObject({ kind: 'already-exists', code: 'catalog-exists' });
  const { integrations } = await client.listIntegrations({});
  expect(integrations).toMatchObject([{ name: 'other', kind: 'iceberg-rest', uri: 'http://x', tables: ['web.*'] }]);
});

test('removing: leaves the tables, or withdraws them; a failed withdrawal is finished by the next call', async () => {
  announce(orders);
  announce(clicks);
  for (const name of ['kept', 'other']) await add(name);
  await client.publishNow({});
  await client.removeIntegration({ name: 'kept' });
  expect(shown('kept', orders)).toBe('v1');
  catalogs.get('other')!.down = true;
  await expect(client.removeIntegration({ name: 'other', withdraw: true })).rejects.toMatchObject({
    kind: 'unavailable',
  });
  await stopService();
  await startService();
  await expect(add('other')).rejects.toThrow('is being removed');
  catalogs.get('other')!.down = false;
  announce(orders);
  await client.removeIntegration({ name: 'other', withdraw: true });
  expect([...catalogs.get('other')!.shown]).toEqual([]);
  expect((await client.listIntegrations({})).integrations).toEqual([]);
  await expect(client.removeIntegration({ name: 'other' })).rejects.toMatchObject({ kind: 'not-found' });
});
