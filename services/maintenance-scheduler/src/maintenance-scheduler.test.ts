import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@millrace/actor';
import { type Clock, systemClock } from '@millrace/base';
import { testDatabaseUrl } from '@millrace/database/testing';
import { TableFormat } from '@millrace/proto/common';
import { JobKind, JobState, MaintenanceSchedulerService, type Policy } from '@millrace/proto/maintenance_scheduler';
import { type Client, createClient, type RpcServer, type RunningService } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, orders, type World } from './fake-world.ts';
import { createMaintenanceScheduler, maintenanceConfig } from './index.ts';

let world: World;
let folder: string;
let fakes: RpcServer;
let service: RunningService;
let client: Client<typeof MaintenanceSchedulerService>;

async function start(tickMs = 3_600_000, databaseUrl = testDatabaseUrl()): Promise<void> {
  const clock: Clock = { now: world.now, sleep: systemClock.sleep };
  const config = maintenanceConfig.parse({
    port: 0,
    drainMs: 100,
    databaseUrl,
    discoveryAddress: fakes.address,
    icebergAddress: fakes.address,
    deltaAddress: fakes.address,
    converterAddress: fakes.address,
    tickMs,
  });
  service = await createMaintenanceScheduler(config, { clock, store: world.store });
  client = createClient(MaintenanceSchedulerService, service.address);
}

async function stop(): Promise<void> {
  client.close();
  await service.stop();
}

beforeEach(async () => {
  setLogLevel('silent');
  folder = mkdtempSync(join(tmpdir(), 'millrace-maintenance-'));
  world = createWorld();
  fakes = await world.serve();
  await start();
});
afterEach(async () => {
  await stop();
  await fakes.stop(0);
  rmSync(folder, { recursive: true });
});

type Overrides = Partial<Omit<Policy, '$typeName' | '$unknown' | 'table'>>;

async function run(kind: JobKind, overrides: Overrides = {}, dryRun = false) {
  const { job } = await client.runJob({ table: orders, kind, overrides, dryRun });
  const counts = Object.fromEntries(Object.entries(job!.counts).map(([name, value]) => [name, Number(value)]));
  return { ...job!, counts };
}

const compact = (minFiles = 2, dryRun = false) => run(JobKind.COMPACT, { compactMinFiles: minFiles }, dryRun);
const expireNow = { snapshotRetentionMs: 0n, snapshotKeepCount: 1 };
const projectBoth = () => {
  world.project('iceberg');
  world.project('delta');
};
const appendMany = (count: number, from = 0) => {
  for (let i = from; i < from + count; i++) world.append(`data/a${String(i).padStart(3, '0')}.parquet`, i);
};

describe('compact', () => {
  test('many small files become one, in one rewrite, in offset order', async () => {
    appendMany(9);
    world.append('data/big.parquet', 100, 1e9);
    const job = await compact();
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, summary: '9 files (90 B) into 1 (90 B)' });
    expect(job.counts).toEqual({ filesBefore: 9, filesAfter: 1, bytesBefore: 90, bytesAfter: 90 });
    const rewritten = `data/rewrite-${job.jobId}-0-0.parquet`;
    expect(world.live()).toEqual(['data/big.parquet', rewritten]);
    expect(world.files.get(rewritten)!.rows).toBe(9n);
    expect((await compact()).summary).toBe('nothing to compact');
  });

  test('a dry run says what it would do, and does nothing', async () => {
    appendMany(5);
    const job = await compact(2, true);
    expect(job).toMatchObject({ dryRun: true, summary: 'would rewrite 5 files (50 B) in 1 groups' });
    expect(world.live()).toHaveLength(5);
    expect(world.stored()).toHaveLength(5);
  });

  test('a conflict deletes the new files and is no failure', async () => {
    appendMany(4);
    world.proposalFaults = ['conflict'];
    const job = await compact();
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, counts: { conflicts: 1 } });
    expect(world.stored()).toEqual(world.live());
    expect((await compact()).counts['filesAfter']).toBe(1);
  });

  test('a proposal without an answer is repeated until there is one, and counts once', async () => {
    appendMany(4);
    const before = world.newest();
    world.proposalFaults = ['before', 'after'];
    expect(await compact()).toMatchObject({ state: JobState.SUCCEEDED, counts: { filesAfter: 1 } });
    expect(world.newest()).toBe(before + 1);
    expect(world.live().every((path) => world.stored().includes(path))).toBe(true);
  });

  test.each([
    ['fails', 'a file is damaged'],
    ['loses-rows', 'made 3 rows of 4'],
  ] as const)('a rewrite that %s leaves nothing behind', async (fault, message) => {
    appendMany(4);
    world.setRewriteFault(fault);
    const job = await compact();
    expect(job.state).toBe(JobState.FAILED);
    expect(job.error!.message).toContain(message);
    expect(world.stored()).toEqual(world.live());
    expect(world.live()).toHaveLength(4);
  });

  test('a rewrite that makes no fewer files is not proposed', async () => {
    appendMany(4);
    const before = world.newest();
    world.setRewriteFault('keeps-files');
    expect(await compact()).toMatchObject({ state: JobState.SUCCEEDED, counts: { groupsKept: 1 } });
    expect(world.newest()).toBe(before);
    expect(world.stored()).toEqual(world.live());
  });
});

