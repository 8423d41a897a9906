import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS } from '@millrace/all-in-one';
import { afterAll, beforeAll, expect, type TestContext, test, vi } from 'vitest';
import { type Deployment, READY, SERVICES, type Service, startDeployment } from './containers/deployment.ts';
import { docker, IMAGE, requireEngine } from './containers/engine.ts';
import { caughtUp, countOf, serviceChain } from './containers/observations.ts';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { expectTable } from './system/equal-tables.ts';
import { createScratch, type Scratch } from './system/scratch.ts';

// deploy/compose.yaml as users start it, with an image built from this tree: seven containers, PostgreSQL, an S3 server and
// a collector, mutual TLS between the services. One deployment lives through these tests, in their order.

const RECORDS = 160_000;
const SEGMENT_BYTES = 60_000;
const COUNTING_MS = 8_000;
/** Of a core, where converters are compared: as little as leaves the machine's cores to all three, and to the rest. */
const THROTTLED = 0.15;
/** Of the test's compose file. */
const LEASE_MS = 8_000;
const DRAIN_MS = 10_000;
/** One to see that all works, one to convert while converters come and go, one while everything is rolled. */
const [FIRST, SCALED, ROLLED] = ['clicks', 'orders', 'payments'] as const;

let scratch: Scratch;
let running: Deployment | undefined;

beforeAll(async () => {
  scratch = await createScratch('containers');
});
afterAll(async () => {
  await running?.remove();
  await scratch.remove();
});

/** The deployment that the tests share; what its services said last is printed when this one fails. */
async function deployed(context: TestContext): Promise<Deployment> {
  await requireEngine(context);
  running ??= await startDeployment({ records: RECORDS, segmentBytes: SEGMENT_BYTES });
  context.onTestFailed(async () => {
    console.error((await running!.compose('ps', '--all')).slice(-3_000));
    for (const service of SERVICES) console.error(`${service}\n${(await running!.logs(service)).slice(-1_500)}`);
  });
  return running;
}

test('the image holds what runs and nothing else, and its process has the bounds of its memory', async (context) => {
  await requireEngine(context);
  const [image] = JSON.parse(await docker('image', 'inspect', IMAGE));
  const [base] = JSON.parse(await docker('image', 'inspect', 'node:24-bookworm-slim'));
  expect(image.Config.User).toBe('1000:1000');
  expect(image.Config.Labels['org.opencontainers.image.licenses']).toBe('Apache-2.0');
  const addedMegabytes = (image.Size - base.Size) / 1e6;
  console.log(`the image adds ${addedMegabytes.toFixed(0)} MB to its base`);
  expect(addedMegabytes).toBeLessThan(150);
  const run = (...args: string[]) => docker('run', '--rm', '--read-only', '--cap-drop', 'ALL', ...args);
  const superfluous =
    'cd /opt/millrace && ls -d e2e node_modules/typescript 2>/dev/null; find libs services deploy -name "*.test.ts"';
  expect(await run('--entrypoint', 'sh', IMAGE, '-c', superfluous)).toBe('');
  expect(await run(IMAGE, 'segment-reader', '--help')).toContain('MILLRACE_SEGMENT_READER_LOG_STORE_URI');
  await expect(run(IMAGE, 'segment-raeder')).rejects.toThrow('no such command: segment-raeder');
});

test('the seven come up from compose.yaml, and a topic becomes both tables', async (context) => {
  const deployment = await deployed(context);
  expect(await deployment.compose('config', '--quiet')).toBe('');
  const [converter] = await deployment.containers('parquet-converter');
  const environment = await docker(
    'exec',
    converter!,
    'sh',
    '-c',
    "tr '\\0' '\\n' </proc/1/environ; tr '\\0' ' ' </proc/1/cmdline",
  );
  expect(environment).toContain('MALLOC_ARENA_MAX=2');
  expect(environment).toContain('--max-semi-space-size=4');
  const health = (...args: string[]) => docker('exec', converter!, 'millrace-container', 'health', ...args);
  expect(await health('parquet-converter')).toBe('parquet-converter: SERVING');
  expect(await health('--liveness', 'parquet-converter')).toBe('parquet-converter: SERVING');
  // Nobody listens there in this container.
  await expect(health('segment-reader')).rejects.toThrow('segment-reader: ');
  const catalog = ['--uri', 'https://iceberg-rest-catalog:8181', '--token', 'file:/run/millrace/catalog-token'];
  await deployment.millrace(
    'catalogs',
    'add',
    'mirror',
    ...catalog,
    '--namespace',
    'mirror',
    '--tables',
    `demo.${FIRST}`,
  );
  await deployment.millrace('topics', 'enable', FIRST!, '--table', `demo.${FIRST}`);
  await caughtUp(deployment, [FIRST], RECORDS, 180_000);
});

