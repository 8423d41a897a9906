import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Database, openDatabase } from './database.ts';
import { testDatabaseUrl } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-signals-'));
const opened: Database<unknown>[] = [];
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close();
  rmSync(folder, { recursive: true, force: true });
});
const open = async () => {
  const database = await openDatabase<unknown>(testDatabaseUrl(join(folder, 's.db')), []);
  opened.push(database);
  return database;
};

const isPostgres = !testDatabaseUrl().startsWith('sqlite');

test('a signal is heard at once in its process, and in the others where the database carries it', async () => {
  const [one, two] = [await open(), await open()];
  const heard: (string | undefined)[][] = [[], []];
  one.signals.listen((message) => heard[0]!.push(message));
  two.signals.listen((message) => heard[1]!.push(message));
  if (isPostgres) {
    // Undefined says that it listens.
    await expect.poll(() => heard[0]!.length + heard[1]!.length).toBe(2);
    heard[0]!.length = 0;
    heard[1]!.length = 0;
  }
  one.signals.send('a');
  one.signals.send('b\u00e9');
  one.signals.send('a');
  expect(heard[0]).toEqual(['a', 'b\u00e9', 'a']);
  if (isPostgres) await expect.poll(() => heard[1]).toEqual(['a', 'b\u00e9']);
  for (let i = 0; i < 300; i++) two.signals.send(`${i} ${'x'.repeat(100)}`);
  if (isPostgres) await expect.poll(() => heard[0]!.length).toBe(303);
  else expect(heard[0]).toHaveLength(3);
  expect(heard[0]!.filter((message) => message === undefined)).toEqual([]);
});

test('who has ended listening hears nothing', async () => {
  const { signals } = await open();
  const heard: unknown[] = [];
  signals.listen((message) => heard.push(message))();
  signals.send('a');
  expect(heard).toEqual([]);
});
