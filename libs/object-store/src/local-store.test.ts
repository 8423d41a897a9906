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

test('uris', () => {
  expect(store.uriOf('a/b c')).toBe(`file://${folder}/a/b c`);
  expect(() => store.keyOf('file:///elsewhere/x')).toThrow(/does not lie under/);
  expect(openStore(`file://${folder}`).uri).toBe(store.uri);
  expect(() => openStore('ftp://x/y')).toThrow(/no object store for ftp/);
});
