import { fileURLToPath } from 'node:url';
import * as publisher from '@millrace/catalog-publisher';
import type { ServiceName } from '@millrace/cli';
import * as delta from '@millrace/delta-committer';
import * as catalog from '@millrace/iceberg-rest-catalog';
import * as maintenance from '@millrace/maintenance-scheduler';
import * as discovery from '@millrace/metadata-discovery';
import * as converter from '@millrace/parquet-converter';
import type { RunningService } from '@millrace/rpc';
import * as reader from '@millrace/segment-reader';
import { z } from 'zod';
import type { DataFolder } from './data-folder.ts';
import { DEMO_TOPICS } from './demo/index.ts';
import { DEMO_NAMESPACE } from './options.ts';

/** A service as the all-in-one starts it: in this process, or in one of its own by its main.ts. */
export interface ServiceDefinition {
  name: ServiceName;
  envPrefix: string;
  settings: Record<string, unknown>;
  /** URL of its main.ts. */
  main: string;
  start(): Promise<RunningService>;
}

export interface Wiring {
  folder: DataFolder;
  ports: Record<Exclude<ServiceName, 'parquet-converter'>, number>;
  converterPorts: number[];
  catalogPort: number;
  commitIntervalMs: number;
  logLevel: string;
  /** URIs. */
  logStoreUri: string;
  warehouseUri: string;
  schemaSourceUri: string;
  /** PostgreSQL's URL; absent: SQLite files. */
  database: string | undefined;
  /** Whether the demo's topics are enabled by themselves. */
  isDemo: boolean;
}

/** The seven (the converter once a process), wired to each other on loopback, in the order in which they start. */
export function defineServices(wiring: Wiring): ServiceDefinition[] {
  const { folder, ports, logStoreUri } = wiring;
  const address = (name: keyof Wiring['ports']) => `127.0.0.1:${ports[name]}`;
  const database = (name: ServiceName) => {
    if (wiring.database === undefined) return { databaseUrl: `sqlite:${folder.state}/${name}.db` };
    const url = new URL(wiring.database);
    url.searchParams.set('schema', name.replaceAll('-', '_'));
    return { databaseUrl: url.href };
  };
  const common = { host: '127.0.0.1', logLevel: wiring.logLevel, traces: folder.traceFile };
  const discoveryAddress = address('metadata-discovery');
  const converterAddress = wiring.converterPorts.map((port) => `127.0.0.1:${port}`).join(',');

  const define = <S extends z.ZodObject>(
    name: ServiceName,
    port: number,
    module: { ENV_PREFIX: string },
    schema: S,
    create: (config: z.infer<S>) => Promise<RunningService>,
    settings: Record<string, unknown>,
  ): ServiceDefinition => {
    const all = { ...common, port, ...settings };
    return {
      name,
      envPrefix: module.ENV_PREFIX,
      settings: all,
      main: fileURLToPath(import.meta.resolve(`@millrace/${name}/main`)),
      // A setting that the service does not know is a mistake here.
      start: () => create(z.strictObject(schema.shape).parse(all) as z.infer<S>),
    };
  };

  return [
    define(
      'metadata-discovery',
      ports['metadata-discovery'],
      discovery,
      discovery.metadataDiscoveryConfig,
      discovery.createMetadataDiscovery,
      {
        ...database('metadata-discovery'),
        logStoreUri,
        schemaSourceUri: wiring.schemaSourceUri,
        warehouseUri: wiring.warehouseUri,
        topics: (wiring.isDemo ? DEMO_TOPICS : []).map(({ name }) => ({
          name,
          namespace: DEMO_NAMESPACE,
          commitIntervalMs: wiring.commitIntervalMs,
        })),
      },
    ),
    define('segment-reader', ports['segment-reader'], reader, reader.segmentReaderConfig, reader.createSegmentReader, {
      logStoreUri,
    }),
    define(
      'iceberg-rest-catalog',
      ports['iceberg-rest-catalog'],
      catalog,
      catalog.icebergCatalogConfig,
      catalog.createIcebergRestCatalog,
      {
        ...database('iceberg-rest-catalog'),
        discoveryAddress,
        warehouseUri: wiring.warehouseUri,
        restPort: wiring.catalogPort,
      },
    ),
    define('delta-committer', ports['delta-committer'], delta, delta.deltaCommitterConfig, delta.createDeltaCommitter, {
      discoveryAddress,
    }),
    define(
      'catalog-publisher',
      ports['catalog-publisher'],
      publisher,
      publisher.publisherConfig,
      publisher.createCatalogPublisher,
      { ...database('catalog-publisher'), discoveryAddress, icebergAddress: address('iceberg-rest-catalog') },
    ),
    define(
      'maintenance-scheduler',
      ports['maintenance-scheduler'],
      maintenance,
      maintenance.maintenanceConfig,
      maintenance.createMaintenanceScheduler,
      {
        ...database('maintenance-scheduler'),
        discoveryAddress,
        icebergAddress: address('iceberg-rest-catalog'),
        deltaAddress: address('delta-committer'),
        converterAddress,
        warehouseUri: wiring.warehouseUri,
      },
    ),
    ...wiring.converterPorts.map((port) =>
      define('parquet-converter', port, converter, converter.parquetConverterConfig, converter.createParquetConverter, {
        discoveryAddress,
        segmentReaderAddress: address('segment-reader'),
        logStoreUri,
      }),
    ),
  ];
}

/** Settings as environment variables, for a process of its own. Other values than strings travel as JSON, which is YAML. */
export const asEnvironment = ({ envPrefix, settings }: ServiceDefinition): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      `${envPrefix}_${key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
