import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS, generateDemo } from '@millrace/all-in-one';
import { SERVICE_NAMES, type ServiceName } from '@millrace/cli';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { createClient } from '@millrace/rpc';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { type PostgresServer, startPostgres } from './peers/postgres.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { appendCopyOfFirstBatch } from './system/append-segment.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { type Observer, type Owners, observe, SHARED_SERVICES, type SharedService } from './system/replicas.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { startWhole, type Whole } from './system/whole.ts';

// Two processes of every service on one PostgreSQL, which they find empty and all at once; records flow all the time.
// One of each is killed, one stands still for longer than its lease, one drains, the database server is killed.

const RECORDS = 4_000;
const LEASE_MS = 6_000;
/** A lease, a beat until it is noticed, and what a machine that does much else needs. */
const MOVED_MS = LEASE_MS * 2 + 12_000;
/** Processes start again before that. */
const SHARED_MS = 90_000;
const APPEND_EVERY_MS = 800;
const ONE = 'replica-1';
const TWO = 'replica-2';

let scratch: Scratch;
let server: PostgresServer | undefined;
let whole: Whole | undefined;
let observer: Observer | undefined;
let flowing: Promise<void> = Promise.resolve();
const ended = new AbortController();

beforeAll(async () => {
  scratch = await createScratch('replicas');
});
afterAll(async () => {
  ended.abort();
  await flowing;
  await observer?.close();
  await whole?.kill();
  await server?.remove();
  await scratch.remove();
});

/** New segments in turn on every partition, until the test has had enough. */
async function flow(logDir: string): Promise<void> {
  const folders = (await readdir(logDir)).filter((name) => !name.startsWith('.')).sort();
  for (let i = 0; !ended.signal.aborted; i++) {
    await appendCopyOfFirstBatch(join(logDir, folders[i % folders.length]!));
    await sleep(APPEND_EVERY_MS, undefined, { signal: ended.signal }).catch(() => {});
  }
}

const pidsOf = (service: ServiceName): number[] => whole!.endpoints().pids[service] ?? [];

/** The process that began first, which has the first name. */
const signalFirst = (service: ServiceName, name: NodeJS.Signals): number => {
  const pid = Math.min(...pidsOf(service));
  process.kill(pid, name);
  return pid;
};

async function untilTwo(service: ServiceName, without: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
    const pids = pidsOf(service);
    if (pids.length >= 2 && !pids.includes(without)) return;
    await sleep(100);
  }
  throw new Error(`${service} has not two processes again`);
}

const sizes = (owners: Owners) => [
  owners.get('')?.length ?? 0,
  owners.get(ONE)?.length ?? 0,
  owners.get(TWO)?.length ?? 0,
];
/** Nobody has none, and nobody has two more than another. */
const isShared = (owners: Owners): boolean => {
  const [nobody, one, two] = sizes(owners) as [number, number, number];
  return nobody === 0 && one + two === DEMO_TOPICS.length && Math.abs(one - two) <= 1;
};
const isOnly = (replica: string) => (owners: Owners) => owners.get(replica)?.length === DEMO_TOPICS.length;

const each = (look: (service: SharedService) => Promise<number>): Promise<[string, number][]> =>
  Promise.all(SHARED_SERVICES.map(async (service): Promise<[string, number]> => [service, await look(service)]));
const print = (what: string, all: [string, number][]) =>
  console.log(`${what}: ${all.map(([service, ms]) => `${service} ${ms} ms`).join(', ')}`);
const allShared = () => each((service) => observer!.until(service, 'a fair share for both', SHARED_MS, isShared));

async function prepare(context: TestContext): Promise<{ python: string; postgres: PostgresServer }> {
  const { python, postgres } = await requirePeers(context, 'python', 'postgres');
  reportOnFailure(context, () => whole);
  server ??= await startPostgres(postgres);
  if (whole === undefined) {
    const { dataDir, logDir, schemaDir } = scratch;
    await generateDemo({ logDir, schemaDir, recordsPerTopic: RECORDS, segmentBytes: 100_000 });
    whole = await startWhole({
      dataDir,
      args: ['--records', '0', '--replicas', '2', '--database', server.url],
      env: { MILLRACE_COMMIT_INTERVAL_MS: '1000', MILLRACE_OWNER_LEASE_MS: String(LEASE_MS) },
    });
    observer = await observe(server.url);
    flowing = flow(logDir);
  }
  return { python, postgres: server };
}

test('two of every service share the work', async (context) => {
  await prepare(context);
  for (const name of SERVICE_NAMES) expect([name, pidsOf(name).length]).toEqual([name, 2]);
  const { services, catalogUri, catalogUris } = whole!.endpoints();
  for (const name of SERVICE_NAMES) expect(services[name]!.split(',')).toHaveLength(2);
  expect(catalogUris).toHaveLength(2);
  // Our own catalog as an outside one: a namespace beside that of the tables.
  const added = await millrace(
    scratch.dataDir,
    'catalogs',
    'add',
    'beside',
    '--uri',
    catalogUri,
    '--namespace',
    'beside',
  );
  expect(added.code, added.stderr).toBe(0);
  print('shared after the start', await allShared());
});

