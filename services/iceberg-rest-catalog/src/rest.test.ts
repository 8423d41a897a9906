import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { testDatabaseUrl } from '@millrace/database/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIcebergRestCatalog, icebergCatalogConfig } from './index.ts';
import { type Json, schema, setProperty, startFixture } from './rest.fixture.ts';

/** What a refused request answers. */
const error = (status: number, type: string, message: RegExp) => ({
  status,
  body: { error: { code: status, type, message: expect.stringMatching(message) } },
});

let fixture: Awaited<ReturnType<typeof startFixture>>;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(() => fixture.stop());

describe('namespaces', () => {
  test('create, nest, list, page, change, drop', async () => {
    expect(await fixture.namespace('a.b')).toMatchObject({
      status: 200,
      body: { namespace: ['a.b'], properties: { a: '1' } },
    });
    expect(await fixture.namespace('a.b')).toMatchObject(error(409, 'AlreadyExistsException', /already exists: a.b/));
    expect(await fixture.namespace('none', 'x')).toMatchObject(
      error(404, 'NoSuchNamespaceException', /does not exist: none/),
    );
    expect(await fixture.namespace('')).toMatchObject(error(400, 'BadRequestException', /Invalid namespace/));
    for (const child of ['x', 'y', 'z']) await fixture.namespace('a.b', child);
    await fixture.namespace('a.b', 'x', 'deep');
    const list = async (query: string) => (await fixture.call('GET', `/v1/namespaces?${query}`)).body;
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
    expect(await fixture.call('GET', '/v1/namespaces?parent=nope')).toMatchObject(
      error(404, 'NoSuchNamespaceException', /nope/),
    );
    const change = { removals: ['a', 'none'], updates: { b: '2' } };
    expect((await fixture.call('POST', '/v1/namespaces/a.b/properties', change)).body).toEqual({
      updated: ['b'],
      removed: ['a'],
      missing: ['none'],
    });
    expect((await fixture.call('GET', '/v1/namespaces/a.b')).body.properties).toEqual({ b: '2' });
    const both = { removals: ['b'], updates: { b: '2' } };
    expect((await fixture.call('POST', '/v1/namespaces/a.b/properties', both)).status).toBe(422);
    expect(await fixture.call('DELETE', '/v1/namespaces/a.b%1Fx')).toMatchObject(
      error(409, 'NamespaceNotEmptyException', /nested/),
    );
    expect((await fixture.call('HEAD', '/v1/namespaces/a.b%1Fx%1Fdeep')).status).toBe(204);
    expect((await fixture.call('DELETE', '/v1/namespaces/a.b%1Fx%1Fdeep')).status).toBe(204);
    expect((await fixture.call('HEAD', '/v1/namespaces/a.b%1Fx%1Fdeep')).status).toBe(404);
  });
});

