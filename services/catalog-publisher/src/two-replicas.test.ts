import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase } from '@millrace/database';
import { testDatabaseUrl } from '@millrace/database/testing';
import { type OwnerSchema, ownersMigration } from '@millrace/ownership';
import { afterEach, expect, test } from 'vitest';
import { publishRequests } from './publish-requests.ts';

const url = testDatabaseUrl(`publish-requests-${randomBytes(4).toString('hex')}`);
const isPostgres = !url.startsWith('sqlite');
const clock = { now: () => Date.now(), sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, { signal }) };
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function replica(attempt: (subject: string) => Promise<void> | undefined) {
  const database: Database<OwnerSchema> = await openDatabase(isPostgres ? url : 'sqlite::memory:', [ownersMigration]);
  const requests = publishRequests(database.signals, clock, attempt);
  ends.push(database.close, requests.stop);
  return requests;
}
const never = new AbortController().signal;

// Processes that share a database of one file hear each other only through PostgreSQL's notifications.
if (isPostgres)
  test('the owner answers for another replica once its attempt has ended, and makes one for each request', async () => {
    const attempts: string[] = [];
    const asking = await replica(() => undefined);
    await replica(async (subject) => {
      attempts.push(subject);
      // Longer than it takes until the request is said again.
      await sleep(1_500);
    });
    expect(await asking.ask('demo/orders/a catalog', () => false, never)).toBe(true);
    expect(attempts).toEqual(['demo/orders/a catalog']);
  });

test('who becomes the owner while it asks, or gives up, is told so', async () => {
  const requests = await replica(() => undefined);
  let asked = 0;
  expect(await requests.ask('demo/orders/other', () => asked++ > 0, never)).toBe(false);
  const given = new AbortController();
  const asks = requests.ask('demo/orders/other', () => false, given.signal);
  given.abort(new Error('gone'));
  await expect(asks).rejects.toThrow('gone');
});
