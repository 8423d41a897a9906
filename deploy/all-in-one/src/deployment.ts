import { toMillraceError } from '@millrace/base';
import { type Endpoints, SERVICE_NAMES } from '@millrace/cli';
import type { Logger } from '@millrace/telemetry';
import type { DataFolder } from './data-folder.ts';
import { freePorts } from './ports.ts';
import { type ServiceProcess, startServiceProcess } from './service-process.ts';
import { addressesOf, asEnvironment, defineServices, type ServiceDefinition, type Wiring } from './services.ts';

export interface DeploymentOptions {
  folder: DataFolder;
  /** 0 takes a free one. */
  catalogPort: number;
  converters: number;
  /** Of every other service. */
  replicas: number;
  /** Every service in a process of its own. */
  separate: boolean;
  commitIntervalMs: number;
  ownerLeaseMs: number;
  logLevel: string;
  /** Where spans go; the first port of /metrics, 0: none. */
  traces: string;
  metricsPort: number;
  /** URIs. */
  logStoreUri: string;
  warehouseUri: string;
  schemaSourceUri: string;
  database: string | undefined;
  isDemo: boolean;
  logger: Logger;
}

export interface Deployment {
  catalogUri: string;
  /** Drains everything, the pullers first. */
  stop(): Promise<void>;
}

const PROCESS_GRACE_MS = 15_000;

/** Starts the seven services and writes `run/endpoints.json`; when one can't start, those that run are stopped again. */
export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { folder, logger, replicas } = options;
  const free = await freePorts((SERVICE_NAMES.length + 1) * replicas + options.converters);
  const ports = Object.fromEntries(
    SERVICE_NAMES.map((name) => [name, free.splice(0, name === 'parquet-converter' ? options.converters : replicas)]),
  ) as Wiring['ports'];
  const catalogPorts = free.splice(0, replicas);
  if (options.catalogPort !== 0) catalogPorts[0] = options.catalogPort;
  const wiring: Wiring = { ...options, ports, catalogPorts };
  const catalogUris = catalogPorts.map((port) => `http://127.0.0.1:${port}`);
  const catalogUri = catalogUris[0]!;
  const endpoints: Endpoints = {
    pid: process.pid,
    catalogUri,
    catalogUris,
    warehouseUri: options.warehouseUri,
    services: Object.fromEntries(SERVICE_NAMES.map((name) => [name, addressesOf(ports, name)])),
    pids: {},
  };
  const services = defineServices(wiring);
  if (options.metricsPort !== 0) {
    const metricsPorts = [options.metricsPort, ...services.flat().map(({ settings }) => settings['metricsPort'])];
    endpoints.metricsUris = metricsPorts
      .filter((port) => port !== undefined)
      .map((port) => `http://127.0.0.1:${port}/metrics`);
  }
  let started = false;
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) {
      await end().catch((error) => logger.error({ error: toMillraceError(error) }, 'a service did not drain'));
    }
  };
  try {
    for (const service of services) {
      // Those that run are stopped also when another one of them can't start.
      const begun = await Promise.allSettled(
        service.map((replica) => startReplica(replica, options, endpoints, () => started)),
      );
      stops.push(async () => {
        await Promise.all(
          begun.map((one) => (one.status === 'fulfilled' ? one.value.stop(PROCESS_GRACE_MS) : undefined)),
        );
      });
      for (const one of begun) if (one.status === 'rejected') throw one.reason;
    }
  } catch (error) {
    await stop();
    throw error;
  }
  started = true;
  folder.writeEndpoints(endpoints);
  return { catalogUri, stop };
}

async function startReplica(
  service: ServiceDefinition,
  { folder, logger, separate }: DeploymentOptions,
  endpoints: Endpoints,
  started: () => boolean,
): Promise<ServiceProcess> {
  // The converter's CPU work would starve whoever shares its process.
  if (!separate && service.name !== 'parquet-converter') return service.start();
  let current = 0;
  return startServiceProcess({
    name: service.name,
    main: service.main,
    env: asEnvironment(service),
    logFile: folder.logFile,
    logger,
    onPid(pid) {
      const others = (endpoints.pids[service.name] ?? []).filter((known) => known !== current);
      endpoints.pids[service.name] = pid === 0 ? others : [...others, pid];
      current = pid;
      // Before everything runs there is no endpoints file: who waits for it may use all of it.
      if (started()) folder.writeEndpoints(endpoints);
    },
  });
}
