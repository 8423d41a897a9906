import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localStore, type ObjectStore, openStore } from './index.ts';

let folder: string;
let store: ObjectStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-store-'));
  store = localStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

test('no temporary file stays behind', async () => {
  await Promise.allSettled([1, 2, 3].map((i) => store.put('log/0', Buffer.of(i), { ifAbsent: true })));
  expect(readdirSync(join(folder, 'log'))).toEqual(['0']);
  const dropped = await store.writer('log/1');
  await dropped.write(Buffer.of(1));
  expect(readdirSync(join(folder, 'log'))).toHaveLength(2);
  await dropped.abort();
  expect(readdirSync(join(folder, 'log'))).toEqual(['0']);
});

test('a writer whose file was discarded can not complete', async () => {
  const lost = await store.writer('x/z');
  await lost.write(Buffer.of(1));
  expect(await store.discardUnfinished('x/', Date.now() + 1_000)).toBe(1);
  await expect(lost.complete()).rejects.toMatchObject({ kind: 'not-found' });
});

test('two processes that put the same names if absent: each name has one winner, and its bytes', async () => {
  const count = 100;
  const script = join(import.meta.dirname, 'two-processes.fixture.ts');
  const run = (name: string) => promisify(execFile)(process.execPath, [script, folder, name, String(count)]);
  const results = await Promise.all(['a', 'b'].map(run));
  const [first = [], second = []] = results.map(({ stdout }) => JSON.parse(stdout) as number[]);
  expect([...first, ...second].toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  for (const [name, won] of [['a', first] as const, ['b', second] as const])
    for (const i of won) expect(readFileSync(join(folder, 'log', String(i)), 'utf8')).toBe(name.repeat(1_000));
  expect(readdirSync(join(folder, 'log'))).toHaveLength(count);
});

test('uris', () => {
  expect(store.uriOf('a/b c')).toBe(`file://${folder}/a/b c`);
  expect(() => store.keyOf('file:///elsewhere/x')).toThrow(/does not lie under/);
  expect(openStore(`file://${folder}`).uri).toBe(store.uri);
  expect(() => openStore('ftp://x/y')).toThrow(/no object store for ftp/);
});
