import { resolve } from 'node:path';
import { MillraceError, toMillraceError } from '@millrace/base';
import { dataDirOf, openSession, renderReports } from '@millrace/cli';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { createLogger, LOG_LEVELS, type LogLevel, setLogFile, setLogLevel, startTelemetry } from '@millrace/telemetry';
import { type CatchUp, waitUntilCaughtUp } from './catch-up.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { DEMO_TOPICS, generateDemo } from './demo/index.ts';
import { startDeployment } from './deployment.ts';
import { boundLogFile } from './log-file.ts';
import { type Options, parseOptions } from './options.ts';
import { createProgress } from './progress.ts';
import { queryLines } from './queries.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second one does not wait for the drain.
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(new MillraceError('cancelled', signal));
  });
}

try {
  process.exitCode = await run(parseOptions(process.argv.slice(2)), interrupted.signal);
} catch (thrown) {
  if (interrupted.signal.aborted) process.exitCode = 0;
  else {
    const error = toMillraceError(thrown);
    console.error(`millrace: ${error.message}`);
    process.exitCode = error.kind === 'invalid' ? 2 : 1;
  }
}
// Clients' channels and timers must not keep a finished process.
process.exit();

async function run(options: Options, signal: AbortSignal): Promise<number> {
  const { records, exitWhenCaughtUp, converters, replicas, separate, log, schemas, warehouse, database } = options;
  const logLevel = setting(
    'MILLRACE_LOG_LEVEL',
    'info',
    (text) => LOG_LEVELS.includes(text as LogLevel),
    LOG_LEVELS.join(', '),
  );
  const isNumber = (max: number) => (text: string) => /^\d{1,12}$/.test(text) && Number(text) <= max;
  const catalogPort = Number(setting('MILLRACE_CATALOG_PORT', '8181', isNumber(65_535), '0 to 65535'));
  const commitIntervalMs = Number(
    setting('MILLRACE_COMMIT_INTERVAL_MS', '2000', isNumber(1e12), 'milliseconds, 1000 or more'),
  );
  const ownerLeaseMs = Number(setting('MILLRACE_OWNER_LEASE_MS', '15000', isNumber(1e12), 'milliseconds, 500 or more'));
  const logBytes = Number(setting('MILLRACE_LOG_BYTES', '67108864', isNumber(1e12), 'bytes'));
  const metricsPort = Number(setting('MILLRACE_METRICS_PORT', '0', isNumber(65_000), '0 to 65000'));
  const folder = openDataFolder(dataDirOf(undefined));
  const traces = process.env['MILLRACE_TRACES'] ?? folder.traceFile;
  setLogFile(folder.logFile);
  boundLogFile(folder.logFile, logBytes);
  setLogLevel(logLevel as LogLevel);
  const endTelemetry = await startTelemetry({
    serviceName: 'millrace',
    traces,
    sampleRatio: 1,
    traceFileBytes: 268_435_456,
    metricsPort,
  });
  try {
    await makeDemo(folder, records, signal);
    const deployment = await startDeployment({
      folder,
      catalogPort,
      converters,
      replicas,
      separate,
      commitIntervalMs,
      ownerLeaseMs,
      logLevel,
      traces,
      metricsPort,
      logStoreUri: storeUri(log ?? folder.log),
      warehouseUri: storeUri(warehouse ?? folder.warehouse),
      schemaSourceUri:
        schemas === undefined || !/^https?:/.test(schemas) ? `file://${resolve(schemas ?? folder.schemas)}` : schemas,
      database,
      isDemo: log === undefined && schemas === undefined,
      logger: createLogger('millrace'),
    });
    try {
      return await follow(folder, deployment.catalogUri, options, signal);
    } finally {
      if (!exitWhenCaughtUp) console.error('Draining …');
      await deployment.stop();
    }
  } finally {
    await endTelemetry();
    folder.release();
  }
}

async function makeDemo(folder: DataFolder, recordsPerTopic: number, signal: AbortSignal): Promise<void> {
  if (recordsPerTopic === 0) return;
  const progress = createProgress('Demo log', 'records');
  const made = await generateDemo({
    logDir: folder.log,
    schemaDir: folder.schemas,
    recordsPerTopic,
    onProgress: ({ records, totalRecords }) => progress.update(records, totalRecords),
    signal,
  });
  if (!made.kept) progress.end();
}

async function follow(
  folder: DataFolder,
  catalogUri: string,
  { records, exitWhenCaughtUp, log }: Options,
  signal: AbortSignal,
): Promise<number> {
  const session = openSession({ dataDir: folder.root });
  try {
    const expected = BigInt(records) * BigInt(records === 0 ? 0 : DEMO_TOPICS.length);
    const progress = createProgress('Tables', 'offsets');
    const state = await waitUntilCaughtUp(
      session,
      expected,
      (committed, shown) => progress.update(Number(committed), Number(shown)),
      signal,
    );
    progress.end();
    const failed = report(state, catalogUri);
    if (exitWhenCaughtUp) return failed ? 1 : 0;
    console.log(`\nFollowing new segments in ${log ?? folder.log}. Ctrl-C ends.`);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return 0;
  } finally {
    session.close();
  }
}

/** Prints the table of tables and how to query; true when a table has stopped. */
function report({ reports }: CatchUp, catalogUri: string): boolean {
  if (reports.length > 0) console.log(renderReports(reports));
  console.log(`\nIceberg REST catalog: ${catalogUri}`);
  const example = reports.find(({ table }) => table.table!.name === 'orders') ?? reports[0];
  if (example !== undefined) console.log(`\n${queryLines(catalogUri, example)}`);
  const stopped = reports.filter(({ topic }) => topic?.state === TopicState.SUSPENDED);
  for (const { topic } of stopped) {
    console.error(`\nTopic ${topic!.topic} has stopped: ${topic!.error?.message ?? 'no reason given'}`);
    console.error(`  more: npx millrace topics describe ${topic!.topic}`);
  }
  return stopped.length > 0;
}

function setting(name: string, fallback: string, isLegal: (text: string) => boolean, legal: string): string {
  const text = process.env[name] ?? fallback;
  if (!isLegal(text))
    throw new MillraceError('invalid', `environment variable ${name}=${text}: legal: ${legal}`, {
      code: 'config-invalid',
    });
  return text;
}

/** A store's URI as it is, a folder as a file URI. */
function storeUri(text: string): string {
  return /^[a-z][a-z0-9]*:\/\//.test(text) ? text : `file://${resolve(text)}`;
}
