import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  asEnvironment,
  defineServices,
  freePorts,
  openDataFolder,
  type ServiceDefinition,
  type ServiceProcess,
  startServiceProcess,
} from '@millrace/all-in-one';
import { type Endpoints, SERVICE_NAMES, type ServiceName } from '@millrace/cli';
import { createLogger } from '@millrace/telemetry';

export interface FleetOptions {
  root: string;
  converters: number;
  database: string | undefined;
  /** Over what npm start sets, by service. */
  settings: Partial<Record<ServiceName, Record<string, unknown>>>;
  /** Folder for CPU profiles. */
  profile?: string | undefined;
}

/** The seven services, each a process, as `npm start -- --separate` runs them; each can be started and ended alone. */
export interface Fleet {
  dataDir: string;
  logDir: string;
  schemaDir: string;
  warehouseDir: string;
  catalogUri: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  startService(name: ServiceName, index?: number): Promise<void>;
  stopService(name: ServiceName, index?: number): Promise<void>;
  /** Process ids that live, by service (converters: "parquet-converter 1", …). */
  pids(): Map<string, number>;
  /** Lines of a process's log that hold a text, parsed; its name as in `pids`. */
  logLines(process: string, containing: string): Promise<Record<string, unknown>[]>;
}

const GRACE_MS = 20_000;
const PULLERS: readonly ServiceName[] = ['parquet-converter', 'maintenance-scheduler', 'catalog-publisher'];

export async function createFleet(options: FleetOptions): Promise<Fleet> {
  const folder = openDataFolder(join(options.root, 'data'));
  const countOf = (name: ServiceName) => (name === 'parquet-converter' ? options.converters : 1);
  const free = await freePorts(SERVICE_NAMES.length + options.converters);
  const catalogPort = free.pop()!;
  const ports = Object.fromEntries(SERVICE_NAMES.map((name) => [name, free.splice(0, countOf(name))])) as Parameters<
    typeof defineServices
  >[0]['ports'];
  const definitions = defineServices({
    folder,
    ports,
    catalogPorts: [catalogPort],
    commitIntervalMs: 0,
    logLevel: 'info',
    logStoreUri: `file://${folder.log}`,
    warehouseUri: `file://${folder.warehouse}`,
    schemaSourceUri: `file://${folder.schemas}`,
    database: options.database,
    traces: folder.traceFile,
    metricsPort: 0,
    separate: true,
    isDemo: false,
  }).flat();
  const catalogUri = `http://127.0.0.1:${catalogPort}`;
  const logger = createLogger('scale');
  const running = new Map<string, { process: ServiceProcess; pid: number }>();
  const endpoints: Endpoints = {
    pid: process.pid,
    catalogUri,
    catalogUris: [catalogUri],
    warehouseUri: `file://${folder.warehouse}`,
    services: Object.fromEntries(
      SERVICE_NAMES.map((name) => [name, ports[name].map((port) => `127.0.0.1:${port}`).join(',')]),
    ),
    pids: {},
  };
  const logFileOf = (key: string) => join(folder.root, 'run', `${key.replaceAll(' ', '-')}.log`);
  const keyOf = (name: ServiceName, index: number) =>
    name === 'parquet-converter' ? `parquet-converter ${index + 1}` : name;

  async function startService(name: ServiceName, index = 0): Promise<void> {
    const definition = definitions.filter((one) => one.name === name)[index]!;
    const settings = { ...definition.settings, ...options.settings[name] };
    const key = keyOf(name, index);
    const state = { process: undefined as unknown as ServiceProcess, pid: 0 };
    running.set(key, state);
    state.process = await startServiceProcess({
      name,
      main: definition.main,
      env: { ...asEnvironment({ ...definition, settings } as ServiceDefinition), ...profiling(options.profile, key) },
      logFile: logFileOf(key),
      logger,
      onPid: (pid) => {
        state.pid = pid;
      },
    });
  }

  async function stopService(name: ServiceName, index = 0): Promise<void> {
    const key = keyOf(name, index);
    const state = running.get(key);
    running.delete(key);
    await state?.process?.stop(GRACE_MS);
  }

  const order = (): [ServiceName, number][] => [
    ...SERVICE_NAMES.filter((name) => name !== 'parquet-converter').map((name): [ServiceName, number] => [name, 0]),
    ...ports['parquet-converter'].map((_, i): [ServiceName, number] => ['parquet-converter', i]),
  ];

  return {
    dataDir: folder.root,
    logDir: folder.log,
    schemaDir: folder.schemas,
    warehouseDir: folder.warehouse,
    catalogUri,
    startService,
    stopService,
    async start() {
      // As containers do: whoever needs another that is not there yet tries again.
      await Promise.all(order().map(([name, index]) => startService(name, index)));
      folder.writeEndpoints(endpoints);
    },
    async stop() {
      const all = order().filter(([name, index]) => running.has(keyOf(name, index)));
      const pullers = all.filter(([name]) => PULLERS.includes(name));
      await Promise.all(pullers.map(([name, index]) => stopService(name, index)));
      for (const [name, index] of all.filter(([other]) => !PULLERS.includes(other)).reverse())
        await stopService(name, index);
      folder.release();
    },
    pids: () => new Map([...running].filter(([, { pid }]) => pid !== 0).map(([key, { pid }]) => [key, pid])),
    async logLines(process, containing) {
      const text = await readFile(logFileOf(process), 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter((line) => line.includes(containing) && line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

function profiling(folder: string | undefined, key: string): Record<string, string> {
  if (folder === undefined) return {};
  const dir = join(folder, key.replaceAll(' ', '-'));
  mkdirSync(dir, { recursive: true });
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${dir}` };
}