describe('tables', () => {
  test('create, load with ETag, commit, list, rename, drop, register', async () => {
    await fixture.namespace('t');
    const made = await fixture.newTable('t', 'one', { properties: { 'format-version': '2', p: 'q' } });
    expect(made.body.metadata).toMatchObject({
      location: `file://${fixture.root}/warehouse/t/one`,
      properties: { p: 'q' },
    });
    expect(await fixture.newTable('t', 'one')).toMatchObject(
      error(409, 'AlreadyExistsException', /Table already exists: t.one/),
    );
    expect(await fixture.newTable('none', 'one')).toMatchObject(
      error(404, 'NoSuchNamespaceException', /Namespace does not exist: none/),
    );
    const path = '/v1/namespaces/t/tables/one';
    const loaded = await fixture.call('GET', path);
    expect(loaded.body['metadata-location']).toBe(made.body['metadata-location']);
    expect((await fixture.call('GET', path, undefined, { 'if-none-match': loaded.etag! })).status).toBe(304);
    const big = 9_223_372_036_854_775_807n;
    const snapshot = {
      'snapshot-id': big,
      'sequence-number': 1,
      'timestamp-ms': 5,
      'manifest-list': 'file:///x.avro',
      summary: { operation: 'append' },
    };
    const done = await fixture.commit(path, [
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': big },
      { action: 'add-snapshot', snapshot: { ...snapshot, 'snapshot-id': big - 1n, 'sequence-number': 2 } },
    ]);
    expect(done.body.metadata['current-snapshot-id']).toBe(big);
    expect((await fixture.call('GET', path, undefined, { 'if-none-match': loaded.etag! })).status).toBe(200);
    expect(
      (await fixture.call('GET', `${path}?snapshots=refs`)).body.metadata.snapshots.map((s: Json) => s['snapshot-id']),
    ).toEqual([big]);
    const stale = [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null }];
    expect(await fixture.commit(path, [], stale)).toMatchObject(
      error(409, 'CommitFailedException', /Requirement failed: branch main was created/),
    );
    expect(await fixture.commit(path, [{ action: 'fly' }])).toMatchObject(
      error(400, 'BadRequestException', /updates.0.action/),
    );
    expect(
      (
        await fixture.call('POST', '/v1/tables/rename', {
          source: { namespace: ['t'], name: 'one' },
          destination: { namespace: ['t'], name: 'two' },
        })
      ).status,
    ).toBe(204);
    expect(await fixture.call('GET', path)).toMatchObject(
      error(404, 'NoSuchTableException', /Table does not exist: t.one/),
    );
    // The renamed table's files are still in the first one's folder.
    expect((await fixture.newTable('t', 'one')).body.metadata.location).toMatch(/\/t\/one-[0-9a-f]{8}$/);
    expect((await fixture.call('GET', '/v1/namespaces/t/tables?pageSize=1&pageToken=')).body).toMatchObject({
      identifiers: [{ namespace: ['t'], name: 'one' }],
    });
    const location = done.body['metadata-location'];
    expect(
      (await fixture.call('POST', '/v1/namespaces/t/register', { name: 'two', 'metadata-location': location })).status,
    ).toBe(409);
    expect(
      (
        await fixture.call('POST', '/v1/namespaces/t/register', {
          name: 'two',
          'metadata-location': location,
          overwrite: true,
        })
      ).status,
    ).toBe(200);
    expect((await fixture.call('DELETE', '/v1/namespaces/t/tables/one?purgeRequested=true')).status).toBe(204);
    expect((await fixture.call('DELETE', '/v1/namespaces/t/tables/one')).status).toBe(404);
    expect((await fixture.call('POST', '/v1/namespaces/t/tables/two/metrics', { report: 1 })).status).toBe(204);
  });

  test('staged, then created by a commit that asserts it', async () => {
    await fixture.namespace('s');
    const staged = await fixture.newTable('s', 'x', { 'stage-create': true });
    expect(staged.body['metadata-location']).toBeUndefined();
    expect((await fixture.call('HEAD', '/v1/namespaces/s/tables/x')).status).toBe(404);
    const updates = [
      { action: 'assign-uuid', uuid: staged.body.metadata['table-uuid'] },
      { action: 'add-schema', schema },
      { action: 'set-current-schema', 'schema-id': -1 },
      { action: 'set-location', location: staged.body.metadata.location },
    ];
    const create = () => fixture.commit('/v1/namespaces/s/tables/x', updates, [{ type: 'assert-create' }]);
    expect((await create()).body.metadata['table-uuid']).toBe(staged.body.metadata['table-uuid']);
    expect(await create()).toMatchObject(
      error(409, 'CommitFailedException', /Requirement failed: table already exists/),
    );
  });

  test('locations outside the warehouse are refused', async () => {
    await fixture.namespace('l');
    for (const location of ['file:///etc/x', `file://${fixture.root}/warehouse/../x`, 's3://bucket/x']) {
      expect(await fixture.newTable('l', 'x', { location })).toMatchObject(
        error(400, 'BadRequestException', /outside the warehouse/),
      );
    }
    const register = { name: 'x', 'metadata-location': 'file:///etc/passwd' };
    expect((await fixture.call('POST', '/v1/namespaces/l/register', register)).status).toBe(400);
  });

  test('20 commits at once are all in the table; a transaction is all or nothing', async () => {
    await fixture.namespace('c');
    for (const name of ['a', 'b']) await fixture.newTable('c', name);
    const path = '/v1/namespaces/c/tables/a';
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => fixture.commit(path, [setProperty(`k${i}`, 'v')])),
    );
    const accepted = results.filter(({ status }) => status === 200).length;
    expect(results.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(Object.keys((await fixture.call('GET', path)).body.metadata.properties).length).toBe(accepted);
    const change = (name: string, requirements: object[] = []) => ({
      identifier: { namespace: ['c'], name },
      requirements,
      updates: [setProperty('tx', name)],
    });
    const transaction = (...changes: object[]) =>
      fixture.call('POST', '/v1/transactions/commit', { 'table-changes': changes });
    const bad = change('b', [{ type: 'assert-current-schema-id', 'current-schema-id': 5 }]);
    expect((await transaction(change('a'), bad)).status).toBe(409);
    expect((await fixture.call('GET', path)).body.metadata.properties.tx).toBeUndefined();
    expect((await transaction(change('a'), change('b'))).status).toBe(204);
    expect((await fixture.call('GET', path)).body.metadata.properties.tx).toBe('a');
  });
});

