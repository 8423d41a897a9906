import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { asEnvironment, defineServices, freePorts, openDataFolder } from '@millrace/all-in-one';
import { openSession, SERVICE_NAMES } from '@millrace/cli';
import type { Backend } from './fault-plan.ts';
import { createServiceProcess, type ServiceProcess } from './service-process.ts';
import { TIERED_BUCKET, type World } from './world.ts';

/** How Millrace is deployed for a row of rounds. */
export interface Variant {
  backend: Backend;
  /** Of every service; converters are two at least. */
  replicas: number;
  /** Whether converters read the log through segment-reader instead of by themselves. */
  throughReader: boolean;
}

export const describeVariant = ({ backend, replicas, throughReader }: Variant): string =>
  [
    backend === 'servers' ? 'PostgreSQL and S3' : 'SQLite and a folder',
    ...(replicas === 1 ? [] : [`${replicas} replicas`]),
    ...(throughReader ? ['bytes through segment-reader'] : []),
  ].join(', ');

/** The seven services in processes of their own. */
export interface Deployment {
  dataDir: string;
  catalogUri: string;
  processes: ServiceProcess[];
  variant: Variant;
  /** Drains everything; says who did not end with exit code 0. */
  stop(): Promise<string[]>;
}

export const NAMESPACE = 'chaos';
export const LEASE_MS = 2_000;
/** Longer than anything is stopped: what is younger, somebody may still be at. */
const GRACE_MS = 20_000;

/** Everything happens within seconds, by the settings that everybody has. */
const SETTINGS: Record<string, Record<string, unknown>> = {
  'metadata-discovery': {
    pollMs: 300,
    schemaPollMs: 500,
    settleMs: 5_000,
    splitBytes: 49_152,
    fileBytes: 131_072,
    leaseMs: LEASE_MS,
    backoffMs: 200,
  },
  'parquet-converter': { heartbeatMs: 400, leaseWaitMs: 1_000, targetFileBytes: 32_768, rowGroupBytes: 65_536 },
  'iceberg-rest-catalog': { orphanAgeMs: GRACE_MS },
  'delta-committer': { checkpointInterval: 5 },
  'maintenance-scheduler': { tickMs: 1_000, rewriteTimeoutMs: 20_000, callTimeoutMs: 15_000 },
};

/** Starts it in a folder of its own, `name` under the world's root; topics whose names begin with `name_` are its own. */
export async function startDeployment(
  world: World,
  name: string,
  variant: Variant,
  env: Record<string, string>,
): Promise<Deployment> {
  const { backend, replicas, throughReader } = variant;
  const dataDir = join(backend === 'embedded' ? world.embeddedDir : world.root, name);
  await mkdir(join(world.root, 'logs'), { recursive: true });
  const folder = openDataFolder(dataDir);
  const s3Uri = (bucket: string) => `s3://${bucket}?endpoint=http://127.0.0.1:${world.storeProxy.port}`;
  const isEmbedded = backend === 'embedded';
  const warehouseUri = isEmbedded ? `file://${folder.warehouse}` : `s3://lake/${name}`;
  const logStoreUri = isEmbedded ? `file://${world.tieredDir}` : s3Uri(TIERED_BUCKET);
  const converters = Math.max(2, replicas);
  const free = await freePorts((SERVICE_NAMES.length + 1) * replicas + converters);
  const ports = Object.fromEntries(
    SERVICE_NAMES.map((service) => [service, free.splice(0, service === 'parquet-converter' ? converters : replicas)]),
  ) as Record<(typeof SERVICE_NAMES)[number], number[]>;
  const catalogPorts = free.splice(0, replicas);
  const services = defineServices({
    ...{ folder, ports, catalogPorts, commitIntervalMs: 1_000, logLevel: 'info', separate: true },
    ...{ traces: 'none', metricsPort: 0 },
    ...{ logStoreUri, warehouseUri, schemaSourceUri: pathToFileURL(world.schemaDir).href, isDemo: false },
    database: isEmbedded ? undefined : await world.createDatabase(name),
  });
  const common = { ...world.s3.env, PGPASSWORD: world.databasePassword, ...env };
  const s3Env = {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${world.storeProxy.port}`,
    // Requests that hang are given up within the round.
    MILLRACE_STORE_TIMEOUT_MS: '3000',
  };
  const processes = services.flat().map((definition, at, all) => {
    const instance = all.slice(0, at).filter((other) => other.name === definition.name).length;
    const reader = definition.name === 'parquet-converter' && throughReader ? { logStoreUri: '' } : {};
    const topics = [{ pattern: `${name}_.+`, namespace: NAMESPACE, commitIntervalMs: 1_000 }];
    const rules = definition.name === 'metadata-discovery' ? { topics } : {};
    const settings = { ...definition.settings, ...SETTINGS[definition.name], ...reader, ...rules };
    const id = `${definition.name}/${instance}`;
    return createServiceProcess({
      id,
      service: definition.name,
      main: definition.main,
      env: { ...common, ...s3Env, ...asEnvironment({ ...definition, settings }) },
      logFile: join(world.root, 'logs', `${name}-${id.replace('/', '-')}.log`),
    });
  });
  const stop = async () => {
    const ended = await Promise.all(processes.map(async (one) => ({ id: one.id, how: await one.end() })));
    folder.release();
    if (!isEmbedded) await world.dropDatabase(name);
    return ended.filter(({ how }) => how !== 0).map(({ id, how }) => `${id} ended with ${how} when it was drained`);
  };
  const catalogUri = `http://127.0.0.1:${catalogPorts[0]}`;
  try {
    // The ledger first, as the rest would wait for it.
    await Promise.all(processes.filter(({ service }) => service === 'metadata-discovery').map((one) => one.start()));
    await Promise.all(processes.filter(({ service }) => service !== 'metadata-discovery').map((one) => one.start()));
    folder.writeEndpoints({
      ...{ pid: process.pid, catalogUri, warehouseUri, pids: {} },
      catalogUris: catalogPorts.map((port) => `http://127.0.0.1:${port}`),
      services: Object.fromEntries(
        SERVICE_NAMES.map((service) => [service, ports[service].map((port) => `127.0.0.1:${port}`).join(',')]),
      ),
    });
    await setPolicy(dataDir);
  } catch (error) {
    await stop();
    throw error;
  }
  return { dataDir, catalogUri, processes, variant, stop };
}

/** Maintenance is always at it. */
async function setPolicy(dataDir: string): Promise<void> {
  const session = openSession({ dataDir });
  try {
    await session.maintenance().setPolicy({
      policy: {
        table: { namespace: '', name: '' },
        ...{ compactIntervalMs: 3_000n, compactSmallFileBytes: 1_000_000n, compactTargetFileBytes: 4_000_000n },
        ...{
          compactMinFiles: 4,
          expireIntervalMs: 5_000n,
          snapshotRetentionMs: BigInt(GRACE_MS),
          snapshotKeepCount: 1,
        },
        ...{ sweepIntervalMs: 6_000n, sweepGraceMs: BigInt(GRACE_MS) },
      },
    });
  } finally {
    session.close();
  }
}