test('one trace runs through all seven stages of a split', async (context) => {
  const deployment = await deployed(context);
  const stages = ['plan', 'lease', 'read', 'convert', 'upload', 'ledger', 'iceberg', 'delta', 'publish'];
  const longest = await serviceChain(deployment, stages, 60_000);
  expect(longest.stages, JSON.stringify(longest, undefined, 1)).toEqual(stages);
  console.log(`trace ${longest.traceId}: ${longest.spans} spans of ${longest.services.join(', ')}`);
});

/** Splits that the service's containers have converted, by container, within the time. */
async function splitsIn(deployment: Deployment, ms: number): Promise<number[]> {
  const from = new Date();
  await sleep(ms);
  const until = new Date();
  const ids = await deployment.containers('parquet-converter');
  const logs = ids.map((id) =>
    docker('logs', '--since', from.toISOString(), '--until', until.toISOString(), id, { both: true }),
  );
  return (await Promise.all(logs)).map((log) => countOf(log, '"split converted"'));
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

async function scale(deployment: Deployment, converters: number): Promise<void> {
  await deployment.compose(
    'up',
    '--detach',
    '--no-recreate',
    '--no-deps',
    '--scale',
    `parquet-converter=${converters}`,
    'parquet-converter',
  );
}

/** How much of the machine each converter may have from now on. */
async function throttle(deployment: Deployment, cores: number): Promise<void> {
  await docker('update', '--cpus', String(cores), ...(await deployment.containers('parquet-converter')));
}

/** Splits that wait or are under way. */
const open = async (deployment: Deployment) =>
  Number(
    (await deployment.sql("select count(*) from metadata_discovery.splits where state in ('pending', 'leased')"))[0],
  );

test('three converters take three times the splits of one; killed and cut off ones lose no work', async (context) => {
  const deployment = await deployed(context);
  await deployment.millrace('topics', 'enable', SCALED, '--table', `demo.${SCALED}`);
  await expect.poll(() => open(deployment), { timeout: 60_000, interval: 500 }).toBeGreaterThan(100);
  // A process that has just started converts at half the speed: each may take all that it gets until it is warm.
  const converted = async (id: string) => countOf(await docker('logs', id, { both: true }), '"split converted"');
  const [first] = await deployment.containers('parquet-converter');
  const before = await converted(first!);
  await expect.poll(() => converted(first!), { timeout: 60_000, interval: 200 }).toBeGreaterThan(before + 20);
  await throttle(deployment, THROTTLED);
  const one = sum(await splitsIn(deployment, COUNTING_MS));
  await scale(deployment, 3);
  const ids = await deployment.containers('parquet-converter');
  expect(ids).toHaveLength(3);
  for (const id of ids) await expect.poll(() => converted(id), { timeout: 60_000, interval: 200 }).toBeGreaterThan(20);
  await throttle(deployment, THROTTLED);
  const three = await splitsIn(deployment, COUNTING_MS);
  console.log(
    `splits in ${COUNTING_MS} ms: ${one} by one converter, ${three.join(' + ')} by three; ${await open(deployment)} left`,
  );
  expect(await open(deployment)).toBeGreaterThan(0);
  expect(sum(three) / one).toBeGreaterThan(2.4);
  expect(sum(three) / one).toBeLessThan(4.5);
  expect(Math.min(...three)).toBeGreaterThan(sum(three) / 5);

  // Cut off for longer than its lease, with the stores in reach: what it finishes then is somebody else's.
  await docker('network', 'disconnect', deployment.network, ids[1]!);
  await docker('kill', '--signal', 'SIGKILL', ids[2]!);
  await sleep(LEASE_MS + 4_000);
  await docker('network', 'connect', '--alias', 'parquet-converter', deployment.network, ids[1]!);
  expect(countOf(await deployment.logs('metadata-discovery'), '"a lease ran out"')).toBeGreaterThan(0);
  const since = new Date();
  const healed = async () =>
    countOf(await docker('logs', '--since', since.toISOString(), ids[1]!, { both: true }), '"split converted"');
  if ((await open(deployment)) > 0) await expect.poll(healed, { timeout: 60_000, interval: 1_000 }).toBeGreaterThan(0);
  await scale(deployment, 1);
  await expect.poll(() => deployment.containers('parquet-converter'), { timeout: 60_000 }).toHaveLength(1);
});

test('every service is rolled under load: no lease is lost, no time-out waited for', async (context) => {
  const deployment = await deployed(context);
  await scale(deployment, 2);
  await throttle(deployment, THROTTLED);
  await deployment.millrace('topics', 'enable', ROLLED, '--table', `demo.${ROLLED}`);
  await expect.poll(() => open(deployment), { timeout: 60_000, interval: 500 }).toBeGreaterThan(100);
  const from = new Date();
  for (const service of SERVICES) {
    for (const id of await deployment.containers(service)) {
      const startedMs = Date.now();
      await docker('stop', '--time', '30', id);
      const [{ State }] = JSON.parse(await docker('inspect', id));
      const drainedMs = Date.now() - startedMs;
      expect(State.ExitCode, `${service} was killed while it drained`).toBe(0);
      expect(drainedMs, `${service} drained`).toBeLessThan(DRAIN_MS + 5_000);
      if (service === 'parquet-converter') {
        const leased = `select count(*) from metadata_discovery.splits where state = 'leased' and owner like '${id.slice(0, 12)}%'`;
        expect(await deployment.sql(leased), 'leases that nobody works on').toEqual(['0']);
      }
      const again = new Date();
      await docker('start', id);
      const log = () => docker('logs', '--since', again.toISOString(), id, { both: true });
      await expect.poll(log, { timeout: 120_000, interval: 500 }).toMatch(READY);
      console.log(`${service}: drained in ${drainedMs} ms; ${await open(deployment)} splits open`);
    }
  }
  expect(await open(deployment), 'the load ended too early').toBeGreaterThan(0);
  const said = async (service: Service, what: string) => countOf(await deployment.logs(service, from), what);
  expect(await said('metadata-discovery', '"a lease ran out"'), 'leases that ran out').toBe(0);
  expect(await said('parquet-converter', 'the lease went to another converter'), 'leases lost').toBe(0);
  expect(await said('parquet-converter', '"split failed"'), 'splits that failed').toBe(0);
  expect(await said('parquet-converter', 'left to its time-out'), 'splits left').toBe(0);
});

test('in the end every table is the log, by independent readers', async (context) => {
  const deployment = await deployed(context);
  const { python } = await requirePeers(context, 'python');
  await throttle(deployment, availableParallelism());
  const topics = DEMO_TOPICS.map(({ name }) => name);
  const tables = await caughtUp(deployment, topics, RECORDS, 300_000);
  const { logDir, schemaDir, outDir } = scratch;
  await deployment.copyDemo(logDir, schemaDir);
  const token = await deployment.file('iceberg-rest-catalog', '/run/millrace/catalog-token');
  const credentials = await deployment.file('iceberg-rest-catalog', '/run/millrace/aws-credentials');
  const secret = /aws_secret_access_key = (\S+)/.exec(credentials)![1]!;
  const property = (name: string) =>
    `PYICEBERG_CATALOG__MILLRACE__${name.toUpperCase().replaceAll('.', '__').replaceAll('-', '_')}`;
  const authority = join(outDir, 'authority.pem');
  await writeFile(authority, await deployment.file('iceberg-rest-catalog', '/run/millrace/authority.pem'));
  const environment = {
    REQUESTS_CA_BUNDLE: authority,
    AWS_ACCESS_KEY_ID: 'millrace',
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: deployment.s3Endpoint,
    AWS_ALLOW_HTTP: 'true',
    [property('token')]: token,
    [property('s3.endpoint')]: deployment.s3Endpoint,
    [property('s3.region')]: 'us-east-1',
    [property('s3.access-key-id')]: 'millrace',
    [property('s3.secret-access-key')]: secret,
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  for (const topic of [SCALED, ROLLED]) {
    const expected = join(outDir, `${topic}.jsonl`);
    expect((await runOracle(python, { logDir, schemaDir, topic, out: expected })).rows).toBe(RECORDS);
    const table = { catalogUri: deployment.catalogUri, namespace: 'demo', name: topic, location: tables.get(topic)! };
    for (const name of ['PyIceberg', 'deltalake']) {
      const reader = READERS.find((it) => it.name === name)!;
      expect((await expectTable({ reader, folder: python, table, expected, outDir })).rows).toBe(RECORDS);
    }
  }
  for (const service of SERVICES) {
    const log = await deployment.logs(service);
    for (const hidden of [token, secret]) expect(log.includes(hidden), `a secret in the log of ${service}`).toBe(false);
  }
});
