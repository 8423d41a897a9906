import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';

export interface Options {
  records: number;
  exitWhenCaughtUp: boolean;
  converters: number;
  /** Of every service; more than one makes `separate` true. */
  replicas: number;
  separate: boolean;
  /** Folder or store URI in Kafka's tiered layout; default: the data folder's own. */
  log?: string;
  /** Folder of schemas, or URL of a registry; default: the data folder's own. */
  schemas?: string;
  /** Folder or store URI of the tables; default: in the data folder. */
  warehouse?: string;
  /** URL of a PostgreSQL database, a schema for each service; default: SQLite files in the data folder. */
  database?: string;
}

export const DEMO_NAMESPACE = 'demo';

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('a whole number');
  return Number(text);
}

export function positive(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('1 or more');
  return value;
}

function postgresDatabase(text: string): string {
  if (!/^postgres(ql)?:\/\/\S+$/.test(text)) throw new InvalidArgumentError('postgres://user@host:5432/database');
  return text;
}

/** The command line of `npm start`; prints help and ends the process when asked to. */
export function parseOptions(argv: string[]): Options {
  const command = new Command('npm start --')
    .description('All of Millrace from one command: the seven services, a demo log, an Iceberg REST catalog.')
    .option('--records <n>', 'records of each demo topic; 0 makes no demo topic', wholeNumber, 100_000)
    .option('--exit-when-caught-up', 'end with exit code 0 once every table has every record', false)
    .option('--converters <n>', 'processes that convert (default: as many as cores, or --replicas)', positive)
    .option('--replicas <n>', 'processes of every service, with --separate; needs --database', positive, 1)
    .option('--separate', 'every service in a process of its own (as containers have it)', false)
    .option('--log <folder or URI>', "segments in Kafka's tiered-storage layout (default: <data dir>/log)")
    .option(
      '--schemas <folder or URL>',
      'schema folder, or a Confluent-compatible registry (default: <data dir>/schemas)',
    )
    .option('--warehouse <folder or URI>', 'the tables (default: <data dir>/warehouse)')
    .option(
      '--database <URL>',
      'PostgreSQL for the state of all services (default: SQLite in <data dir>/state)',
      postgresDatabase,
    )
    .addHelpText(
      'after',
      `
URIs of stores: file:///folder, s3://bucket/prefix, gs://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix.
With --log or --schemas no demo is made. Enable topics with: npx millrace topics enable <topic>

Examples:
  npm start -- --exit-when-caught-up --records 20000
  npm start -- --log /var/kafka-tiered-storage --schemas http://registry:8081

Environment:
  MILLRACE_DATA_DIR       holds everything: log, schemas, warehouse, state (default ./data)
  PGPASSWORD              password for --database, so that the command line needs to hold none
  AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, …   S3, as its SDK has them
  MILLRACE_CATALOG_PORT   port of the Iceberg REST catalog (default 8181; 0 takes a free one)
  MILLRACE_LOG_LEVEL      least level in <data dir>/run/millrace.log (default info)
  MILLRACE_LOG_BYTES      bytes at which that log becomes millrace.log.1 (default 64 MB)
  MILLRACE_TRACES         where spans go: a file, otlp or none (default <data dir>/run/traces.jsonl)
  MILLRACE_METRICS_PORT   port of Prometheus' /metrics; each further process takes the next one (default 0: none)
  OTEL_EXPORTER_OTLP_ENDPOINT, …   the collector, for MILLRACE_TRACES=otlp, as OpenTelemetry has them
  MILLRACE_COMMIT_INTERVAL_MS   how often the demo's tables are committed at the least (default 2000)
  MILLRACE_OWNER_LEASE_MS   after which the work of a replica that is not heard of goes to the others (default 15000)`,
    )
    .parse(argv, { from: 'user' });
  const options = command.opts<Omit<Options, 'converters'> & { converters?: number }>();
  if (options.replicas > 1 && options.database === undefined)
    command.error(
      `error: --replicas ${options.replicas} needs --database postgres://…: SQLite is one process's own, replicas share their state`,
      { exitCode: 2 },
    );
  const isDemo = options.log === undefined && options.schemas === undefined;
  return {
    ...options,
    records: isDemo ? options.records : 0,
    converters: options.converters ?? Math.max(availableParallelism(), options.replicas),
    separate: options.separate || options.replicas > 1,
  };
}