describe('expire', () => {
  beforeEach(async () => {
    appendMany(6);
    projectBoth();
    world.nowMs += 1_000;
    await compact();
  });

  test('files go when both formats have left them behind, and the ledger forgets its old versions', async () => {
    const early = await run(JobKind.EXPIRE, expireNow);
    // The versions before the one that both show, which stays.
    expect(early.counts).toMatchObject({ dataFilesDeleted: 0, oldestLedgerVersion: 7, ledgerVersionsExpired: 6 });
    world.nowMs += 1_000;
    projectBoth();
    const dry = await run(JobKind.EXPIRE, expireNow, true);
    expect(dry.counts['dataFilesDeleted']).toBe(3);
    expect(world.stored()).toHaveLength(7);
    const job = await run(JobKind.EXPIRE, expireNow);
    expect(job.counts).toMatchObject({ snapshotsExpired: 1, deltaLogFilesDeleted: 1, dataFilesDeleted: 6 });
    expect(job.counts).toMatchObject({ oldestLedgerVersion: 8, ledgerVersionsExpired: 1 });
    expect(world.stored()).toEqual(world.live());
  });

  test('nothing goes inside the retention', async () => {
    world.nowMs += 1_000;
    projectBoth();
    await run(JobKind.EXPIRE, { ...expireNow, snapshotRetentionMs: 5_000n });
    expect(world.stored()).toHaveLength(7);
    // Snapshots of the old files have ended meanwhile, the files' own time has not.
    await run(JobKind.EXPIRE, { ...expireNow, snapshotRetentionMs: 1_001n });
    expect(world.stored()).toHaveLength(7);
  });

  test.each([
    ['a format that lags', (w: World) => w.project('iceberg')],
    [
      'a format that was switched off and still exists',
      (w: World) => {
        w.formats.delete(TableFormat.DELTA);
        w.commit();
        projectBoth();
      },
    ],
    [
      'a format that is wanted and not made yet',
      (w: World) => {
        w.project('iceberg');
        Object.assign(w.delta, { exists: false, enabled: false, shown: [] });
      },
    ],
  ])('%s keeps its files', async (_, prepare) => {
    world.nowMs += 1_000;
    prepare(world);
    const job = await run(JobKind.EXPIRE, expireNow);
    expect(job.state).toBe(JobState.SUCCEEDED);
    expect(job.summary).toMatch(/Delta (still shows ledger version \d+|table has yet to be made)/);
    expect(world.stored()).toHaveLength(7);
  });

  test.each(['iceberg', 'delta'] as const)('nothing is deleted when %s can not be asked', async (which) => {
    world.nowMs += 1_000;
    projectBoth();
    world[which].down = true;
    const job = await run(JobKind.EXPIRE, expireNow);
    expect(job).toMatchObject({ state: JobState.FAILED, error: { message: 'the projector can not be asked' } });
    expect(world.stored()).toHaveLength(7);
  });

  test('a format that is gone keeps nothing', async () => {
    world.nowMs += 1_000;
    world.formats.delete(TableFormat.DELTA);
    Object.assign(world.delta, { exists: false, enabled: false, shown: [] });
    world.project('iceberg');
    await run(JobKind.EXPIRE, expireNow);
    expect(world.stored()).toEqual(world.live());
  });
});

