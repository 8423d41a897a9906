import { create, type Message, toBinary } from '@bufbuild/protobuf';
import { SERVICE_NAMES, type ServiceName } from '@millrace/cli';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plausible, SERVICES } from './system/plausible-requests.ts';
import { rawCaller } from './system/raw-call.ts';
import { createScratch, type Scratch } from './system/scratch.ts';
import { type ServiceProcess, startService } from './system/service-process.ts';

// Each service with tiny limits, and a flood of calls: who can't be served is told to try again, memory stays, and it goes on.
const FLOOD = 1_000;
const MAX_CALLS = 2;
const MOST_GROWTH_MB = 150;
const OK = 0;
const RESOURCE_EXHAUSTED = 8;
/** What is asked of the others fails faster than it comes; their own limits (reads, rewrites, jobs) have quick tests. */
const BUSY: ServiceName[] = ['metadata-discovery', 'iceberg-rest-catalog', 'delta-committer'];
const DEFECTS = [-1, 1, 2, 13, 15];

let scratch: Scratch;
const running = new Map<ServiceName, ServiceProcess>();

beforeAll(async () => {
  scratch = await createScratch('overload');
  const common = { MAX_CALLS: String(MAX_CALLS), LOG_LEVEL: 'error' };
  const database = (name: string) => ({ DATABASE_URL: `sqlite:${scratch.dataDir}/${name}.db` });
  const log = { LOG_STORE_URI: scratch.logDir };
  const warehouse = { WAREHOUSE_URI: `${scratch.dataDir}/warehouse` };
  const start = async (name: ServiceName, settings: Record<string, string>) => {
    const service = await startService(name, { ...common, ...settings });
    running.set(name, service);
    return service.address;
  };
  const discovery = await start('metadata-discovery', {
    ...{ ...database('discovery'), ...log, ...warehouse },
    SCHEMA_SOURCE_URI: scratch.schemaDir,
    // Four of the others watch its ledger all the time.
    MAX_CALLS: '8',
  });
  const of = { DISCOVERY_ADDRESS: discovery };
  const reader = await start('segment-reader', { ...log, MAX_CONCURRENT_READS: '1' });
  await start('parquet-converter', { ...of, SEGMENT_READER_ADDRESS: reader, CONCURRENCY: '0' });
  await start('iceberg-rest-catalog', { ...of, ...database('catalog'), ...warehouse, REST_PORT: '0' });
  await start('delta-committer', of);
  await start('catalog-publisher', { ...of, ...database('publisher') });
  await start('maintenance-scheduler', { ...of, ...database('maintenance'), ...warehouse });
});
afterAll(async () => {
  await Promise.all([...running.values()].map((service) => service.stop()));
  await scratch.remove();
});

test.each(SERVICE_NAMES)('%s outlives a flood without growing, and goes on', async (name) => {
  const service = running.get(name)!;
  const caller = rawCaller(service.address);
  const methods = SERVICES.filter(([of]) => of === name).flatMap(([, { typeName, methods }]) =>
    methods.map((method) => {
      const request = create(method.input, plausible(method.input) as never) as Message;
      return { path: `/${typeName}/${method.name}`, bytes: toBinary(method.input, request) };
    }),
  );
  // Once each, so that what is loaded when it is first used is there.
  for (const { path, bytes } of methods) await caller.call(path, bytes, 2_000);
  const before = service.residentMb();
  const flood = Array.from({ length: FLOOD }, (_, i) => {
    const { path, bytes } = methods[i % methods.length]!;
    return caller.call(path, bytes, 20_000);
  });
  const health = caller.call('/grpc.health.v1.Health/Check', new Uint8Array(0), 20_000);
  const answers = await Promise.all(flood);
  const counts = new Map<number | undefined, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  expect(answers.filter(({ status }) => DEFECTS.includes(status ?? 0))).toEqual([]);
  if (BUSY.includes(name)) expect(counts.get(RESOURCE_EXHAUSTED) ?? 0).toBeGreaterThan(FLOOD / 2);
  expect((await health).status).toBe(OK);
  expect(service.residentMb() - before).toBeLessThan(MOST_GROWTH_MB);
  // And then it takes calls again.
  const { path, bytes } = methods[0]!;
  await expect
    .poll(async () => (await caller.call(path, bytes, 5_000)).status, { timeout: 20_000 })
    .not.toBe(RESOURCE_EXHAUSTED);
  caller.close();
});