describe('the server', () => {
  test('config names the endpoints; unknown routes and broken bodies have the error model', async () => {
    const { body } = await fixture.call('GET', '/v1/config?warehouse=any');
    expect(body.endpoints).toContain('POST /v1/{prefix}/namespaces/{namespace}/tables/{table}');
    expect(await fixture.call('GET', '/v2/x')).toMatchObject(
      error(404, 'NoSuchEndpointException', /No route for GET \/v2\/x/),
    );
    const response = await fetch(`${fixture.service.catalogUri}/v1/namespaces`, { method: 'POST', body: '{' });
    expect([response.status, ((await response.json()) as Json).error.type]).toEqual([400, 'BadRequestException']);
  });

  test('beyond loopback a token is needed, and checked', async () => {
    const base = {
      databaseUrl: testDatabaseUrl(),
      warehouseUri: `${fixture.root}/w2`,
      restPort: 0,
      port: 0,
    };
    const open = icebergCatalogConfig.parse({ ...base, restHost: '0.0.0.0' });
    await expect(createIcebergRestCatalog(open, fixture)).rejects.toMatchObject({ code: 'token-required' });
    process.env['MILLRACE_TEST_TOKEN'] = 'swordfish';
    const other = await createIcebergRestCatalog(
      icebergCatalogConfig.parse({ ...base, tokenSource: 'env:MILLRACE_TEST_TOKEN' }),
      fixture,
    );
    delete process.env['MILLRACE_TEST_TOKEN'];
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${other.catalogUri}/v1/config`, { headers })).status;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer sword' })).toBe(401);
    expect(await status({ authorization: 'Bearer swordfish' })).toBe(200);
    await other.stop();
  });

  test('with certificates it is HTTPS; beyond loopback it is nothing else', async () => {
    const folder = `${fixture.root}/certificates`;
    execFileSync(fileURLToPath(new URL('../../../deploy/certificates.sh', import.meta.url)), [folder, 'catalog']);
    const base = { databaseUrl: testDatabaseUrl(), warehouseUri: `${fixture.root}/w3`, restPort: 0, port: 0 };
    process.env['MILLRACE_TEST_TOKEN'] = 'swordfish';
    const open = { ...base, tokenSource: 'env:MILLRACE_TEST_TOKEN', restHost: '0.0.0.0' };
    await expect(createIcebergRestCatalog(icebergCatalogConfig.parse(open), fixture)).rejects.toMatchObject({
      code: 'tls-required',
    });
    const own = { restCertificateFile: `${folder}/catalog.pem`, restKeyFile: `${folder}/catalog.key` };
    const inside = {
      tlsCertificateFile: `${folder}/catalog.pem`,
      tlsKeyFile: `${folder}/catalog.key`,
      tlsAuthorityFile: `${folder}/authority.pem`,
    };
    for (const files of [own, inside]) {
      const secure = await createIcebergRestCatalog(icebergCatalogConfig.parse({ ...open, ...files }), fixture);
      const { port, protocol } = new URL(secure.catalogUri);
      expect(protocol).toBe('https:');
      const status = await new Promise((resolve, reject) => {
        const options = {
          port,
          path: '/v1/config',
          ca: readFileSync(`${folder}/authority.pem`),
          headers: { authorization: 'Bearer swordfish' },
        };
        get({ host: 'localhost', ...options }, (response) => resolve(response.resume().statusCode)).on('error', reject);
      });
      expect(status).toBe(200);
      await secure.stop();
    }
    delete process.env['MILLRACE_TEST_TOKEN'];
  });

  test('requests and bodies at a time are bounded: more are answered 429, later ones again', async () => {
    const base = { databaseUrl: testDatabaseUrl(), warehouseUri: `${fixture.root}/w4`, restPort: 0, port: 0 };
    const limits = { restRequests: 5, restBodiesBytes: 100_000, bodyLimitBytes: 65_536 };
    const small = await createIcebergRestCatalog(icebergCatalogConfig.parse({ ...base, ...limits }), fixture);
    const { port } = new URL(small.catalogUri);
    /** A request whose body does not come. */
    const hold = async (length: number) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`POST /v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n{`);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return socket;
    };
    const flood = async (count: number, body: string | undefined) => {
      const answers = Array.from({ length: count }, async () => {
        const method = body === undefined ? 'GET' : 'POST';
        const response = await fetch(`${small.catalogUri}/v1/namespaces`, { method, ...(body && { body }) });
        return [response.status, ((await response.json()) as Json).error?.type];
      });
      return [...new Set((await Promise.all(answers)).map(String))];
    };
    const large = await hold(65_000);
    expect(await flood(10, 'x'.repeat(60_000))).toEqual(['429,TooManyRequestsException']);
    const held = await Promise.all([hold(10), hold(10), hold(10), hold(10)]);
    expect(await flood(10, undefined)).toEqual(['429,TooManyRequestsException']);
    for (const socket of [large, ...held]) socket.destroy();
    await expect.poll(() => flood(1, undefined)).toEqual(['200,']);
    expect(await flood(1, 'x'.repeat(70_000))).toEqual(['413,BadRequestException']);
    await small.stop();
  });
});
