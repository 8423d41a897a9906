import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MillraceError } from '@millrace/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CatalogAdapter } from './catalog-adapter.ts';
import { openCatalog } from './open-catalog.ts';

const TOKEN = 'sesame-49f1';
const table = { namespace: 'demo', name: 'orders' };
const location = 'file:///wh/demo/orders';
const pointer = (n: number) => `${location}/_iceberg/0000${n}-a.metadata.json`;

class Refusal extends Error {
  status: number;
  type: string;
  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** A REST catalog that answers anything outside the specification with 400, as written down in `wrong`. */
class Double {
  server: Server;
  /** namespace → table → [metadata location, table location] */
  namespaces = new Map<string, Map<string, { pointer: string; location: string }>>();
  overwrite: 'yes' | 'unknown' | 'unsupported' = 'yes';
  endpoints: string[] | undefined;
  prefix = 'pre/fix';
  separator: string | undefined = '%2E';
  /** Status to answer the next requests with, by method and last part of the path. */
  failures: { match: string; status: number; after?: boolean }[] = [];
  log: string[] = [];
  wrong: string[] = [];
  /** A metadata file that is gone. */
  lostPointer = '';
  locationOf = (_pointer: string) => location;

  constructor() {
    this.server = createServer((request, response) => {
      void this.answer(request, response);
    });
  }

