import { type Clock, systemClock } from '@millrace/base';
import { askDatabase } from '@millrace/database';
import { tableFiles } from '@millrace/iceberg';
import { runProjector } from '@millrace/ledger';
import { askStore, openStore } from '@millrace/object-store';
import { defaultReplicaName, ownerStore } from '@millrace/ownership';
import { TableFormat } from '@millrace/proto/common';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { type Client, connectionCheck, createClient, type RunningService, serve } from '@millrace/rpc';
import { createLogger } from '@millrace/telemetry';
import { openCatalogDatabase } from './catalog-database.ts';
import type { IcebergCatalogConfig } from './config.ts';
import { catalogNamespaces } from './namespaces.ts';
import { icebergProjection } from './projection-target.ts';
import { namespaceRoutes } from './rest-namespaces.ts';
import { startRest } from './rest-server.ts';
import { configRoute, tableRoutes } from './rest-tables.ts';
import { icebergCatalogService } from './service.ts';
import { snapshotExpiry } from './snapshots.ts';
import { tableEndpoints } from './table-endpoints.ts';
import { catalogTables } from './tables.ts';

export { ENV_PREFIX, type IcebergCatalogConfig, icebergCatalogConfig } from './config.ts';

export interface IcebergCatalogDeps {
  clock: Clock;
  ledger: Client<typeof LedgerService>;
}

export interface RunningIcebergCatalog extends RunningService {
  /** http://host:port of the REST API. */
  catalogUri: string;
}

/** Starts iceberg-rest-catalog: its database, the REST API, the projection of the ledger, its gRPC service. */
export async function createIcebergRestCatalog(
  config: IcebergCatalogConfig,
  deps: Partial<IcebergCatalogDeps> = {},
): Promise<RunningIcebergCatalog> {
  const clock = deps.clock ?? systemClock;
  const logger = createLogger('iceberg-rest-catalog');
  const warehouse = openStore(config.warehouseUri);
  const files = tableFiles([warehouse, ...config.tableLocations.map(openStore)]);
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const end = async () => {
    for (const close of closing.reverse()) await close();
  };
  try {
    const database = await openCatalogDatabase(config.databaseUrl);
    closing.push(database.close);
    const namespaces = catalogNamespaces(database.db);
    const tables = catalogTables(database.db, files);
    const endpoints = tableEndpoints({ tables, namespaces, files, warehouse: warehouse.uri, clock });
    const routes = [...namespaceRoutes(namespaces), ...tableRoutes(tables, endpoints)];
    const rest = await startRest(config, [configRoute(routes, warehouse.uri), ...routes], logger);
    closing.push(rest.stop);
    const ledger = deps.ledger ?? createClient(LedgerService, config.discoveryAddress, { transport: config });
    if (deps.ledger === undefined) closing.push(() => ledger.close());
    const projector = runProjector({
      format: TableFormat.ICEBERG,
      formatName: 'iceberg',
      ledger,
      target: icebergProjection({ tables, namespaces, files, clock }),
      owners: {
        store: ownerStore(database, 'iceberg-table', clock),
        replica: config.replicaName ?? defaultReplicaName(config.port),
        leaseMs: config.ownerLeaseMs,
      },
      logger,
      concurrency: config.projectionConcurrency,
      clock,
    });
    closing.push(projector.stop);
    const catalogUri = config.catalogUri ?? rest.uri;
    const expiry = snapshotExpiry({ tables, files, clock, orphanAgeMs: config.orphanAgeMs });
    const service = icebergCatalogService({ tables, projector, expiry, catalogUri });
    const { host, port } = config;
    const server = await serve({
      name: 'iceberg-rest-catalog',
      host,
      port,
      transport: config,
      maxCalls: config.maxCalls,
      services: [service],
      ready: [
        { what: 'the database', check: () => askDatabase(database.db) },
        { what: `the warehouse ${warehouse.uri}`, once: true, check: (signal) => askStore(warehouse, signal) },
        ...(deps.ledger === undefined ? [connectionCheck('metadata-discovery', config.discoveryAddress, config)] : []),
      ],
    });
    closing.push(() => server.stop(config.drainMs));
    logger.info({ catalogUri }, 'REST API listening');
    return { name: 'iceberg-rest-catalog', address: server.address, catalogUri, stop: end };
  } catch (error) {
    await end();
    throw error;
  }
}
