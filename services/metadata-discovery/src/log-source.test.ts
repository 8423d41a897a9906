import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localStore, type ObjectStore } from '@millrace/object-store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logSource } from './log-source.ts';

const ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const LAST = ['leader_epoch_checkpoint', 'snapshot'];
const NOBODY = new AbortController().signal;
let root: string;
let nowMs: number;
let listed: string[];
let store: ObjectStore;
const clock = { now: () => nowMs, sleep: async () => {} };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'log-source-'));
  nowMs = Date.now();
  listed = [];
  const local = localStore(root);
  store = {
    ...local,
    list: (prefix, options) => {
      listed.push(prefix);
      return local.list(prefix, options);
    },
  };
});
afterEach(() => rm(root, { recursive: true }));

const folderOf = (topic: string, partition: number) => join(root, `${topic}-${partition}-${ID}`);

/** A segment whose files, and whose folder, were touched `agoMs` ago. */
async function segment(topic: string, partition: number, base: number, agoMs: number, suffixes: string[] = []) {
  const folder = folderOf(topic, partition);
  await mkdir(folder, { recursive: true });
  const at = new Date(nowMs - agoMs);
  for (const suffix of ['log', 'index', ...suffixes]) {
    const id = ID.slice(1) + String.fromCharCode(65 + base);
    const path = join(folder, `${String(base).padStart(20, '0')}-${id}.${suffix}`);
    await writeFile(path, 'x');
    await utimes(path, at, at);
  }
  await utimes(folder, at, at);
}

const basesOf = (log: Map<string, { partitions: Map<number, { baseOffset: number }[]> }>) =>
  Object.fromEntries(
    [...log].map(([topic, { partitions }]) => [
      topic,
      Object.fromEntries([...partitions].map(([p, segments]) => [p, segments.map(({ baseOffset }) => baseOffset)])),
    ]),
  );

test('only folders with a new stamp are listed; a topic that is as it was is the same object', async () => {
  for (const topic of ['a', 'b']) {
    for (const partition of [0, 1]) await segment(topic, partition, 0, 60_000, LAST);
  }
  await mkdir(join(root, 'something else'));
  const source = logSource(store, clock);
  const first = await source.list(NOBODY);
  expect(basesOf(first)).toEqual({ a: { 0: [0], 1: [0] }, b: { 0: [0], 1: [0] } });
  expect(listed.length).toBe(4);
  await segment('b', 1, 7, 50_000, LAST);
  const second = await source.list(NOBODY);
  expect(listed.slice(4)).toEqual([`b-1-${ID}/`]);
  expect(basesOf(second)).toEqual({ a: { 0: [0], 1: [0] }, b: { 0: [0], 1: [0, 7] } });
  expect(second.get('a')).toBe(first.get('a'));
  expect(second.get('b')).not.toBe(first.get('b'));
  await rm(folderOf('a', 0), { recursive: true });
  await rm(folderOf('a', 1), { recursive: true });
  expect([...(await source.list(NOBODY)).keys()]).toEqual(['b']);
  // However it looks, nothing is believed for ever.
  nowMs += 700_000;
  listed = [];
  await source.list(NOBODY);
  expect(listed.length).toBe(2);
});

test('what changed a moment ago, and a segment that may be growing, are listed again although no stamp tells', async () => {
  await segment('fresh', 0, 0, 500, LAST);
  await segment('growing', 0, 0, 10_000);
  await segment('old', 0, 0, 40_000);
  const source = logSource(store, clock);
  const first = await source.list(NOBODY);
  listed = [];
  const path = join(folderOf('growing', 0), `${'0'.repeat(20)}-${ID}.log`);
  await writeFile(path, 'longer');
  const at = new Date(nowMs - 10_000);
  await utimes(path, at, at);
  const second = await source.list(NOBODY);
  expect(listed.sort()).toEqual([`fresh-0-${ID}/`, `growing-0-${ID}/`]);
  expect(second.get('growing')!.partitions.get(0)).toMatchObject([{ sizeBytes: 6 }]);
  expect(second.get('fresh')).toBe(first.get('fresh'));
  nowMs += 31_000;
  await source.list(NOBODY);
  listed = [];
  await source.list(NOBODY);
  expect(listed).toEqual([]);
});

test('a store without stamps is listed as a whole, and what is the same keeps its object', async () => {
  await segment('a', 0, 0, 60_000, LAST);
  await segment('b', 0, 0, 60_000, LAST);
  const { folders: _, ...plain } = store;
  const source = logSource(plain, clock);
  const first = await source.list(NOBODY);
  await segment('b', 0, 5, 60_000);
  const second = await source.list(NOBODY);
  expect(listed).toEqual(['', '']);
  expect(second.get('a')).toBe(first.get('a'));
  expect(basesOf(second)).toEqual({ a: { 0: [0] }, b: { 0: [0, 5] } });
});

test('an empty folder, as a deleted topic leaves it, hides no other', async () => {
  await mkdir(folderOf('deleted', 0));
  await segment('a', 0, 0, 60_000, LAST);
  const source = logSource(store, clock);
  for (let looks = 0; looks < 2; looks++) expect(basesOf(await source.list(NOBODY))).toEqual({ a: { 0: [0] } });
  await segment('deleted', 0, 3, 0);
  expect(basesOf(await source.list(NOBODY))).toEqual({ a: { 0: [0] }, deleted: { 0: [3] } });
});
