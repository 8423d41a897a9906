import { createServer, type Server } from 'node:http';
import { MillraceError } from '@millrace/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from './open-store.ts';
import { unnamedError } from './store-error.ts';
import { silenceOf, storeRequests } from './store-requests.ts';

const failing = (kind: 'unavailable' | 'invalid' | 'exhausted') => new MillraceError(kind, 'no');

test.each([
  ['unavailable', 6],
  ['invalid', 1],
  ['exhausted', 1],
] as const)('%s is tried %i times', async (kind, times) => {
  const requests = storeRequests(1_000, unnamedError);
  let tries = 0;
  const request = async () => {
    tries++;
    throw failing(kind);
  };
  await expect(requests('s3://b/k', {}, request)).rejects.toMatchObject({ kind, message: 's3://b/k: no' });
  expect(tries).toBe(times);
});

test('silence ends a try, and a byte in time prolongs it', async () => {
  const requests = storeRequests(100, unnamedError);
  let tries = 0;
  const answer = await requests('x', {}, async ({ signal, touch }) => {
    if (++tries === 1) return new Promise<string>(() => {});
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      touch();
    }
    expect(signal.aborted).toBe(false);
    return 'came';
  });
  expect([answer, tries]).toEqual(['came', 2]);
});

test('what is sent has time for its size', async () => {
  const requests = storeRequests(100, unnamedError);
  const slow = () => new Promise<string>((resolve) => setTimeout(resolve, 300, 'sent'));
  expect(await requests('x', { sizeBytes: 1_000_000 }, slow)).toBe('sent');
});

test('the caller ends it, in a try and between two', async () => {
  const requests = storeRequests(60_000, unnamedError);
  for (const request of [() => new Promise<never>(() => {}), () => Promise.reject(failing('unavailable'))]) {
    const cancelled = requests('x', { signal: AbortSignal.timeout(30) }, request);
    await expect(cancelled).rejects.toMatchObject({ kind: 'deadline' });
  }
});

test('a store that is down is not asked ever more often: the budget of retries ends', async () => {
  const requests = storeRequests(1_000, unnamedError);
  let tries = 0;
  const request = async () => {
    tries++;
    throw failing('unavailable');
  };
  const calls = Array.from({ length: 200 }, () => requests('x', {}, request).catch((error) => error.message));
  const messages = await Promise.all(calls);
  expect(tries).toBe(300);
  expect(messages.filter((text) => text.includes('not tried again at once')).length).toBeGreaterThan(100);
  expect(await requests('x', {}, async () => 'up')).toBe('up');
});

test('time limits', () => {
  expect(silenceOf(new URLSearchParams())).toBe(30_000);
  expect(silenceOf(new URLSearchParams('timeout-ms=500'))).toBe(500);
  for (const bad of ['0', 'soon', '1e9', '1.5']) {
    expect(() => silenceOf(new URLSearchParams({ 'timeout-ms': bad }))).toThrow('legal: 100 to 3600000');
  }
});

let server: Server;
let answers: (url: string) => 'hang' | 'stall' | 'whole';
beforeAll(async () => {
  // Says nothing, or stops in the middle of a body, before it answers.
  server = createServer((request, response) => {
    const how = answers(request.url!);
    if (how === 'hang') return;
    response.writeHead(200, { 'content-length': 10, etag: '"1"' }).write('01234');
    if (how === 'whole') response.end('56789');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test.each([
  ['s3://b?region=x&', { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }],
  ['gs://b?', {}],
  ['az://b?account=acc&', { AZURE_STORAGE_KEY: 'a2V5' }],
])('%s: an answer that never comes, and one that stops, are asked for again', async (uri, env) => {
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    const { port } = server.address() as { port: number };
    const store = openStore(`${uri}timeout-ms=300&endpoint=http://127.0.0.1:${port}`);
    const hows = ['hang', 'stall', 'whole'] as const;
    let asked = 0;
    answers = () => hows[asked++]!;
    expect(String(Buffer.from(await store.get('k')))).toBe('0123456789');
    expect(asked).toBe(3);
  } finally {
    for (const name of Object.keys(env)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});
