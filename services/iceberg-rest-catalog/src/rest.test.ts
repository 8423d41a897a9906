import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import type { TableUpdate } from '@millrace/iceberg';
import { parseJson, stringifyJson } from '@millrace/iceberg';
import { TableFormat } from '@millrace/proto/common';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { type LedgerService, type LedgerTable, LedgerTableSchema } from '@millrace/proto/metadata_discovery';
import { type Client, createClient } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIcebergRestCatalog, icebergCatalogConfig, type RunningIcebergCatalog } from './index.ts';

// biome-ignore lint/suspicious/noExplicitAny: bodies as a client sees them
type Json = any;

let root: string;
let service: RunningIcebergCatalog;
let client: Client<typeof IcebergCatalogService>;
let fed: LedgerTable;

const schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'id', required: false, type: 'long' }],
};

/** A ledger with one table at version 1. */
const ledger = {
  getTable: async ({ table }: { table?: { name: string } }) => (table?.name === 'fed' ? { table: fed } : {}),
  listFiles: async () => ({
    version: 1n,
    files: [],
    nextPageToken: '',
    positions: [{ partition: 0, startOffset: 0n, endOffset: 7n }],
  }),
  listVersions: async () => ({ versions: [], more: false }),
  watchLedger: async function* (_request: unknown, { signal }: { signal: AbortSignal }) {
    yield { table: { namespace: 'demo', name: 'fed' }, version: 1n };
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  },
  close: () => {},
} as unknown as Client<typeof LedgerService>;

beforeAll(async () => {
  setLogLevel('silent');
  root = mkdtempSync(join(tmpdir(), 'millrace-rest-'));
  fed = create(LedgerTableSchema, {
    table: { namespace: 'demo', name: 'fed' },
    topic: 'fed',
    tableUuid: '0b7d9a2e-1111-4222-8333-444455556666',
    location: `file://${root}/warehouse/demo/fed`,
    formats: [TableFormat.ICEBERG],
    tableSchemaJson: JSON.stringify(schema),
    version: 1n,
    oldestVersion: 1n,
  });
  const config = icebergCatalogConfig.parse({
    databaseUrl: `sqlite:${root}/catalog.db`,
    warehouseUri: `${root}/warehouse`,
    restPort: 0,
    port: 0,
  });
  service = await createIcebergRestCatalog(config, { ledger });
  client = createClient(IcebergCatalogService, service.address);
});
afterAll(async () => {
  client.close();
  await service.stop();
  setLogLevel('info');
  rmSync(root, { recursive: true });
});

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(service.catalogUri + path, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: stringifyJson(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    etag: response.headers.get('etag'),
    body: (text === '' ? undefined : parseJson(text, path)) as Json,
  };
}
const namespace = (...levels: string[]) =>
  call('POST', '/v1/namespaces', { namespace: levels, properties: { a: '1' } });
const newTable = (ns: string, name: string, more: object = {}) =>
  call('POST', `/v1/namespaces/${ns}/tables`, { name, schema, ...more });
const commit = (path: string, updates: (TableUpdate | object)[], requirements: object[] = []) =>
  call('POST', path, { requirements, updates });
const error = (status: number, type: string, message: RegExp) => ({
  status,
  body: { error: { code: status, type, message: expect.stringMatching(message) } },
});
const setProperty = (key: string, value: string) => ({ action: 'set-properties', updates: { [key]: value } });

