import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS, generateDemo } from '@millrace/all-in-one';
import { isKind } from '@millrace/base';
import { openDatabase } from '@millrace/database';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { type PostgresServer, startPostgres } from './peers/postgres.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { runQuickTests } from './system/quick-tests.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { startWhole, type Whole } from './system/whole.ts';

// The state of the services in a real PostgreSQL: the stores' own tests once more, lost connections, a server that is
// killed and starts again under the whole.

let server: PostgresServer | undefined;
let scratch: Scratch;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('postgres');
});
afterAll(async () => {
  await whole?.kill();
  await server?.remove();
  await scratch.remove();
});

async function running(context: Parameters<typeof requirePeers>[0]): Promise<PostgresServer> {
  const { postgres } = await requirePeers(context, 'postgres');
  server ??= await startPostgres(postgres);
  return server;
}

const STORES = ['libs/database', 'libs/ownership', 'libs/ledger', 'libs/tasks'];
const SERVICES = ['metadata-discovery', 'iceberg-rest-catalog', 'catalog-publisher', 'maintenance-scheduler'];

test("the stores' and the services' tests hold on PostgreSQL as on SQLite", async (context) => {
  const { url } = await running(context);
  const paths = [...STORES, ...SERVICES.map((name) => `services/${name}`)];
  expect(await runQuickTests(paths, { MILLRACE_TEST_POSTGRES: url })).toBeGreaterThan(100);
  const { db, close } = await openDatabase(url, []);
  const { rows } = await sql<{ made: number }>`
    select count(*) as made from pg_namespace where nspname like 'test\\_%'`.execute(db);
  // Otherwise they ran on something else.
  expect(rows[0]!.made).toBeGreaterThan(50);
  await close();
});

interface Counters {
  counter: { name: string; value: number };
}
const MIGRATIONS = [
  {
    name: 'counter',
    // biome-ignore lint/suspicious/noExplicitAny: as migrations have it
    up: async (db: import('kysely').Kysely<any>) => {
      await db.schema
        .createTable('counter')
        .addColumn('name', 'text', (c) => c.primaryKey())
        .addColumn('value', 'bigint', (c) => c.notNull())
        .execute();
    },
  },
];
const own = (url: string, schema: string) => `${url}?schema=${schema}`;

test('many that start at once make one schema', async (context) => {
  const { url } = await running(context);
  const opened = await Promise.all(
    Array.from({ length: 8 }, () => openDatabase<Counters>(own(url, 'at_once'), MIGRATIONS)),
  );
  expect(await opened[0]!.db.selectFrom('counter').selectAll().execute()).toEqual([]);
  await Promise.all(opened.map(({ close }) => close()));
});

test('a transaction cut by a crash of the server leaves nothing; the next query finds the server again', async (context) => {
  const { url, kill, start } = await running(context);
  const { db, close } = await openDatabase<Counters>(own(url, 'lost'), MIGRATIONS, { busyTimeoutMs: 30_000 });
  await db
    .insertInto('counter')
    .values({ name: 'kept', value: 2 ** 53 - 1 })
    .execute();
  const cut = db.transaction().execute(async (trx) => {
    await trx.insertInto('counter').values({ name: 'cut', value: 1 }).execute();
    await kill();
    await trx.insertInto('counter').values({ name: 'cut too', value: 1 }).execute();
  });
  const error = await cut.catch((thrown: unknown) => thrown);
  expect(isKind(error, 'unavailable'), String(error)).toBe(true);
  const starting = sleep(500).then(start);
  // Waits for the server instead of failing.
  expect(await db.selectFrom('counter').selectAll().execute()).toEqual([{ name: 'kept', value: 2 ** 53 - 1 }]);
  await starting;
  await close();
});

test('a statement that failed dooms its transaction, and says so when it was passed over', async (context) => {
  const { url } = await running(context);
  const { db, close } = await openDatabase<Counters>(own(url, 'doomed'), MIGRATIONS);
  await db.insertInto('counter').values({ name: 'n', value: 0 }).execute();
  const passedOver = db.transaction().execute(async (trx) => {
    await trx
      .insertInto('counter')
      .values({ name: 'n', value: 1 })
      .execute()
      .catch(() => {});
  });
  await expect(passedOver).rejects.toMatchObject({ code: 'transaction-aborted' });
  await close();
});

test('a wrong password, an unknown database: named without the secret', async (context) => {
  const { url } = await running(context);
  const wrong = new URL(url);
  wrong.password = 'not-the-secret';
  const refused = await openDatabase(wrong.href, []).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ kind: 'unauthenticated', code: 'database-login' });
  expect(String(refused)).not.toContain('not-the-secret');
  await expect(openDatabase(url.replace(/postgres$/, 'none'), [])).rejects.toMatchObject({ code: 'database-missing' });
});

const RECORDS = 20_000;

test('the whole on PostgreSQL: the server is killed three times while records flow; no row twice, none missing', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const postgres = await running(context);
  reportOnFailure(context, () => whole);
  const { dataDir, logDir, schemaDir, outDir } = scratch;
  await generateDemo({ logDir, schemaDir, recordsPerTopic: RECORDS, segmentBytes: 200_000 });
  const url = new URL(postgres.url);
  const password = decodeURIComponent(url.password);
  url.password = '';
  const options = {
    dataDir,
    args: ['--records', '0', '--separate', '--database', url.href],
    env: { MILLRACE_COMMIT_INTERVAL_MS: '1000', PGPASSWORD: password },
  };
  whole = await startWhole(options);
  for (let kill = 0; kill < 3; kill++) {
    await sleep(1_500);
    await postgres.kill();
    await sleep(1_000);
    await postgres.start();
  }
  const ends: Record<string, Ends> = {};
  for (const { name: topic } of DEMO_TOPICS) {
    const oracle = await runOracle(python, { logDir, schemaDir, topic, out: join(outDir, `${topic}.jsonl`) });
    expect(oracle.rows).toBe(RECORDS);
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
  }
  const all = await waitUntilCaughtUp(whole, ends, 240_000);
  for (const { name: topic } of DEMO_TOPICS) {
    const { code, stdout, stderr } = await millrace(dataDir, 'verify', `demo.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
    const table = addressOf(all.get(topic)!, whole.endpoints().catalogUri);
    for (const reader of READERS.filter(({ name }) => name.startsWith('DuckDB')))
      await expectTable({ reader, folder: python, table, expected: join(outDir, `${topic}.jsonl`), outDir });
  }
  const said = await whole.report();
  expect(said).not.toContain(password);
  expect(await whole.stop()).toBe(0);
  whole = undefined;
});
