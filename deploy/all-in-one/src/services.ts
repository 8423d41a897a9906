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
import { inService } from '@millrace/telemetry';
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
  /** A gRPC port for each replica. */
  ports: Record<ServiceName, number[]>;
  /** Of the REST API, one for each replica of iceberg-rest-catalog. */
  catalogPorts: number[];
  commitIntervalMs: number;
  logLevel: string;
  /** Where spans go; and the port of this process's /metrics, the next ones being those of the others (0: none). */
  traces: string;
  metricsPort: number;
  separate: boolean;
  /** URIs. */
  logStoreUri: string;
  warehouseUri: string;
  schemaSourceUri: string;
  /** PostgreSQL's URL; absent: SQLite files. */
  database: string | undefined;
  /** After which a replica that is not heard of loses its work; default 15 s. */
  ownerLeaseMs?: number;
  /** Whether the demo's topics are enabled by themselves. */
  isDemo: boolean;
}

/** All addresses of a service, as clients take them. */
export const addressesOf = (ports: Wiring['ports'], name: ServiceName): string =>
  ports[name].map((port) => `127.0.0.1:${port}`).join(',');

/** The replicas of the seven, wired to each other on loopback, in the order in which they start. */
export function defineServices(wiring: Wiring): ServiceDefinition[][] {
  const { folder, ports, logStoreUri } = wiring;
  const address = (name: ServiceName) => addressesOf(ports, name);
  const database = (name: ServiceName) => {
    if (wiring.database === undefined) return { databaseUrl: `sqlite:${folder.state}/${name}.db` };
    const url = new URL(wiring.database);
    url.searchParams.set('schema', name.replaceAll('-', '_'));
    return { databaseUrl: url.href };
  };
  const common = { host: '127.0.0.1', logLevel: wiring.logLevel, traces: wiring.traces };
  const discoveryAddress = address('metadata-discovery');

  let { metricsPort } = wiring;

  const define = <S extends z.ZodObject>(
    name: ServiceName,
    module: { ENV_PREFIX: string },
    schema: S,
    create: (config: z.infer<S>) => Promise<RunningService>,
    settings: Record<string, unknown>,
    own: (replica: number) => Record<string, unknown> = () => ({}),
  ): ServiceDefinition[] =>
    ports[name].map((port, replica) => {
      const isOwnProcess = wiring.separate || name === 'parquet-converter';
      const metrics = isOwnProcess && metricsPort !== 0 ? { metricsPort: ++metricsPort } : {};
      // A replica that starts again under its name goes on at once.
      const owner =
        'replicaName' in schema.shape
          ? { replicaName: `replica-${replica + 1}`, ownerLeaseMs: wiring.ownerLeaseMs ?? 15_000 }
          : {};
      const all = { ...common, ...metrics, port, ...owner, ...settings, ...own(replica) };
      return {
        name,
        envPrefix: module.ENV_PREFIX,
        settings: all,
        main: fileURLToPath(import.meta.resolve(`@millrace/${name}/main`)),
        // A setting that the service does not know is a mistake here.
        start: () => inService(name, () => create(z.strictObject(schema.shape).parse(all) as z.infer<S>)),
      };
    });

  return [
    define('metadata-discovery', discovery, discovery.metadataDiscoveryConfig, discovery.createMetadataDiscovery, {
      ...database('metadata-discovery'),
      logStoreUri,
      schemaSourceUri: wiring.schemaSourceUri,
      warehouseUri: wiring.warehouseUri,
      topics: (wiring.isDemo ? DEMO_TOPICS : []).map(({ name }) => ({
        name,
        namespace: DEMO_NAMESPACE,
        commitIntervalMs: wiring.commitIntervalMs,
      })),
    }),
    define('segment-reader', reader, reader.segmentReaderConfig, reader.createSegmentReader, {
      logStoreUri,
    }),
    define(
      'iceberg-rest-catalog',
      catalog,
      catalog.icebergCatalogConfig,
      catalog.createIcebergRestCatalog,
      {
        ...database('iceberg-rest-catalog'),
        discoveryAddress,
        warehouseUri: wiring.warehouseUri,
      },
      (replica) => ({ restPort: wiring.catalogPorts[replica] }),
    ),
    define('delta-committer', delta, delta.deltaCommitterConfig, delta.createDeltaCommitter, {
      discoveryAddress,
    }),
    define('catalog-publisher', publisher, publisher.publisherConfig, publisher.createCatalogPublisher, {
      ...database('catalog-publisher'),
      discoveryAddress,
      icebergAddress: address('iceberg-rest-catalog'),
    }),
    define(
      'maintenance-scheduler',
      maintenance,
      maintenance.maintenanceConfig,
      maintenance.createMaintenanceScheduler,
      {
        ...database('maintenance-scheduler'),
        discoveryAddress,
        icebergAddress: address('iceberg-rest-catalog'),
        deltaAddress: address('delta-committer'),
        converterAddress: address('parquet-converter'),
        warehouseUri: wiring.warehouseUri,
      },
    ),
    define('parquet-converter', converter, converter.parquetConverterConfig, converter.createParquetConverter, {
      discoveryAddress,
      segmentReaderAddress: address('segment-reader'),
      logStoreUri,
    }),
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