describe('sweep', () => {
  test('orphans beyond the grace go; leases, live, removed and young files stay', async () => {
    appendMany(4);
    world.write('data/split9-0.parquet');
    world.write('data/split8-0.parquet');
    world.write('_dead_letters/split8-0.parquet');
    world.write('_delta_log/00.json');
    world.leases.add('data/split9-');
    await compact();
    world.nowMs += 100_000;
    world.write('data/young.parquet');
    const grace = { sweepGraceMs: 50_000n };
    const dry = await run(JobKind.SWEEP, grace, true);
    expect(dry.summary).toBe('would delete 2 of 9 objects (20 B)');
    const before = world.stored();
    const job = await run(JobKind.SWEEP, grace);
    expect(job.counts).toEqual({ objectsListed: 9, orphansDeleted: 2, orphanBytes: 20 });
    const gone = before.filter((path) => !world.stored().includes(path));
    expect(gone).toEqual(['_dead_letters/split8-0.parquet', 'data/split8-0.parquet']);
  });
});

test('a dropped table is purged by itself once both formats are gone', async () => {
  appendMany(7);
  world.write('_dead_letters/x.parquet');
  world.write('data/orphan.parquet');
  projectBoth();
  await stop();
  await start(50);
  Object.assign(world, { dropped: true, purge: true });
  const version = world.commit();
  for (const file of world.files.values()) Object.assign(file, { removed: version, removedMs: world.nowMs });
  const refused = await run(JobKind.EXPIRE);
  expect(refused).toMatchObject({ state: JobState.FAILED, error: { code: 'projection-exists' } });
  expect(world.stored()).toHaveLength(9);
  world.iceberg.exists = world.delta.exists = false;
  // A listing that lacks what is newest: the ledger knows the files.
  world.unlisted.add('data/a006.parquet');
  world.nowMs += 3_600_000;
  await expect.poll(() => world.stored()).toEqual([]);
  await expect.poll(() => [...world.files.values()].every(({ forgotten }) => forgotten)).toBe(true);
  const { jobs } = await client.listJobs({ table: orders });
  const count = jobs.length;
  await systemClock.sleep(200);
  expect((await client.listJobs({ table: orders })).jobs).toHaveLength(count);
});

test('a table that was dropped without purge is left alone', async () => {
  appendMany(3);
  world.dropped = true;
  for (const kind of [JobKind.EXPIRE, JobKind.SWEEP]) {
    expect(await run(kind)).toMatchObject({ state: JobState.FAILED, error: { code: 'table-dropped' } });
  }
  expect(world.stored()).toHaveLength(3);
});

test('I4: whatever happens in between and in whatever order, nothing that is shown is deleted', async () => {
  let actions = 0;
  for (let seed = 1; seed <= 8; seed++) {
    await stop();
    await fakes.stop(0);
    world = createWorld();
    fakes = await world.serve();
    await start();
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random() * n);
    let names = 0;
    let cutoffMs = 0;
    const outside: (() => void)[] = [
      () => world.append(`data/b${names++}.parquet`, names),
      () => world.append(`data/b${names++}.parquet`, names),
      () => world.project('iceberg'),
      () => world.project('delta'),
      () => (world.nowMs += below(5_000)),
      () => {
        const prefix = `data/s${names++}-`;
        world.leases.add(prefix);
        world.write(`${prefix}0`);
      },
      () => {
        const [prefix] = world.leases;
        if (prefix === undefined) return;
        // Committed, or given up: then its file is an orphan.
        if (random() < 0.7) world.add(`${prefix}0`, world.commit(), names++);
        world.leases.delete(prefix);
      },
      () => {
        const format = random() < 0.5 ? TableFormat.ICEBERG : TableFormat.DELTA;
        if (world.formats.has(format) && world.formats.size > 1) world.formats.delete(format);
        else world.formats.add(format);
        world.commit();
      },
    ];
    const meddle = () => {
      if (random() < 0.25) outside[below(outside.length)]!();
    };
    for (let step = 0; step < 30; step++) {
      outside[below(outside.length)]!();
      world.iceberg.down = random() < 0.05;
      world.meddle = random() < 0.7 ? meddle : () => {};
      world.proposalFaults = random() < 0.2 ? ['after'] : [];
      // Listings need not show everything.
      world.unlisted.clear();
      const lacking = random() < 0.3 ? 0.3 : 0;
      for (const path of world.stored()) if (random() < lacking) world.unlisted.add(path);
      const retentionMs = below(2) * below(20_000);
      const job = random();
      if (job < 0.3) await compact(2);
      else if (job < 0.6) {
        cutoffMs = Math.max(cutoffMs, world.nowMs - retentionMs);
        const keep = { snapshotRetentionMs: BigInt(retentionMs), snapshotKeepCount: 1 + below(3) };
        // The cutoff is set when the job begins; meddling may move the clock before that.
        const began = await run(JobKind.EXPIRE, keep, random() < 0.1);
        cutoffMs = Math.max(cutoffMs, Number(began.startedMs) - retentionMs);
      } else if (job < 0.8) await run(JobKind.SWEEP, { sweepGraceMs: 0n });
      expect(world.lost(cutoffMs), `seed ${seed}, step ${step}`).toBeUndefined();
      actions++;
    }
    // And it ends: once all is quiet, what is left is what the table shows.
    world.meddle = () => {};
    world.unlisted.clear();
    world.iceberg.down = false;
    world.formats = new Set([TableFormat.ICEBERG, TableFormat.DELTA]);
    world.leases.clear();
    world.nowMs += 100_000;
    projectBoth();
    world.commit();
    projectBoth();
    world.nowMs += 1;
    await run(JobKind.EXPIRE, expireNow);
    await run(JobKind.SWEEP, { sweepGraceMs: 0n });
    expect(world.stored(), `seed ${seed}`).toEqual(world.live());
  }
  expect(actions).toBe(240);
});

