import { createDeltaCommitter, deltaCommitterConfig } from '@millrace/delta-committer';
import { createIcebergRestCatalog, icebergCatalogConfig } from '@millrace/iceberg-rest-catalog';
import { createMaintenanceScheduler, maintenanceConfig } from '@millrace/maintenance-scheduler';
import { createMetadataDiscovery, metadataDiscoveryConfig } from '@millrace/metadata-discovery';
import { createParquetConverter, parquetConverterConfig } from '@millrace/parquet-converter';
import type { RunningService } from '@millrace/rpc';
import { LOG_URI, TOPIC } from './source.ts';
import { currentProcess } from './world.ts';

export const WAREHOUSE_URI = 's3://sim/warehouse';
export const TABLE = { namespace: 'demo', name: TOPIC };
export const LOCATION = `${WAREHOUSE_URI}/${TABLE.namespace}/${TABLE.name}`;

const HOST = '127.0.0.1';
const PORTS = { discovery: 7801, converter: 7803, iceberg: 7804, delta: 7805, maintenance: 7807 };
export type ServiceName = keyof typeof PORTS;
export const addressOf = (name: ServiceName): string => `${HOST}:${PORTS[name]}`;

export const RETENTION_MS = 4_000;
export const SWEEP_GRACE_MS = 30_000;

/** What a table's policy is: everything often, so that much happens in little time. */
export const POLICY = {
  compactIntervalMs: 1_500n,
  compactSmallFileBytes: 60n,
  compactTargetFileBytes: 100n,
  compactMinFiles: 3,
  expireIntervalMs: 1_500n,
  snapshotRetentionMs: BigInt(RETENTION_MS),
  snapshotKeepCount: 1,
  sweepIntervalMs: 3_000n,
  sweepGraceMs: BigInt(SWEEP_GRACE_MS),
};

const common = (name: ServiceName) => ({
  host: HOST,
  port: PORTS[name],
  drainMs: 500,
  replicaName: currentProcess()!.name,
  ownerLeaseMs: 5_000,
});
const discoveryAddress = addressOf('discovery');

/** The product's own services with the product's own configuration, each in short time scales. */
export const START: Record<ServiceName, () => Promise<RunningService>> = {
  discovery: () =>
    createMetadataDiscovery(
      metadataDiscoveryConfig.parse({
        ...common('discovery'),
        databaseUrl: 'sqlite:ledger',
        logStoreUri: LOG_URI,
        schemaSourceUri: '/no/schemas/here',
        warehouseUri: WAREHOUSE_URI,
        namespace: TABLE.namespace,
        topics: [{ name: TOPIC, value: { encoding: 'string' }, key: { encoding: 'none' } }],
        commitIntervalMs: 1_500,
        pollMs: 2_000,
        schemaPollMs: 1_000_000,
        settleMs: 2_000,
        splitBytes: 1_024,
        fileBytes: 1_024,
        leaseMs: 1_000,
        maxAttempts: 30,
        backoffMs: 100,
      }),
    ),
  converter: () =>
    createParquetConverter(
      parquetConverterConfig.parse({
        ...common('converter'),
        discoveryAddress,
        leaseWaitMs: 0,
        heartbeatMs: 350,
        retries: 2,
      }),
    ),
  iceberg: () =>
    createIcebergRestCatalog(
      icebergCatalogConfig.parse({
        ...common('iceberg'),
        databaseUrl: 'sqlite:catalog',
        discoveryAddress,
        warehouseUri: WAREHOUSE_URI,
        orphanAgeMs: 30_000,
      }),
    ),
  delta: () =>
    createDeltaCommitter(
      deltaCommitterConfig.parse({ ...common('delta'), discoveryAddress, checkpointInterval: 5, retentionHours: 1 }),
    ),
  maintenance: () =>
    createMaintenanceScheduler(
      maintenanceConfig.parse({
        ...common('maintenance'),
        databaseUrl: 'sqlite:maintenance',
        warehouseUri: WAREHOUSE_URI,
        discoveryAddress,
        converterAddress: addressOf('converter'),
        icebergAddress: addressOf('iceberg'),
        deltaAddress: addressOf('delta'),
        tickMs: 1_500,
        rewriteTimeoutMs: 10_000,
        callTimeoutMs: 8_000,
      }),
    ),
};