  async answer(request: IncomingMessage, response: ServerResponse) {
    let body = '';
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url!, 'http://x');
    const what = `${request.method} ${url.pathname.split('/').at(-1)}`;
    const index = this.failures.findIndex((f) => f.match === what);
    const failure = index < 0 ? undefined : this.failures.splice(index, 1)[0];
    let status = 200;
    let answer: unknown;
    try {
      if (failure !== undefined && failure.after !== true) throw new Refusal(failure.status, 'Injected', 'as you wish');
      answer = this.handle(request, url, body);
      this.log.push(what);
      if (failure !== undefined) throw new Refusal(failure.status, 'Injected', 'done, but not said');
      if (answer === undefined) status = 204;
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'Defect', String(error));
      if (refusal.status === 400) this.wrong.push(refusal.message);
      status = refusal.status;
      answer = { error: { message: refusal.message, type: refusal.type, code: status, stack: ['secret.Frame'] } };
    }
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(answer === undefined ? undefined : JSON.stringify(answer));
  }

  handle(request: IncomingMessage, url: URL, text: string): unknown {
    const { method } = request;
    if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new Refusal(401, 'NotAuthorized', 'who are you?');
    if (request.headers.accept !== 'application/json') throw new Refusal(400, 'Bad', 'accept header');
    if ((method === 'POST') !== (request.headers['content-type'] === 'application/json')) {
      throw new Refusal(400, 'Bad', 'content-type header');
    }
    const query = Object.fromEntries(url.searchParams);
    if (url.pathname === '/base/v1/config') {
      this.only(query, ['warehouse']);
      if (query['warehouse'] !== 'main wh') throw new Refusal(400, 'Bad', 'warehouse');
      const separator = this.separator === undefined ? {} : { 'namespace-separator': this.separator };
      return {
        defaults: { prefix: 'wrong' },
        overrides: { prefix: this.prefix, ...separator },
        ...(this.endpoints === undefined ? {} : { endpoints: this.endpoints }),
      };
    }
    const root = `/base/v1/${this.prefix}/namespaces`;
    if (!url.pathname.startsWith(root)) throw new Refusal(404, 'NoSuchPath', url.pathname);
    const parts = url.pathname.slice(root.length + 1).split('/');
    const body = method === 'POST' ? (JSON.parse(text) as Record<string, unknown>) : {};
    if (parts[0] === '') {
      if (method === 'GET') return { namespaces: [...this.namespaces.keys()].map((n) => n.split('\x1f')) };
      this.only(body, ['namespace', 'properties']);
      const levels = body['namespace'] as string[];
      const name = levels.join('\x1f');
      if (levels.length > 1 && !this.namespaces.has(levels.slice(0, -1).join('\x1f'))) {
        throw new Refusal(404, 'NoSuchNamespaceException', 'no parent');
      }
      if (this.namespaces.has(name)) throw new Refusal(409, 'AlreadyExistsException', 'namespace exists');
      this.namespaces.set(name, new Map());
      return body;
    }
    const name = parts[0]!
      .split(this.separator ?? '%1F')
      .map(decodeURIComponent)
      .join('\x1f');
    const tables = this.namespaces.get(name);
    if (tables === undefined) throw new Refusal(404, 'NoSuchNamespaceException', 'no such namespace');
    if (parts.length === 1 && method === 'GET') return { namespace: name.split('\x1f') };
    if (parts[1] === 'register' && method === 'POST') return this.register(tables, body);
    if (parts[1] !== 'tables' || parts.length !== 3) throw new Refusal(400, 'Bad', url.pathname);
    const key = decodeURIComponent(parts[2]!);
    const found = tables.get(key);
    if (found === undefined) throw new Refusal(404, 'NoSuchTableException', 'no such table');
    if (method === 'GET') {
      this.only(query, ['snapshots']);
      if (found.pointer === this.lostPointer) throw new Refusal(404, 'NotFoundException', 'no such file');
      return { 'metadata-location': found.pointer, metadata: { location: found.location } };
    }
    if (method !== 'DELETE' || query['purgeRequested'] !== 'false') throw new Refusal(400, 'Bad', 'would purge');
    tables.delete(key);
    return undefined;
  }

  register(tables: Map<string, { pointer: string; location: string }>, body: Record<string, unknown>) {
    this.only(body, ['name', 'metadata-location', 'overwrite']);
    if (body['overwrite'] === true && this.overwrite === 'unsupported') throw new Refusal(406, 'Unsupported', 'no');
    const key = body['name'] as string;
    const target = body['metadata-location'] as string;
    if (target.includes('bad')) throw new Refusal(400, 'BadRequest', 'metadata unreadable');
    if (tables.has(key) && !(body['overwrite'] === true && this.overwrite === 'yes')) {
      throw new Refusal(409, 'AlreadyExistsException', 'table exists');
    }
    tables.set(key, { pointer: target, location: this.locationOf(target) });
    return { 'metadata-location': target, metadata: { location } };
  }

  only(given: Record<string, unknown>, legal: string[]) {
    const extra = Object.keys(given).filter((key) => !legal.includes(key));
    if (extra.length > 0) throw new Refusal(400, 'Bad', `unknown: ${extra}`);
  }

  shown = (namespace = 'demo') => this.namespaces.get(namespace)?.get('orders')?.pointer;
}

let double: Double;
const catalog = (settings: { namespace?: string; tokenSource?: string } = {}): CatalogAdapter =>
  openCatalog(
    {
      name: 'other',
      kind: 'iceberg-rest',
      uri: `http://127.0.0.1:${(double.server.address() as AddressInfo).port}/base/`,
      warehouse: 'main wh',
      namespace: '',
      tokenSource: 'env:CATALOGS_TEST_TOKEN',
      ...settings,
    },
    { retry: { retries: 3, minDelayMs: 1, maxDelayMs: 2 }, requestTimeoutMs: 2_000 },
  );