describe('namespaces', () => {
  test('create, nest, list, page, change, drop', async () => {
    expect(await namespace('a.b')).toMatchObject({ status: 200, body: { namespace: ['a.b'], properties: { a: '1' } } });
    expect(await namespace('a.b')).toMatchObject(error(409, 'AlreadyExistsException', /already exists: a.b/));
    expect(await namespace('none', 'x')).toMatchObject(error(404, 'NoSuchNamespaceException', /does not exist: none/));
    expect(await namespace('')).toMatchObject(error(400, 'BadRequestException', /Invalid namespace/));
    for (const child of ['x', 'y', 'z']) await namespace('a.b', child);
    await namespace('a.b', 'x', 'deep');
    const list = async (query: string) => (await call('GET', `/v1/namespaces?${query}`)).body;
    expect((await list('parent=a.b')).namespaces).toEqual([
      ['a.b', 'x'],
      ['a.b', 'y'],
      ['a.b', 'z'],
    ]);
    const first = await list('parent=a.b&pageSize=2');
    expect(first.namespaces.length).toBe(2);
    expect(await list(`parent=a.b&pageSize=2&pageToken=${first['next-page-token']}`)).toEqual({
      namespaces: [['a.b', 'z']],
      'next-page-token': null,
    });
    expect(await call('GET', '/v1/namespaces?parent=nope')).toMatchObject(
      error(404, 'NoSuchNamespaceException', /nope/),
    );
    const change = { removals: ['a', 'none'], updates: { b: '2' } };
    expect((await call('POST', '/v1/namespaces/a.b/properties', change)).body).toEqual({
      updated: ['b'],
      removed: ['a'],
      missing: ['none'],
    });
    expect((await call('GET', '/v1/namespaces/a.b')).body.properties).toEqual({ b: '2' });
    const both = { removals: ['b'], updates: { b: '2' } };
    expect((await call('POST', '/v1/namespaces/a.b/properties', both)).status).toBe(422);
    expect(await call('DELETE', '/v1/namespaces/a.b%1Fx')).toMatchObject(
      error(409, 'NamespaceNotEmptyException', /nested/),
    );
    expect((await call('HEAD', '/v1/namespaces/a.b%1Fx%1Fdeep')).status).toBe(204);
    expect((await call('DELETE', '/v1/namespaces/a.b%1Fx%1Fdeep')).status).toBe(204);
    expect((await call('HEAD', '/v1/namespaces/a.b%1Fx%1Fdeep')).status).toBe(404);
  });
});

