import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase } from '@millrace/database';
import { testDatabaseUrl } from '@millrace/database/testing';
import { createLogger } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  checkOwner,
  type Owned,
  type OwnerSchema,
  type OwnerStore,
  type Ownership,
  ownerStore,
  ownersMigration,
  startOwnership,
} from './index.ts';

let folder: string;
let opened: Database<OwnerSchema>[];
let running: Replica[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-owners-'));
  opened = [];
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map(({ ownership }) => ownership.stop()));
  await Promise.all(opened.map(({ close }) => close()));
  rmSync(folder, { recursive: true });
});

const LEASE_MS = 500;
const logger = createLogger('test');

interface Replica {
  ownership: Ownership;
  database: Database<OwnerSchema>;
  /** What it works on. */
  works: Map<string, number>;
  /** As SIGSTOP does: no call of the store begins or ends. */
  stand(still: boolean): void;
}

/** Every subject that two replicas were told to work on at one time. */
const overlaps: string[] = [];

async function replica(name: string, subjects: readonly string[], endMs = 0): Promise<Replica> {
  // A process of its own has a connection of its own; where signals stay in the process, one is shared.
  const url = testDatabaseUrl(join(folder, 'o.db'));
  const shared = url.startsWith('sqlite') ? opened[0] : undefined;
  const database = shared ?? (await openDatabase<OwnerSchema>(url, [ownersMigration]));
  if (shared === undefined) opened.push(database);
  const works = new Map<string, number>();
  let release: (() => void) | undefined;
  let gate = Promise.resolve();
  const real = ownerStore(database, 'topic');
  const store: OwnerStore = {
    async renew(request, waitMs, signal) {
      await gate;
      const renewed = await real.renew(request, waitMs, signal);
      await gate;
      return renewed;
    },
  };
  const ownership = startOwnership({
    store,
    replica: name,
    leaseMs: LEASE_MS,
    onGained({ subject, epoch }) {
      for (const other of running) if (other.works !== works && other.works.has(subject)) overlaps.push(subject);
      works.set(subject, epoch);
    },
    async onLost({ subject }) {
      if (endMs > 0) await sleep(endMs);
      works.delete(subject);
    },
    logger,
  });
  for (const subject of subjects) ownership.want(subject);
  const made: Replica = {
    ownership,
    database,
    works,
    stand(still) {
      release?.();
      release = undefined;
      if (still) gate = new Promise((resolve) => (release = resolve));
    },
  };
  running.push(made);
  return made;
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `topic-${String(i).padStart(4, '0')}`);
const counts = (...replicas: Replica[]) => replicas.map(({ works }) => works.size);
const write = ({ database }: Replica, owned: Owned) =>
  database.db.transaction().execute((trx) => checkOwner(trx, 'topic', owned));

test('one replica owns everything at once; a second takes a half, handed over without an overlap', async () => {
  overlaps.length = 0;
  const subjects = names(9);
  const one = await replica('one', subjects, 30);
  await expect.poll(() => counts(one)).toEqual([9]);
  const two = await replica('two', subjects);
  await expect.poll(() => counts(one, two)).toEqual([5, 4]);
  expect(new Set([...one.works.keys(), ...two.works.keys()]).size).toBe(9);
  expect(overlaps).toEqual([]);
  // What nobody knew before goes where there is room.
  one.ownership.want('new');
  two.ownership.want('new');
  await expect.poll(() => counts(one, two)).toEqual([5, 5]);
  one.ownership.forget('new');
  two.ownership.forget('new');
  await expect.poll(() => counts(one, two)).toEqual([5, 4]);
});

test('a drain hands over at once, after the work has ended', async () => {
  overlaps.length = 0;
  const subjects = names(8);
  const one = await replica('one', subjects, 50);
  const two = await replica('two', subjects, 50);
  await expect.poll(() => counts(one, two)).toEqual([4, 4]);
  const startedMs = Date.now();
  await one.ownership.stop();
  await expect.poll(() => counts(one, two), { interval: 10 }).toEqual([0, 8]);
  expect(Date.now() - startedMs).toBeLessThan(LEASE_MS - 100);
  expect(overlaps).toEqual([]);
});

test('one that stands still loses its work after its lease; what it writes then is refused, and it joins again', async () => {
  const subjects = names(6);
  const [one, two] = [await replica('one', subjects), await replica('two', subjects)];
  await expect.poll(() => counts(one, two)).toEqual([3, 3]);
  const old = [...one.works].map(([subject, epoch]) => ({ subject, epoch }));
  for (const owned of old) await write(one, owned);
  one.stand(true);
  const startedMs = Date.now();
  await expect.poll(() => two.works.size, { timeout: 5_000 }).toBe(6);
  expect(Date.now() - startedMs).toBeLessThan(LEASE_MS * 2);
  for (const owned of old) {
    await expect(write(one, owned)).rejects.toMatchObject({ kind: 'conflict', code: 'owner-stale' });
    expect(two.works.get(owned.subject)).toBeGreaterThan(owned.epoch);
    // Its own clock says so too.
    expect(one.ownership.epochOf(owned.subject)).toBeUndefined();
  }
  one.stand(false);
  await expect.poll(() => counts(one, two), { timeout: 5_000 }).toEqual([3, 3]);
  for (const [subject, epoch] of one.works) await write(one, { subject, epoch });
});

test('a new process of the same name goes on at once, and the old one gets out of its way', async () => {
  const subjects = names(4);
  const first = await replica('one', subjects);
  await expect.poll(() => counts(first)).toEqual([4]);
  const old = [...first.works].map(([subject, epoch]) => ({ subject, epoch }));
  first.stand(true);
  const second = await replica('one', subjects);
  await expect.poll(() => counts(second)).toEqual([4]);
  for (const owned of old) await expect(write(first, owned)).rejects.toMatchObject({ code: 'owner-stale' });
  first.stand(false);
  await expect.poll(() => counts(first, second)).toEqual([2, 2]);
});

test('what an owner says of a subject is read by the others, and goes with the owner', async () => {
  const subjects = names(2);
  const [one, two] = [await replica('one', subjects), await replica('two', subjects)];
  await expect.poll(() => counts(one, two)).toEqual([1, 1]);
  const [subject] = one.works.keys();
  two.ownership.note(subject!, 'not mine to say');
  one.ownership.note(subject!, 'no segment yet');
  await expect.poll(() => two.ownership.noteOf(subject!)).toBe('no segment yet');
  await one.ownership.stop();
  await expect.poll(() => two.works.size).toBe(2);
  await expect.poll(() => two.ownership.noteOf(subject!)).toBeUndefined();
});

test('2,000 subjects are spread over three replicas, and over two again', async () => {
  const subjects = names(2_000);
  const replicas = [await replica('one', subjects), await replica('two', subjects), await replica('three', subjects)];
  await expect.poll(() => counts(...replicas), { timeout: 20_000 }).toEqual([667, 666, 667]);
  await replicas[1]!.ownership.stop();
  await expect.poll(() => counts(...replicas), { timeout: 20_000 }).toEqual([1_000, 0, 1_000]);
});
