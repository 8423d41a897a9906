import { isKind } from '@millrace/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ObjectStore } from './index.ts';
import { testStore } from './testing.ts';

// What every store promises (see testStore).

let store: ObjectStore;
let remove: () => Promise<void>;
beforeEach(() => {
  ({ store, remove } = testStore());
});
afterEach(() => remove());

const bytes = (text: string) => Buffer.from(text);
const keys = async (prefix: string, startAfter?: string) =>
  (await Array.fromAsync(store.list(prefix, startAfter === undefined ? {} : { startAfter }))).map((o) => o.key);

test('put, get, range, head, delete', async () => {
  const before = Date.now();
  expect(await store.put('a/b.txt', bytes('hello'))).toMatchObject({ key: 'a/b.txt', sizeBytes: 5 });
  expect(String(await store.get('a/b.txt'))).toBe('hello');
  expect(String(await store.get('a/b.txt', { start: 1, end: 3 }))).toBe('el');
  expect(String(await store.get('a/b.txt', { start: 3, end: 99 }))).toBe('lo');
  expect((await store.get('a/b.txt', { start: 3, end: 3 })).length).toBe(0);
  expect((await store.get('a/b.txt', { start: 5, end: 9 })).length).toBe(0);
  const head = await store.head('a/b.txt');
  expect(head).toMatchObject({ key: 'a/b.txt', sizeBytes: 5 });
  expect(Math.abs(head!.modifiedMs - before)).toBeLessThan(60_000);
  expect(await store.head('a')).toBeUndefined();
  await store.put('a/b.txt', bytes(''));
  expect((await store.get('a/b.txt')).length).toBe(0);
  await store.delete('a/b.txt');
  await store.delete('a/b.txt');
  expect(await store.head('a/b.txt')).toBeUndefined();
  await expect(store.get('a/b.txt')).rejects.toMatchObject({ kind: 'not-found' });
});

test('put-if-absent: of many at once exactly one wins, and its bytes stay', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => store.put('log/0.json', bytes(String(i)), { ifAbsent: true })),
  );
  const winners = results.flatMap((r, i) => (r.status === 'fulfilled' ? [i] : []));
  expect(winners).toHaveLength(1);
  expect(String(await store.get('log/0.json'))).toBe(String(winners[0]));
  for (const r of results) {
    if (r.status === 'rejected') expect(isKind(r.reason, 'already-exists', 'conflict'), String(r.reason)).toBe(true);
  }
  expect(await keys('log/')).toEqual(['log/0.json']);
});

// Beyond one part of a multipart upload, and not a whole number of them.
test.each([0, 5, 1_000_000, 20_000_001])('a writer of %i bytes is invisible until complete', async (size) => {
  const whole = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz!');
  const out = await store.writer('x/y');
  const piece = Buffer.alloc(300_007);
  for (let at = 0; at < size; at += piece.length) {
    const part = piece.subarray(0, whole.copy(piece, 0, at, Math.min(size, at + piece.length)));
    await out.write(part);
    // The writer must have its own copy.
    part.fill(0);
  }
  expect(out.bytesWritten).toBe(size);
  expect(await keys('')).toEqual([]);
  expect(await out.complete()).toMatchObject({ key: 'x/y', sizeBytes: size });
  expect(whole.equals(await store.get('x/y'))).toBe(true);
  expect(await keys('')).toEqual(['x/y']);
});

test.each([3, 20_000_000])('abort of a writer of %i bytes leaves nothing', async (size) => {
  const dropped = await store.writer('x/z');
  await dropped.write(Buffer.alloc(size));
  await dropped.abort();
  await dropped.abort();
  await expect(dropped.write(bytes('more'))).rejects.toThrow();
  expect(await keys('')).toEqual([]);
  expect(await store.discardUnfinished('', Date.now() + 60_000)).toBe(0);
});

