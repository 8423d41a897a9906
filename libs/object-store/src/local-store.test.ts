import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localStore, type ObjectStore, openStore } from './index.ts';

let folder: string;
let store: ObjectStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-store-'));
  store = localStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const bytes = (text: string) => Buffer.from(text);
const keys = async (prefix: string, startAfter?: string) =>
  (await Array.fromAsync(store.list(prefix, startAfter === undefined ? {} : { startAfter }))).map((o) => o.key);

test('put, get, range, head, delete', async () => {
  await store.put('a/b.txt', bytes('hello'));
  expect(String(await store.get('a/b.txt'))).toBe('hello');
  expect(String(await store.get('a/b.txt', { start: 1, end: 3 }))).toBe('el');
  expect(String(await store.get('a/b.txt', { start: 3, end: 99 }))).toBe('lo');
  expect(await store.head('a/b.txt')).toMatchObject({ key: 'a/b.txt', sizeBytes: 5 });
  expect(await store.head('a')).toBeUndefined();
  await store.delete('a/b.txt');
  await store.delete('a/b.txt');
  await expect(store.get('a/b.txt')).rejects.toMatchObject({ kind: 'not-found' });
});

test('put-if-absent: of many at once exactly one wins, and its bytes stay', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => store.put('log/0.json', bytes(String(i)), { ifAbsent: true })),
  );
  const winners = results.flatMap((r, i) => (r.status === 'fulfilled' ? [i] : []));
  expect(winners).toHaveLength(1);
  expect(String(await store.get('log/0.json'))).toBe(String(winners[0]));
  for (const r of results) if (r.status === 'rejected') expect(r.reason).toMatchObject({ kind: 'already-exists' });
  expect(readdirSync(join(folder, 'log'))).toEqual(['0.json']);
});

test('a writer is invisible until complete, and abort leaves nothing', async () => {
  const out = await store.writer('x/y');
  await out.write(bytes('one'));
  expect(await keys('')).toEqual([]);
  await out.write(bytes('two'));
  expect(await out.complete()).toMatchObject({ key: 'x/y', sizeBytes: 6 });
  expect(String(await store.get('x/y'))).toBe('onetwo');
  const dropped = await store.writer('x/z');
  await dropped.write(bytes('gone'));
  await dropped.abort();
  await dropped.abort();
  expect(readdirSync(join(folder, 'x'))).toEqual(['y']);
});

test('what a writer that never ended has left is not listed, and can be discarded', async () => {
  await store.put('x/y', bytes('there'));
  const lost = await store.writer('x/deep/z');
  await lost.write(bytes('half'));
  expect(await keys('')).toEqual(['x/y']);
  expect(await store.discardUnfinished('x/', Date.now() - 60_000)).toBe(0);
  expect(await store.discardUnfinished('other/', Date.now() + 1_000)).toBe(0);
  expect(await store.discardUnfinished('x/', Date.now() + 1_000)).toBe(1);
  expect(readdirSync(join(folder, 'x/deep'))).toEqual([]);
  expect(await keys('')).toEqual(['x/y']);
  await expect(lost.complete()).rejects.toMatchObject({ kind: 'not-found' });
});

test('list: by prefix, in key order, from after a key', async () => {
  for (const key of ['a/1', 'a/10', 'a/2', 'ab', 'a-b/1', 'b/c/d']) await store.put(key, bytes(''));
  expect(await keys('')).toEqual(['a-b/1', 'a/1', 'a/10', 'a/2', 'ab', 'b/c/d']);
  expect(await keys('a/')).toEqual(['a/1', 'a/10', 'a/2']);
  expect(await keys('a/1')).toEqual(['a/1', 'a/10']);
  expect(await keys('a', 'a/10')).toEqual(['a/2', 'ab']);
  expect(await keys('nothing/')).toEqual([]);
});

test.each(['', '/a', 'a//b', '../a', 'a/../b', 'a\\b', 'a\0b', 'a/'])('key %j is refused', async (key) => {
  await expect(store.put(key, bytes(''))).rejects.toMatchObject({ kind: 'invalid' });
});

test('uris', () => {
  expect(store.keyOf(store.uriOf('a/b c'))).toBe('a/b c');
  expect(store.uriOf('a/b c')).toBe(`file://${folder}/a/b c`);
  expect(() => store.keyOf('file:///elsewhere/x')).toThrow(/does not lie under/);
  expect(openStore(`file://${folder}`).uri).toBe(store.uri);
  expect(() => openStore('ftp://x/y')).toThrow(/no object store for ftp/);
});
