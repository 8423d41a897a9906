import { type Clock, systemClock } from '@millrace/base';
import { askDatabase } from '@millrace/database';
import { openLedger } from '@millrace/ledger';
import { askStore, type ObjectStore, openStore } from '@millrace/object-store';
import { defaultReplicaName } from '@millrace/ownership';
import { type RunningService, serve } from '@millrace/rpc';
import type { SchemaSource } from '@millrace/schema';
import { createLogger } from '@millrace/telemetry';
import type { MetadataDiscoveryConfig } from './config.ts';
import { runDiscovery } from './discovery.ts';
import { observeLedger } from './ledger-metrics.ts';
import { ledgerService } from './ledger-service.ts';
import { ownershipService } from './ownership-service.ts';
import { openSchemaSource } from './schema-source.ts';
import { splitService } from './split-service.ts';
import { topicService } from './topic-service.ts';

export { ENV_PREFIX, type MetadataDiscoveryConfig, metadataDiscoveryConfig } from './config.ts';

export interface MetadataDiscoveryDeps {
  logStore?: ObjectStore;
  schemas?: SchemaSource;
  clock?: Clock;
}

/**
 * Starts metadata-discovery. `stop` drains: planning ends, calls that wait are answered, streams end, running calls get
 * `drainMs`; topics go to the other replicas, leases and converted splits stay in the ledger.
 */
export async function createMetadataDiscovery(
  config: MetadataDiscoveryConfig,
  deps: MetadataDiscoveryDeps = {},
): Promise<RunningService> {
  const name = 'metadata-discovery';
  const logger = createLogger(name);
  const logStore = deps.logStore ?? openStore(config.logStoreUri);
  const schemas = deps.schemas ?? openSchemaSource(config.schemaSourceUri);
  // Tables name their files by full URI, whatever form the configuration has.
  const warehouseUri = openStore(config.warehouseUri).uri;
  const clock = deps.clock ?? systemClock;
  const database = await openLedger(config.databaseUrl);
  const { close } = database;
  const discovery = runDiscovery({
    database,
    logStore,
    schemas,
    clock,
    logger,
    config: { ...config, warehouseUri, replicaName: config.replicaName ?? defaultReplicaName(config.port) },
  });
  const endMetrics = observeLedger(discovery.db, discovery.clock);
  try {
    const server = await serve({
      name,
      host: config.host,
      port: config.port,
      transport: config,
      maxCalls: config.maxCalls,
      services: [
        topicService(discovery),
        splitService(discovery),
        ledgerService(discovery),
        ownershipService(database, clock, discovery.draining),
      ],
      ready: [
        { what: 'the database', check: () => askDatabase(discovery.db) },
        { what: `the log store ${logStore.uri}`, once: true, check: (signal) => askStore(logStore, signal) },
      ],
    });
    return {
      name,
      address: server.address,
      async stop() {
        endMetrics();
        await Promise.all([discovery.stop(), server.stop(config.drainMs)]);
        await close();
      },
    };
  } catch (error) {
    endMetrics();
    await discovery.stop();
    await close();
    throw error;
  }
}