describe('tables', () => {
  test('create, load with ETag, commit, list, rename, drop, register', async () => {
    await namespace('t');
    const made = await newTable('t', 'one', { properties: { 'format-version': '2', p: 'q' } });
    expect(made.body.metadata).toMatchObject({ location: `file://${root}/warehouse/t/one`, properties: { p: 'q' } });
    expect(await newTable('t', 'one')).toMatchObject(
      error(409, 'AlreadyExistsException', /Table already exists: t.one/),
    );
    expect(await newTable('none', 'one')).toMatchObject(
      error(404, 'NoSuchNamespaceException', /Namespace does not exist: none/),
    );
    const path = '/v1/namespaces/t/tables/one';
    const loaded = await call('GET', path);
    expect(loaded.body['metadata-location']).toBe(made.body['metadata-location']);
    expect((await call('GET', path, undefined, { 'if-none-match': loaded.etag! })).status).toBe(304);
    const big = 9_223_372_036_854_775_807n;
    const snapshot = {
      'snapshot-id': big,
      'sequence-number': 1,
      'timestamp-ms': 5,
      'manifest-list': 'file:///x.avro',
      summary: { operation: 'append' },
    };
    const done = await commit(path, [
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': big },
      { action: 'add-snapshot', snapshot: { ...snapshot, 'snapshot-id': big - 1n, 'sequence-number': 2 } },
    ]);
    expect(done.body.metadata['current-snapshot-id']).toBe(big);
    expect((await call('GET', path, undefined, { 'if-none-match': loaded.etag! })).status).toBe(200);
    expect(
      (await call('GET', `${path}?snapshots=refs`)).body.metadata.snapshots.map((s: Json) => s['snapshot-id']),
    ).toEqual([big]);
    const stale = [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null }];
    expect(await commit(path, [], stale)).toMatchObject(
      error(409, 'CommitFailedException', /Requirement failed: branch main was created/),
    );
    expect(await commit(path, [{ action: 'fly' }])).toMatchObject(
      error(400, 'BadRequestException', /updates.0.action/),
    );
    expect(
      (
        await call('POST', '/v1/tables/rename', {
          source: { namespace: ['t'], name: 'one' },
          destination: { namespace: ['t'], name: 'two' },
        })
      ).status,
    ).toBe(204);
    expect(await call('GET', path)).toMatchObject(error(404, 'NoSuchTableException', /Table does not exist: t.one/));
    // The renamed table's files are still in the first one's folder.
    expect((await newTable('t', 'one')).body.metadata.location).toMatch(/\/t\/one-[0-9a-f]{8}$/);
    expect((await call('GET', '/v1/namespaces/t/tables?pageSize=1&pageToken=')).body).toMatchObject({
      identifiers: [{ namespace: ['t'], name: 'one' }],
    });
    const location = done.body['metadata-location'];
    expect(
      (await call('POST', '/v1/namespaces/t/register', { name: 'two', 'metadata-location': location })).status,
    ).toBe(409);
    expect(
      (await call('POST', '/v1/namespaces/t/register', { name: 'two', 'metadata-location': location, overwrite: true }))
        .status,
    ).toBe(200);
    expect((await call('DELETE', '/v1/namespaces/t/tables/one?purgeRequested=true')).status).toBe(204);
    expect((await call('DELETE', '/v1/namespaces/t/tables/one')).status).toBe(404);
    expect((await call('POST', '/v1/namespaces/t/tables/two/metrics', { report: 1 })).status).toBe(204);
  });

  test('staged, then created by a commit that asserts it', async () => {
    await namespace('s');
    const staged = await newTable('s', 'x', { 'stage-create': true });
    expect(staged.body['metadata-location']).toBeUndefined();
    expect((await call('HEAD', '/v1/namespaces/s/tables/x')).status).toBe(404);
    const updates = [
      { action: 'assign-uuid', uuid: staged.body.metadata['table-uuid'] },
      { action: 'add-schema', schema },
      { action: 'set-current-schema', 'schema-id': -1 },
      { action: 'set-location', location: staged.body.metadata.location },
    ];
    const create = () => commit('/v1/namespaces/s/tables/x', updates, [{ type: 'assert-create' }]);
    expect((await create()).body.metadata['table-uuid']).toBe(staged.body.metadata['table-uuid']);
    expect(await create()).toMatchObject(
      error(409, 'CommitFailedException', /Requirement failed: table already exists/),
    );
  });

  test('locations outside the warehouse are refused', async () => {
    await namespace('l');
    for (const location of ['file:///etc/x', `file://${root}/warehouse/../x`, 's3://bucket/x']) {
      expect(await newTable('l', 'x', { location })).toMatchObject(
        error(400, 'BadRequestException', /outside the warehouse/),
      );
    }
    const register = { name: 'x', 'metadata-location': 'file:///etc/passwd' };
    expect((await call('POST', '/v1/namespaces/l/register', register)).status).toBe(400);
  });

  test('20 commits at once are all in the table; a transaction is all or nothing', async () => {
    await namespace('c');
    for (const name of ['a', 'b']) await newTable('c', name);
    const path = '/v1/namespaces/c/tables/a';
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => commit(path, [setProperty(`k${i}`, 'v')])));
    const accepted = results.filter(({ status }) => status === 200).length;
    expect(results.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(Object.keys((await call('GET', path)).body.metadata.properties).length).toBe(accepted);
    const change = (name: string, requirements: object[] = []) => ({
      identifier: { namespace: ['c'], name },
      requirements,
      updates: [setProperty('tx', name)],
    });
    const transaction = (...changes: object[]) => call('POST', '/v1/transactions/commit', { 'table-changes': changes });
    const bad = change('b', [{ type: 'assert-current-schema-id', 'current-schema-id': 5 }]);
    expect((await transaction(change('a'), bad)).status).toBe(409);
    expect((await call('GET', path)).body.metadata.properties.tx).toBeUndefined();
    expect((await transaction(change('a'), change('b'))).status).toBe(204);
    expect((await call('GET', path)).body.metadata.properties.tx).toBe('a');
  });
});

