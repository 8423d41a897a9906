import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_TOPICS, generateDemo } from '@millrace/all-in-one';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { requirePeers, type SkippableTest } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { FAULTS, type FaultProxy, HANGS, startFaultProxy } from './system/fault-proxy.ts';
import { runQuickTests } from './system/quick-tests.ts';
import { createScratch, reportOnFailure } from './system/scratch.ts';
import { type RunningStore, STORE_KINDS } from './system/stores.ts';
import { startWhole, type Whole } from './system/whole.ts';

// Object stores that are real servers, and a network between that fails and hangs: every store keeps what the interface
// promises, and tables in them stay exact, even when listings lack what is newest.

const SEED = Number(process.env['MILLRACE_SEED'] ?? Date.now() % 1_000_000);
const EVERY_FAULT = [...FAULTS, ...HANGS];
/** Within it a request that hangs is given up: as short as a busy machine allows. */
const TIMEOUT = { MILLRACE_STORE_TIMEOUT_MS: '1500' };
/** What was written within it no listing shows. */
const STALE_MS = 10_000;
const RECORDS = 5_000;

describe.each(STORE_KINDS)('$name', ({ peer, start, spared }) => {
  let folder: string | undefined;
  let store: RunningStore | undefined;
  let proxy: FaultProxy | undefined;
  let whole: Whole | undefined;
  afterEach(() => vi.unstubAllEnvs());
  afterAll(async () => {
    await whole?.kill();
    await proxy?.stop();
    await store?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  /** The server, and a proxy before it. */
  async function running(context: SkippableTest) {
    const binaries = (await requirePeers(context, peer))[peer];
    folder ??= await mkdtemp(join(tmpdir(), `millrace-${peer}-`));
    store ??= await start(binaries, folder);
    proxy ??= await startFaultProxy(store.port, SEED, spared === undefined ? {} : { spared });
    return { store, proxy, endpoint: `http://127.0.0.1:${proxy.port}` };
  }

  test(`keeps what a store promises while every 20th request fails or hangs (seed ${SEED})`, async (context) => {
    const { store, proxy, endpoint } = await running(context);
    proxy.failing(0.05, EVERY_FAULT);
    const env = { ...store.testEnv(endpoint), ...TIMEOUT };
    expect(await runQuickTests(['libs/object-store/src/object-store.test.ts'], env)).toBeGreaterThan(20);
    const { passed, stale, ...failed } = proxy.counts();
    expect(passed).toBeGreaterThan(1_000);
    expect(stale).toBe(0);
    for (const [fault, count] of Object.entries(failed)) expect(count, fault).toBeGreaterThan(0);
  });

  test(`tables are exact while requests fail and hang and listings are stale (seed ${SEED})`, async (context) => {
    const { python } = await requirePeers(context, 'python');
    const { store, proxy, endpoint } = await running(context);
    reportOnFailure(context, () => whole);
    const scratch = await createScratch(`stores-${peer}`);
    const { dataDir, logDir, schemaDir, outDir } = scratch;
    await generateDemo({ logDir, schemaDir, recordsPerTopic: RECORDS, segmentBytes: 100_000 });
    proxy.failing(0.05, EVERY_FAULT);
    proxy.stale(1, STALE_MS);
    const options = {
      dataDir,
      args: ['--records', '0', '--separate', '--warehouse', `${store.uri}/warehouse`],
      env: { ...store.env(endpoint), ...TIMEOUT, MILLRACE_COMMIT_INTERVAL_MS: '2000' },
    };
    whole = await startWhole(options);
    const ends: Record<string, Ends> = {};
    for (const { name: topic } of DEMO_TOPICS) {
      const oracle = await runOracle(python, { logDir, schemaDir, topic, out: join(outDir, `${topic}.jsonl`) });
      expect(oracle.rows).toBe(RECORDS);
      ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
    }
    const all = await waitUntilCaughtUp(whole, ends, 300_000);
    for (const job of ['compact', 'expire', 'sweep']) {
      const { code, stdout, stderr } = await millrace(dataDir, 'maintenance', 'run', 'demo.orders', job);
      expect(code, `${job}: ${stdout}${stderr}`).toBe(0);
    }
    expect(proxy.counts().stale).toBeGreaterThan(3);
    proxy.failing(0);
    proxy.stale(0, 0);
    const direct = store.env(`http://127.0.0.1:${store.port}`);
    for (const [name, value] of Object.entries({ ...direct, ...store.readerEnv })) vi.stubEnv(name, value);
    await waitUntilCaughtUp(whole, ends, 60_000);
    for (const { name: topic } of DEMO_TOPICS) {
      const { code, stdout, stderr } = await millrace(dataDir, 'verify', `demo.${topic}`, '--rows');
      expect(code, stdout + stderr).toBe(0);
      const table = addressOf(all.get(topic)!, whole.endpoints().catalogUri);
      expect(table.location).toBe(`${store.uri}/warehouse/demo/${topic}`);
      const expected = join(outDir, `${topic}.jsonl`);
      const [iceberg, delta] = ['PyIceberg', 'deltalake'].map((name) => READERS.find((it) => it.name === name)!);
      await expectTable({ reader: iceberg!, folder: python, table, expected, outDir });
      const location = (await store.copy?.(python, table.location, join(outDir, topic))) ?? table.location;
      await expectTable({ reader: delta!, folder: python, table: { ...table, location }, expected, outDir });
    }
    if (store.secret !== undefined) expect(await whole.report()).not.toContain(store.secret);
    expect(await whole.stop()).toBe(0);
    whole = undefined;
    await scratch.remove();
  });
});
