import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_TOPICS, generateDemo } from '@millrace/all-in-one';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type S3Server, startS3 } from './peers/s3.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { type FaultProxy, startFaultProxy } from './system/fault-proxy.ts';
import { runQuickTests } from './system/quick-tests.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { startWhole, type Whole } from './system/whole.ts';

// Object stores that are real servers, and a network between that fails: every store keeps what the interface promises,
// and tables in them stay exact.

const SEED = Number(process.env['MILLRACE_SEED'] ?? Date.now() % 1_000_000);
let scratch: Scratch;
let folder: string;
let s3: S3Server | undefined;
let proxy: FaultProxy | undefined;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('stores');
  folder = await mkdtemp(join(tmpdir(), 'millrace-s3-'));
});
afterAll(async () => {
  await whole?.kill();
  await proxy?.stop();
  await s3?.stop();
  await rm(folder, { recursive: true, force: true });
  await scratch.remove();
});

/** The S3 server, and a proxy before it that fails `share` of the requests. */
async function running(context: Parameters<typeof requirePeers>[0], share: number) {
  const { s3: binaries } = await requirePeers(context, 's3');
  s3 ??= await startS3(binaries, folder);
  proxy ??= await startFaultProxy(Number(new URL(s3.endpoint).port), SEED);
  proxy.failing(share);
  return { server: s3, proxy, endpoint: `http://127.0.0.1:${proxy.port}` };
}

for (const share of [0, 0.1]) {
  test(`S3 keeps what a store promises while ${100 * share} % of its requests fail (seed ${SEED})`, async (context) => {
    const { server, proxy, endpoint } = await running(context, share);
    const env = { ...server.env, MILLRACE_TEST_STORE: `s3://${server.bucket}?endpoint=${endpoint}` };
    expect(await runQuickTests(['libs/object-store/src/object-store.test.ts'], env)).toBeGreaterThan(20);
    const { passed, ...failed } = proxy.counts();
    expect(passed).toBeGreaterThan(1_000);
    if (share > 0) for (const [fault, count] of Object.entries(failed)) expect(count, fault).toBeGreaterThan(5);
  });
}

const RECORDS = 20_000;

test(`tables in S3 are exact while every tenth request fails (seed ${SEED})`, async (context) => {
  const { python } = await requirePeers(context, 'python');
  const { server, endpoint, proxy } = await running(context, 0.1);
  reportOnFailure(context, () => whole);
  const { dataDir, logDir, schemaDir, outDir } = scratch;
  await generateDemo({ logDir, schemaDir, recordsPerTopic: RECORDS, segmentBytes: 200_000 });
  const options = {
    dataDir,
    args: ['--records', '0', '--separate', '--warehouse', `s3://${server.bucket}/warehouse`],
    env: { ...server.env, AWS_ENDPOINT_URL_S3: endpoint, MILLRACE_COMMIT_INTERVAL_MS: '2000' },
  };
  whole = await startWhole(options);
  const ends: Record<string, Ends> = {};
  for (const { name: topic } of DEMO_TOPICS) {
    const oracle = await runOracle(python, { logDir, schemaDir, topic, out: join(outDir, `${topic}.jsonl`) });
    expect(oracle.rows).toBe(RECORDS);
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
  }
  const all = await waitUntilCaughtUp(whole, ends, 300_000);
  proxy.failing(0);
  Object.assign(process.env, server.env, {
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_ENDPOINT_URL: server.endpoint,
    AWS_ALLOW_HTTP: 'true',
    PYICEBERG_CATALOG__MILLRACE__S3__ENDPOINT: server.endpoint,
    PYICEBERG_CATALOG__MILLRACE__S3__REGION: 'us-east-1',
    PYICEBERG_CATALOG__MILLRACE__S3__ACCESS_KEY_ID: server.env['AWS_ACCESS_KEY_ID'],
    PYICEBERG_CATALOG__MILLRACE__S3__SECRET_ACCESS_KEY: server.env['AWS_SECRET_ACCESS_KEY'],
  });
  for (const { name: topic } of DEMO_TOPICS) {
    const { code, stdout, stderr } = await millrace(dataDir, 'verify', `demo.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
    const table = addressOf(all.get(topic)!, whole.endpoints().catalogUri);
    for (const reader of READERS.filter(({ name }) => name === 'PyIceberg' || name === 'deltalake'))
      await expectTable({ reader, folder: python, table, expected: join(outDir, `${topic}.jsonl`), outDir });
  }
  expect(await whole.report()).not.toContain(server.env['AWS_SECRET_ACCESS_KEY']);
  expect(await whole.stop()).toBe(0);
  whole = undefined;
});
