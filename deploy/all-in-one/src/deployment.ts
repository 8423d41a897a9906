import { toMillraceError } from '@millrace/base';
import type { Endpoints } from '@millrace/cli';
import type { RunningService } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import type { DataFolder } from './data-folder.ts';
import { freePorts } from './ports.ts';
import { type ServiceProcess, startServiceProcess } from './service-process.ts';
import { asEnvironment, defineServices, type ServiceDefinition, type Wiring } from './services.ts';

export interface DeploymentOptions {
  folder: DataFolder;
  /** 0 takes a free one. */
  catalogPort: number;
  converters: number;
  /** Every service in a process of its own. */
  separate: boolean;
  commitIntervalMs: number;
  logLevel: string;
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

const SINGLE_NAMES = [
  'metadata-discovery',
  'segment-reader',
  'iceberg-rest-catalog',
  'delta-committer',
  'catalog-publisher',
  'maintenance-scheduler',
] as const;
const PROCESS_GRACE_MS = 15_000;

/** Starts the seven services and writes `run/endpoints.json`; when one can't start, those that run are stopped again. */
export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { folder, logger } = options;
  const ports = await freePorts(SINGLE_NAMES.length + options.converters + 1);
  const wiring: Wiring = {
    ...options,
    catalogPort: options.catalogPort || ports.pop()!,
    converterPorts: ports.splice(0, options.converters),
    ports: Object.fromEntries(SINGLE_NAMES.map((name, i) => [name, ports[i]!])) as Wiring['ports'],
  };
  const catalogUri = `http://127.0.0.1:${wiring.catalogPort}`;
  const endpoints: Endpoints = {
    pid: process.pid,
    catalogUri,
    warehouseUri: options.warehouseUri,
    services: {
      ...Object.fromEntries(SINGLE_NAMES.map((name) => [name, `127.0.0.1:${wiring.ports[name]}`])),
      'parquet-converter': wiring.converterPorts.map((port) => `127.0.0.1:${port}`).join(','),
    },
    pids: {},
  };
  let started = false;
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) {
      await end().catch((error) => logger.error({ error: toMillraceError(error) }, 'a service did not drain'));
    }
  };
  try {
    for (const service of defineServices(wiring)) {
      // The converter's CPU work would starve whoever shares its process.
      const own = options.separate || service.name === 'parquet-converter';
      const running: ServiceProcess | RunningService = own
        ? await startOwnProcess(service, options, endpoints, () => started)
        : await service.start();
      stops.push(() => running.stop(PROCESS_GRACE_MS));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  started = true;
  folder.writeEndpoints(endpoints);
  return { catalogUri, stop };
}

function startOwnProcess(
  service: ServiceDefinition,
  { folder, logger }: DeploymentOptions,
  endpoints: Endpoints,
  started: () => boolean,
): Promise<ServiceProcess> {
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
