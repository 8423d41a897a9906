import { afterEach, expect, test } from 'vitest';
import { connectionCheck, type ReadinessCheck, type RpcServer, serve } from './index.ts';
import { watchReadiness } from './readiness.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** What it told, newest last, as the checks go on. */
function watched(...checks: ReadinessCheck[]): boolean[] {
  const told: boolean[] = [];
  ends.push(watchReadiness('a', checks, (ready) => told.push(ready)));
  return told;
}

test('a service without needs is ready at once', () => {
  expect(watched()).toEqual([true]);
});

test('ready when every check has passed; one that is asked once is not asked again', async () => {
  let isThere = false;
  let stored = 0;
  const told = watched(
    { what: 'the database', check: () => (isThere ? Promise.resolve() : Promise.reject(new Error('not there'))) },
    { what: 'the store', once: true, check: async () => void stored++ },
  );
  await expect.poll(() => stored).toBe(1);
  expect(told).toEqual([]);
  isThere = true;
  await expect.poll(() => told, { timeout: 5_000 }).toEqual([true]);
  isThere = false;
  await expect.poll(() => told, { timeout: 10_000 }).toEqual([true, false]);
  isThere = true;
  await expect.poll(() => told, { timeout: 5_000 }).toEqual([true, false, true]);
  expect(stored).toBe(1);
});

test('the end waits for no check that hangs', async () => {
  watched({ what: 'the database', check: () => new Promise(() => {}) });
  await ends.pop()!();
});

test('a connection is checked by making one', async () => {
  const server: RpcServer = await serve({ name: 'b', host: '127.0.0.1', port: 0, services: [] });
  const { check } = connectionCheck('b', server.address, {});
  await check(new AbortController().signal);
  await server.stop(100);
  await expect(check(new AbortController().signal)).rejects.toMatchObject({ kind: 'unavailable' });
});
