import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MillraceError } from '@millrace/base';
import { TopicService, TopicState } from '@millrace/proto/metadata_discovery';
import { implement, type RpcServer, serve } from '@millrace/rpc';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytes, count, EXIT, runCommandLine } from './index.ts';
import { toJson } from './output.ts';
import { parseBytes, parseDuration, parseFormats } from './words.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
let server: RpcServer;

const status = (topic: string) => ({
  topic,
  table: { namespace: 'demo', name: topic },
  state: TopicState.SUSPENDED,
  recordCount: 12_345n,
  error: { code: 'record-undecodable', message: `offset 7 of ${topic} is broken`, context: { offset: '7' } },
});

beforeAll(async () => {
  const describe = async ({ topic }: { topic: string }) => {
    if (topic === 'nope') throw new MillraceError('not-found', 'topic nope is not enabled');
    return { status: status(topic) };
  };
  server = await serve({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    services: [
      implement(TopicService, {
        enableTopic: describe,
        updateTopic: describe,
        pauseTopic: describe,
        resumeTopic: describe,
        describeTopic: describe,
        dropTopic: async () => ({}),
        // Two pages.
        listTopics: async ({ pageToken }) =>
          pageToken === ''
            ? { topics: [status('a')], nextPageToken: 'b' }
            : { topics: [status('b')], available: ['c'] },
      }),
    ],
  });
});
afterAll(async () => {
  await server.stop(0);
  rmSync(folder, { recursive: true });
});

async function run(...words: string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const given = ['--data-dir', folder, '--address', `metadata-discovery=${server.address}`, ...words];
  const code = await runCommandLine(
    given,
    (text) => out.push(text),
    (text) => errors.push(text),
  );
  return { code, out: out.join('\n'), errors: errors.join('\n') };
}

test('a topic is described with its error and the way out', async () => {
  const { code, out } = await run('topics', 'describe', 'orders');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatch(/state +suspended/);
  expect(out).toMatch(/rows +12,345/);
  expect(out).toMatch(/error +offset 7 of orders is broken \(record-undecodable\)/);
  expect(out).toContain('millrace topics resume orders');
});

test('every page is listed; JSON is one document with exact numbers', async () => {
  const { out } = await run('topics', 'list', '--available');
  for (const topic of ['a', 'b', 'c']) expect(out).toMatch(new RegExp(`│ ${topic} `));
  const { out: json } = await run('--json', 'topics', 'list');
  expect(JSON.parse(json)).toMatchObject({ topics: [{ topic: 'a', recordCount: 12_345 }, { topic: 'b' }] });
  expect(toJson({ n: 2n ** 60n, b: new Uint8Array([1]) })).toBe('{\n  "n": "1152921504606846976",\n  "b": "AQ=="\n}');
});

test('exit codes: other errors, usage, unreachable', async () => {
  expect(await run('topics', 'describe', 'nope')).toMatchObject({
    code: EXIT.error,
    errors: 'millrace: topic nope is not enabled',
  });
  const json = await run('--json', 'topics', 'describe', 'nope');
  expect(JSON.parse(json.out)).toMatchObject({ error: { kind: 'not-found', message: 'topic nope is not enabled' } });
  expect((await run('topics', 'describe')).code).toBe(EXIT.usage);
  expect((await run('topics', 'enable', 'x', '--formats', 'parquet')).errors).toContain('legal: iceberg, delta');
  expect(await run('tables', 'describe', 'orders')).toMatchObject({
    code: EXIT.usage,
    errors: expect.stringContaining('namespace.name'),
  });
  const unknown = await run('catalogs', 'list');
  expect(unknown.code).toBe(EXIT.unreachable);
  expect(unknown.errors).toMatch(/no address of catalog-publisher.*npm start/);
  expect((await run('--help')).code).toBe(EXIT.ok);
});

test('words: durations, bytes, formats', () => {
  expect(['500ms', '10s', '5m', '12h', '7d'].map(parseDuration)).toEqual([
    500n,
    10_000n,
    300_000n,
    43_200_000n,
    604_800_000n,
  ]);
  expect(['4096', '1K', '128M', '2G'].map(parseBytes)).toEqual([4_096n, 1_024n, 134_217_728n, 2_147_483_648n]);
  expect(parseFormats('iceberg, delta')).toHaveLength(2);
  for (const bad of ['', '5', '5 s', '-5s', '1.5h']) expect(() => parseDuration(bad), bad).toThrow();
  for (const bad of ['', '1T', '-1', '1.5M']) expect(() => parseBytes(bad), bad).toThrow();
  expect([bytes(999), bytes(1_500n), bytes(134_217_728), count(1_234_567n)]).toEqual([
    '999 B',
    '1.5 KB',
    '134 MB',
    '1,234,567',
  ]);
});

test('beyond loopback without certificates nothing is sent, and the way out is named', async () => {
  const { code, errors } = await run('--address', 'metadata-discovery=discovery:7801', 'topics', 'describe', 'orders');
  expect(code).toBe(EXIT.usage);
  expect(errors).toMatch(/calls discovery, which is not loopback, without TLS: set tlsCertificateFile/);
  const half = await run('--tls-key-file', 'x', 'topics', 'describe', 'orders');
  expect([half.code, half.errors]).toEqual([EXIT.usage, expect.stringMatching(/not set: tlsCertificateFile, tlsAuth/)]);
});