beforeEach(async () => {
  process.env['CATALOGS_TEST_TOKEN'] = TOKEN;
  double = new Double();
  await new Promise<void>((resolve) => double.server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  double.server.closeAllConnections();
  double.server.close();
});

describe('publish', () => {
  test('creates every level of the namespace, registers, then has nothing to do', async () => {
    const adapter = catalog({ namespace: 'lake.prod é' });
    const first = await adapter.publish(table, pointer(1), undefined);
    expect(first).toEqual({ action: 'registered', seenPointer: pointer(1), replacedPointer: undefined });
    expect([...double.namespaces.keys()]).toEqual(['lake', 'lake\x1fprod é']);
    expect(await adapter.describe(table)).toBe(pointer(1));
    expect((await adapter.publish(table, pointer(1), pointer(1))).action).toBe('unchanged');
    expect(double.wrong).toEqual([]);
  });

  test.each([
    ['yes', ['POST register']],
    ['unknown', ['DELETE orders', 'POST register']],
    ['unsupported', ['DELETE orders', 'POST register']],
  ] as const)('moves the pointer where overwrite is %s', async (overwrite, changes) => {
    double.overwrite = overwrite;
    double.separator = undefined;
    const adapter = catalog();
    await adapter.publish(table, pointer(1), undefined);
    double.log = [];
    const moved = await adapter.publish(table, pointer(2), pointer(1));
    expect(moved).toEqual({ action: 'moved', seenPointer: pointer(2), replacedPointer: pointer(1) });
    expect(double.log.filter((entry) => !entry.startsWith('GET'))).toEqual(changes);
    expect(double.shown()).toBe(pointer(2));
    expect(double.wrong).toEqual([]);
  });

  test('repairs drift: a commit made there, a table dropped there', async () => {
    const adapter = catalog();
    await adapter.publish(table, pointer(1), undefined);
    double.namespaces
      .get('demo')!
      .set('orders', { pointer: `${location}/metadata/x.json`, location: 'file:/wh/demo/orders/' });
    expect((await adapter.publish(table, pointer(1), pointer(1))).action).toBe('moved');
    double.namespaces.get('demo')!.clear();
    expect((await adapter.publish(table, pointer(1), pointer(1))).action).toBe('registered');
    expect(double.shown()).toBe(pointer(1));
  });

  test('replaces and withdraws a table of ours whose metadata file is gone; never without having published it', async () => {
    const adapter = catalog();
    await adapter.publish(table, pointer(1), undefined);
    double.lostPointer = pointer(1);
    double.overwrite = 'unknown';
    expect(await adapter.describe(table)).toBeUndefined();
    await expect(adapter.publish(table, pointer(2), undefined)).rejects.toMatchObject({ kind: 'conflict' });
    expect((await adapter.publish(table, pointer(2), pointer(1))).action).toBe('moved');
    double.lostPointer = pointer(2);
    expect(await adapter.withdraw(table, pointer(2))).toBe(true);
    expect(double.shown()).toBeUndefined();
  });

  test("never replaces or withdraws somebody else's table", async () => {
    const theirs = { pointer: 's3://theirs/t/metadata/1.json', location: 's3://theirs/t' };
    double.namespaces.set('demo', new Map([['orders', theirs]]));
    const refused = { kind: 'already-exists', code: 'catalog-table-foreign', retryable: false };
    await expect(catalog().publish(table, pointer(1), undefined)).rejects.toMatchObject(refused);
    await expect(catalog().withdraw(table, pointer(1))).rejects.toMatchObject(refused);
    expect(double.shown()).toBe(theirs.pointer);
    // The warehouse was moved: what lies there is what we published.
    await catalog().publish(table, pointer(1), theirs.pointer);
    expect(double.shown()).toBe(pointer(1));
  });

  test.each(['GET orders', 'POST register', 'DELETE orders', 'GET config', 'GET demo'])(
    'goes on after %s failed, before or after it took effect',
    async (match) => {
      double.overwrite = 'unsupported';
      for (const after of [false, true]) {
        double.namespaces.clear();
        const adapter = catalog();
        double.failures.push({ match, status: 503, after });
        await adapter.publish(table, pointer(1), undefined);
        double.failures.push({ match, status: 429, after }, { match, status: 500, after });
        await adapter.publish(table, pointer(2), pointer(1));
        expect(double.shown()).toBe(pointer(2));
        double.failures = [];
      }
    },
  );

  test('a pointer that the server refuses leaves the old one in place', async () => {
    double.overwrite = 'unsupported';
    const adapter = catalog();
    await adapter.publish(table, pointer(1), undefined);
    const bad = `${location}/_iceberg/bad.metadata.json`;
    const error = (await adapter.publish(table, bad, pointer(1)).catch((e: unknown) => e)) as MillraceError;
    expect(error).toBeInstanceOf(MillraceError);
    expect(error).toMatchObject({
      kind: 'invalid',
      context: { catalog: 'other', table: 'demo.orders', status: '400' },
    });
    expect(error.message).toMatch(
      /^catalog other, table demo\.orders: POST .*register was answered 400 BadRequest: metadata unreadable$/,
    );
    expect(double.shown()).toBe(pointer(1));
  });
});

describe('withdraw', () => {
  test('drops without purge; what is gone is no error', async () => {
    const adapter = catalog();
    await adapter.publish(table, pointer(1), undefined);
    expect(await adapter.withdraw(table, pointer(1))).toBe(true);
    expect(await adapter.withdraw(table, pointer(1))).toBe(false);
    expect(await adapter.describe(table)).toBeUndefined();
    expect(double.wrong).toEqual([]);
  });
});

describe('check', () => {
  test('says what is wrong', async () => {
    await catalog().check();
    double.endpoints = ['GET /v1/{prefix}/namespaces'];
    await expect(catalog().check()).rejects.toMatchObject({ kind: 'unsupported', code: 'catalog-register' });
    double.endpoints = undefined;
    process.env['CATALOGS_TEST_TOKEN'] = 'other';
    const error = (await catalog()
      .check()
      .catch((e: unknown) => e)) as MillraceError;
    expect(error).toMatchObject({ kind: 'unauthenticated', retryable: false });
    expect(error.message).toContain('answered 401 NotAuthorized: who are you?');
    expect(error.message).not.toMatch(/sesame|Frame/);
    delete process.env['CATALOGS_TEST_TOKEN'];
    await expect(catalog().check()).rejects.toThrow('environment variable CATALOGS_TEST_TOKEN holds no token');
    double.server.closeAllConnections();
    const port = (double.server.address() as AddressInfo).port;
    const gone = catalog({ tokenSource: '' });
    double.server.close();
    await expect(gone.check()).rejects.toThrow(`connect ECONNREFUSED 127.0.0.1:${port}; is the catalog running`);
  });

  test('a server that never answers costs no more than the budget', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const uri = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const adapter = openCatalog(
      { name: 'silent', kind: 'iceberg-rest', uri, warehouse: '', namespace: '', tokenSource: '' },
      { requestTimeoutMs: 40, budgetMs: 150 },
    );
    const started = performance.now();
    await expect(adapter.describe(table)).rejects.toMatchObject({ kind: 'deadline', context: { catalog: 'silent' } });
    expect(performance.now() - started).toBeLessThan(1_500);
    silent.closeAllConnections();
    silent.close();
  });
});

test.each([
  [{ name: 'a b' }, 'catalog-name'],
  [{ kind: 'hive' as 'iceberg-rest' }, 'catalog-kind'],
  [{ uri: 'ftp://x' }, 'catalog-uri'],
  [{ uri: 'http://u:p@x/' }, 'catalog-uri'],
  [{ namespace: 'a..b' }, 'catalog-namespace'],
  [{ tokenSource: 'hunter2' }, 'token-source-invalid'],
])('refuses settings %j', (wrong, code) => {
  const right = {
    name: 'x',
    kind: 'iceberg-rest',
    uri: 'http://x/',
    warehouse: '',
    namespace: '',
    tokenSource: '',
  } as const;
  openCatalog(right);
  expect(() => openCatalog({ ...right, ...wrong })).toThrow(expect.objectContaining({ kind: 'invalid', code }));
  try {
    openCatalog({ ...right, ...wrong });
  } catch (error) {
    expect(String(error)).not.toMatch(/hunter2|u:p@/);
  }
});