test('kill -9 of one of each in turn: the other one goes on, and it comes back to its work', async (context) => {
  await prepare(context);
  for (const name of SERVICE_NAMES) {
    const killed = signalFirst(name, 'SIGKILL');
    await untilTwo(name, killed);
  }
  print('shared after kill -9', await allShared());
});

test('one of each stands still for longer than its lease: the others have its work by then, and it is let back in', async (context) => {
  await prepare(context);
  await allShared();
  const pids: number[] = [];
  try {
    for (const service of SHARED_SERVICES) pids.push(signalFirst(service, 'SIGSTOP'));
    const moved = await each((service) =>
      observer!.until(
        service,
        'a move away from the replica that stands still',
        MOVED_MS,
        (owners) => isOnly(ONE)(owners) || isOnly(TWO)(owners),
      ),
    );
    print(`moved from those that stand still (lease ${LEASE_MS} ms)`, moved);
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
  print('shared again once they go on', await allShared());
});

test('a drain hands over at once, no lease is waited for', async (context) => {
  await prepare(context);
  await allShared();
  const drained = new Map(SHARED_SERVICES.map((service) => [service, signalFirst(service, 'SIGTERM')]));
  const moved = await each((service) =>
    observer!.until(service, 'the drain', MOVED_MS, (owners) => isOnly(ONE)(owners) || isOnly(TWO)(owners)),
  );
  print('moved by a drain', moved);
  for (const [service, pid] of drained) await untilTwo(service, pid);
  print('shared after the drain', await allShared());
});

test('the database server is killed and starts again: everybody goes on', async (context) => {
  const { postgres } = await prepare(context);
  await postgres.kill();
  await sleep(2_000);
  await postgres.start();
  print('shared after the database was away', await allShared());
});

test('afterwards the tables are exact, every split ended once, no version stands twice', async (context) => {
  const { python } = await prepare(context);
  ended.abort();
  await flowing;
  const { dataDir, logDir, schemaDir, outDir } = scratch;
  const ends: Record<string, Ends> = {};
  for (const { name: topic } of DEMO_TOPICS) {
    const oracle = await runOracle(python, { logDir, schemaDir, topic, out: join(outDir, `${topic}.jsonl`) });
    expect(oracle.rows).toBeGreaterThan(RECORDS);
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
  }
  const all = await waitUntilCaughtUp(whole!, ends, 240_000);
  const { catalogUri, services } = whole!.endpoints();
  const delta = createClient(DeltaCommitterService, services['delta-committer']!);
  const iceberg = createClient(IcebergCatalogService, services['iceberg-rest-catalog']!);
  try {
    for (const { name: topic } of DEMO_TOPICS) {
      const { code, stdout, stderr } = await millrace(dataDir, 'verify', `demo.${topic}`, '--rows');
      expect(code, stdout + stderr).toBe(0);
      const table = addressOf(all.get(topic)!, catalogUri);
      for (const reader of READERS.filter(({ name }) => name.startsWith('DuckDB')))
        await expectTable({ reader, folder: python, table, expected: join(outDir, `${topic}.jsonl`), outDir });
      const ref = { namespace: 'demo', name: topic };
      const { commits } = await delta.listCommits({ table: ref, pageSize: 1_000 });
      const { snapshots } = await iceberg.listSnapshots({ table: ref, pageSize: 1_000 });
      for (const shown of [commits, snapshots]) {
        const versions = shown.map(({ ledgerVersion }) => ledgerVersion).filter((version) => version > 0n);
        expect(versions.length).toBeGreaterThan(3);
        expect(new Set(versions).size).toBe(versions.length);
      }
    }
  } finally {
    delta.close();
    iceberg.close();
  }
  const [ledger] = await observer!.query<{ open: number; gaps: number; versions: number; newest: number }>(`
    select
      (select count(*) from metadata_discovery.splits where state <> 'committed') as open,
      (select count(*) from (
        select start_offset - lag(end_offset) over (partition by table_uuid, partition order by start_offset) as gap
        from metadata_discovery.version_offsets) as ranges where gap <> 0) as gaps,
      (select count(*) from metadata_discovery.versions) as versions,
      (select sum(version) from metadata_discovery.tables) as newest`);
  expect(ledger).toMatchObject({ open: 0, gaps: 0 });
  expect(ledger!.versions).toBe(ledger!.newest);
  const owners = await observer!.query<{ owner: string; splits: number }>(
    'select owner, count(*) as splits from metadata_discovery.splits group by owner order by owner',
  );
  console.log(`splits by converter: ${owners.map(({ splits }) => splits).join(', ')}; versions: ${ledger!.versions}`);
  expect(owners.length).toBeGreaterThan(1);
  expect(await whole!.stop()).toBe(0);
  whole = undefined;
});