describe('a table that a topic feeds', () => {
  const table = { namespace: 'demo', name: 'fed' };
  const path = '/v1/namespaces/demo/tables/fed';

  test('comes from the ledger and is described', async () => {
    const { snapshotId } = await client.projectIceberg({ table, version: 1n });
    const described = await client.describeIceberg({ table });
    expect(described).toMatchObject({
      exists: true,
      enabled: true,
      ledgerVersion: 1n,
      oldestLedgerVersion: 1n,
      snapshotId,
      catalogUri: service.catalogUri,
      positions: [{ partition: 0, startOffset: 0n, endOffset: 7n }],
    });
    const { snapshots } = await client.listSnapshots({ table });
    expect(snapshots).toMatchObject([{ snapshotId, operation: 'append', ledgerVersion: 1n }]);
    expect(await client.expireSnapshots({ table, olderThanMs: BigInt(Date.now()), keepCount: 1 })).toMatchObject({
      expiredCount: 0,
    });
    expect((await client.describeIceberg({ table: { namespace: 'demo', name: 'none' } })).exists).toBe(false);
    await expect(client.listSnapshots({ table: { namespace: 'demo', name: 'none' } })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });

  test('takes comments and tags from outside, and refuses the rest with the way out', async () => {
    await client.projectIceberg({ table, version: 1n });
    const { snapshotId } = await client.describeIceberg({ table });
    const tag = { action: 'set-snapshot-ref', 'ref-name': 'audit', type: 'tag', 'snapshot-id': snapshotId };
    expect((await commit(path, [setProperty('comment', 'mine'), tag])).body.metadata).toMatchObject({
      properties: { comment: 'mine' },
      refs: { audit: { type: 'tag' } },
    });
    const refused = [
      setProperty('gc.enabled', 'true'),
      setProperty('millrace.ledger-version', '9'),
      { action: 'remove-properties', removals: ['write.metadata.path'] },
      { ...tag, type: 'branch' },
      { action: 'remove-snapshots', 'snapshot-ids': [snapshotId] },
      { action: 'add-schema', schema },
    ];
    for (const update of refused) {
      expect(await commit(path, [update])).toMatchObject(
        error(403, 'ForbiddenException', /demo.fed is fed by a topic, so/),
      );
    }
    const rename = { source: { namespace: ['demo'], name: 'fed' }, destination: { namespace: ['demo'], name: 'x' } };
    expect(await call('POST', '/v1/tables/rename', rename)).toMatchObject(
      error(403, 'ForbiddenException', /can't be renamed here/),
    );
    expect(await call('DELETE', path)).toMatchObject(error(403, 'ForbiddenException', /can't be dropped here/));
    expect((await client.describeIceberg({ table })).ledgerVersion).toBe(1n);
  });
});

describe('the server', () => {
  test('config names the endpoints; unknown routes and broken bodies have the error model', async () => {
    const { body } = await call('GET', '/v1/config?warehouse=any');
    expect(body.endpoints).toContain('POST /v1/{prefix}/namespaces/{namespace}/tables/{table}');
    expect(await call('GET', '/v2/x')).toMatchObject(error(404, 'NoSuchEndpointException', /No route for GET \/v2\/x/));
    const response = await fetch(`${service.catalogUri}/v1/namespaces`, { method: 'POST', body: '{' });
    expect([response.status, ((await response.json()) as Json).error.type]).toEqual([400, 'BadRequestException']);
  });

  test('beyond loopback a token is needed, and checked', async () => {
    const base = {
      databaseUrl: 'sqlite::memory:',
      warehouseUri: `${root}/w2`,
      restPort: 0,
      port: 0,
    };
    const open = icebergCatalogConfig.parse({ ...base, restHost: '0.0.0.0' });
    await expect(createIcebergRestCatalog(open, { ledger })).rejects.toMatchObject({ code: 'token-required' });
    process.env['MILLRACE_TEST_TOKEN'] = 'swordfish';
    const other = await createIcebergRestCatalog(
      icebergCatalogConfig.parse({ ...base, tokenSource: 'env:MILLRACE_TEST_TOKEN' }),
      { ledger },
    );
    delete process.env['MILLRACE_TEST_TOKEN'];
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${other.catalogUri}/v1/config`, { headers })).status;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer sword' })).toBe(401);
    expect(await status({ authorization: 'Bearer swordfish' })).toBe(200);
    await other.stop();
  });
});