test.each([4, 20_000_000])('of two writers that may not replace, of %i bytes, one wins', async (size) => {
  const writers = await Promise.all([1, 2].map(() => store.writer('x/once', { ifAbsent: true })));
  for (const [i, writer] of writers.entries()) await writer.write(Buffer.alloc(size, String(i)));
  await writers[1]!.complete();
  await expect(writers[0]!.complete()).rejects.toMatchObject({ kind: 'already-exists' });
  await writers[0]!.abort();
  expect(String((await store.get('x/once')).subarray(0, 4))).toBe('1111');
});

test('what a writer that never ended has left is not listed, and can be discarded', async () => {
  await store.put('x/y', bytes('there'));
  const lost = await store.writer('x/deep/z');
  await lost.write(Buffer.alloc(20_000_000));
  expect(await keys('')).toEqual(['x/y']);
  expect(await store.discardUnfinished('x/', Date.now() - 60_000)).toBe(0);
  expect(await store.discardUnfinished('other/', Date.now() + 60_000)).toBe(0);
  // Google's and Azure's forget by themselves.
  expect(await store.discardUnfinished('x/', Date.now() + 60_000)).toBe(/^(file|s3):/.test(store.uri) ? 1 : 0);
  expect(await keys('')).toEqual(['x/y']);
  // What the store makes of parts that were still on their way is its own affair.
  await lost.abort().catch(() => {});
  expect(await keys('')).toEqual(['x/y']);
});

test('list: by prefix, in key order, from after a key', async () => {
  for (const key of ['a/1', 'a/10', 'a/2', 'ab', 'a-b/1', 'b/c/d', 'é', 'z']) await store.put(key, bytes(''));
  expect(await keys('')).toEqual(['a-b/1', 'a/1', 'a/10', 'a/2', 'ab', 'b/c/d', 'z', 'é']);
  expect(await keys('a/')).toEqual(['a/1', 'a/10', 'a/2']);
  expect(await keys('a/1')).toEqual(['a/1', 'a/10']);
  expect(await keys('a', 'a/10')).toEqual(['a/2', 'ab']);
  expect(await keys('nothing/')).toEqual([]);
});

test('a listing of more than one page', async () => {
  // A page has 1,000; a folder has no pages, and an fsync for each object.
  const count = process.env.MILLRACE_TEST_STORE ? 1_003 : 103;
  const names = Array.from({ length: count }, (_, i) => `many/${String(i).padStart(5, '0')}`);
  for (let at = 0; at < names.length; at += 50)
    await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, bytes('x'))));
  expect(await keys('many/')).toEqual(names);
  await store.deleteMany([...names.slice(1), 'many/absent']);
  expect(await keys('many/')).toEqual(names.slice(0, 1));
  await store.deleteMany([]);
});

test('a range is put into memory that was given, when it fits', async () => {
  await store.put('a', bytes('hello world'));
  const memory = new Uint8Array(16);
  const found = await store.get('a', { start: 6, end: 11 }, undefined, memory);
  expect(String(Buffer.from(found))).toBe('world');
  expect(found.buffer).toBe(memory.buffer);
  expect(String(Buffer.from(await store.get('a', { start: 0, end: 11 }, undefined, new Uint8Array(4))))).toBe(
    'hello world',
  );
});

test('names of all kinds', async () => {
  const names = [
    'a b/c+d.json',
    '%41',
    'tab\tname',
    'ünïcode/漢字/🙂',
    'quote\'"',
    '_delta_log/00000000000000000000.json',
    'a&b=c?d#e',
  ];
  for (const name of names) {
    await store.put(name, bytes(name));
    expect(String(await store.get(name))).toBe(name);
    expect(store.keyOf(store.uriOf(name))).toBe(name);
  }
  expect((await keys('')).toSorted()).toEqual(names.toSorted());
});

test.each(['', '/a', 'a//b', '../a', 'a/../b', 'a\\b', 'a\0b', 'a/'])('key %j is refused', async (key) => {
  await expect(store.put(key, bytes(''))).rejects.toMatchObject({ kind: 'invalid' });
});

test('an aborted signal ends what is asked', async () => {
  await store.put('a', bytes('x'));
  await expect(store.get('a', undefined, AbortSignal.abort())).rejects.toMatchObject({ kind: 'cancelled' });
});