describe('the schedule', () => {
  test('runs what is due by policy, tells where each value comes from, and pages its history', async () => {
    const file = testDatabaseUrl(join(folder, 'm.db'));
    await stop();
    await start(3_600_000, file);
    appendMany(6);
    await client.setPolicy({ policy: { table: { namespace: 'demo', name: '' }, compactMinFiles: 3 } });
    await client.setPolicy({ policy: { table: orders, compactIntervalMs: 60_000n, expireIntervalMs: 0n } });
    const { policy, sources } = await client.getPolicy({ table: orders });
    expect(policy).toMatchObject({ table: orders, compactMinFiles: 3, expireIntervalMs: 0n, snapshotKeepCount: 1 });
    expect(sources).toMatchObject({
      compact_min_files: 'namespace',
      compact_interval_ms: 'table',
      sweep_grace_ms: 'built-in',
    });
    await stop();
    await start(50, file);
    await systemClock.sleep(150);
    expect((await client.listJobs({})).jobs).toEqual([]);
    world.nowMs += 60_000;
    const ended = async () => (await client.listJobs({})).jobs.filter(({ endedMs }) => endedMs > 0n).length;
    await expect.poll(ended, { timeout: 5_000 }).toBe(1);
    expect(world.live()).toHaveLength(1);
    world.nowMs += 90_000_000;
    await expect.poll(ended, { timeout: 5_000 }).toBe(3);
    const { jobs } = await client.listJobs({ table: orders });
    expect(jobs.map(({ kind }) => kind).sort()).toEqual([JobKind.COMPACT, JobKind.COMPACT, JobKind.SWEEP]);
    const first = await client.listJobs({ table: orders, pageSize: 2 });
    const rest = await client.listJobs({ table: orders, pageSize: 2, pageToken: first.nextPageToken });
    expect([...first.jobs, ...rest.jobs].map(({ jobId }) => jobId)).toEqual(jobs.map(({ jobId }) => jobId));
  });

  test('jobs of a table never overlap, and all are answered', async () => {
    appendMany(3);
    let running = 0;
    let most = 0;
    const { list } = world.store;
    world.store.list = async function* (prefix, options) {
      most = Math.max(most, ++running);
      await systemClock.sleep(5);
      yield* list(prefix, options);
      running--;
    };
    const jobs = await Promise.all(Array.from({ length: 12 }, () => run(JobKind.SWEEP, { sweepGraceMs: 0n })));
    expect(jobs.every(({ state }) => state === JobState.SUCCEEDED)).toBe(true);
    expect(most).toBe(1);
  });

  test('wrong requests are refused by name', async () => {
    await expect(client.runJob({ table: orders })).rejects.toMatchObject({ kind: 'invalid', code: 'job-kind' });
    await expect(run(JobKind.SWEEP, { sweepGraceMs: -1n })).rejects.toMatchObject({ code: 'request-invalid' });
    const unknown = { table: { namespace: 'demo', name: 'nope' }, kind: JobKind.SWEEP };
    await expect(client.runJob(unknown)).rejects.toMatchObject({ kind: 'not-found' });
    expect((await client.listJobs({})).jobs).toEqual([]);
  });
});
