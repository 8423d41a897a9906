import { type Clock, systemClock } from '@millrace/base';
import type { CatalogAdapter, CatalogSettings } from '@millrace/catalogs';
import { watchLedger } from '@millrace/ledger';
import { defaultReplicaName } from '@millrace/ownership';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { connectionCheck, createClient, type RunningService, serve } from '@millrace/rpc';
import { createLogger } from '@millrace/telemetry';
import type { PublisherConfig } from './config.ts';
import { observePublications } from './publication-metrics.ts';
import { openAdapterWith, startPublisher } from './publisher.ts';
import { openPublisherStore } from './publisher-store.ts';
import { publisherService } from './service.ts';

export { ENV_PREFIX, type PublisherConfig, publisherConfig } from './config.ts';

export interface PublisherServiceDeps {
  clock: Clock;
  /** Default: by the integration's kind. */
  openAdapter: (settings: CatalogSettings) => CatalogAdapter;
}

/** Starts catalog-publisher: its store, its watch over the ledger, its gRPC service. `stop` drains all three. */
export async function createCatalogPublisher(
  config: PublisherConfig,
  deps: Partial<PublisherServiceDeps> = {},
): Promise<RunningService> {
  const clock = deps.clock ?? systemClock;
  const logger = createLogger('catalog-publisher');
  const store = await openPublisherStore(config.databaseUrl);
  const ledger = createClient(LedgerService, config.discoveryAddress, { transport: config });
  const iceberg = createClient(IcebergCatalogService, config.icebergAddress, { transport: config });
  const publisher = await startPublisher({
    store,
    ledger,
    iceberg,
    clock,
    logger,
    projectionTimeoutMs: config.projectionTimeoutMs,
    pace: config,
    replica: config.replicaName ?? defaultReplicaName(config.port),
    ownerLeaseMs: config.ownerLeaseMs,
    openAdapter: deps.openAdapter ?? openAdapterWith(config),
  });
  const endMetrics = observePublications(store);
  const watching = new AbortController();
  const watch = watchLedger({ ledger, onMoved: publisher.tableChanged, clock, logger, signal: watching.signal });
  const end = async () => {
    endMetrics();
    watching.abort();
    await watch;
    await publisher.stop();
    ledger.close();
    iceberg.close();
    await store.close();
  };
  const service = publisherService(publisher, store);
  const { host, port } = config;
  const server = await serve({
    name: 'catalog-publisher',
    host,
    port,
    transport: config,
    maxCalls: config.maxCalls,
    services: [service],
    ready: [
      { what: 'the database', check: () => store.integrations() },
      connectionCheck('metadata-discovery', config.discoveryAddress, config),
    ],
  }).catch(async (error) => {
    await end();
    throw error;
  });
  return {
    name: 'catalog-publisher',
    address: server.address,
    async stop() {
      await server.stop(config.drainMs);
      await end();
    },
  };
}
