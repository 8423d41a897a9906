import { type Clock, systemClock } from '@millrace/base';
import { askDatabase, openDatabase } from '@millrace/database';
import { askStore, type ObjectStore, openStore } from '@millrace/object-store';
import {
  defaultReplicaName,
  liveIncarnations,
  type OwnerSchema,
  ownerStore,
  ownersMigration,
  startOwnership,
} from '@millrace/ownership';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { connectionCheck, createClient, type RunningService, serve } from '@millrace/rpc';
import {
  type JobSchema,
  jobHistory,
  jobOwnersMigration,
  jobsMigration,
  type ScheduleSchema,
  schedules,
  schedulesMigration,
} from '@millrace/tasks';
import { createLogger } from '@millrace/telemetry';
import type { MaintenanceConfig } from './config.ts';
import { type PolicySchema, policiesMigration, policyStore } from './policy-store.ts';
import { startScheduler } from './scheduler.ts';
import { maintenanceService } from './service.ts';

export { ENV_PREFIX, type MaintenanceConfig, maintenanceConfig } from './config.ts';
export { BUILT_IN as BUILT_IN_POLICY, type PolicyValues } from './policy.ts';

export interface MaintenanceDeps {
  clock: Clock;
  /** Default: opened from `warehouse`. */
  store: ObjectStore;
}

/** Their order is the schema's history: new steps come last, whichever package they are from. */
const MIGRATIONS = [jobsMigration, schedulesMigration, policiesMigration, jobOwnersMigration, ownersMigration];
const KIND = 'maintenance-table';

/** Starts maintenance-scheduler. `stop` ends running jobs at their next step; they are in the history as failed. */
export async function createMaintenanceScheduler(
  config: MaintenanceConfig,
  deps: Partial<MaintenanceDeps> = {},
): Promise<RunningService> {
  const clock = deps.clock ?? systemClock;
  const logger = createLogger('maintenance-scheduler');
  const store = deps.store ?? openStore(config.warehouseUri);
  const database = await openDatabase<JobSchema & ScheduleSchema & PolicySchema & OwnerSchema>(
    config.databaseUrl,
    MIGRATIONS,
  );
  const history = jobHistory(database.db, config.keepJobs);
  const policies = policyStore(database.db);
  const calls = { timeoutMs: config.callTimeoutMs, transport: config };
  const ledger = createClient(LedgerService, config.discoveryAddress, calls);
  const iceberg = createClient(IcebergCatalogService, config.icebergAddress, calls);
  const delta = createClient(DeltaCommitterService, config.deltaAddress, calls);
  const converter = createClient(ParquetConverterService, config.converterAddress, calls);
  const scheduler = startScheduler(
    {
      ...{ ledger, iceberg, delta, converter, store, clock, logger, history, policies },
      schedules: schedules(database.db),
      liveOwners: () => liveIncarnations(database.db, KIND),
      startOwnership: (listener) =>
        startOwnership({
          ...listener,
          store: ownerStore(database, KIND, clock),
          replica: config.replicaName ?? defaultReplicaName(config.port),
          leaseMs: config.ownerLeaseMs,
          clock,
          logger,
        }),
      rewriteTimeoutMs: config.rewriteTimeoutMs,
    },
    config,
  );
  const end = async () => {
    await scheduler.stop();
    for (const client of [ledger, iceberg, delta, converter]) client.close();
    await database.close();
  };
  const { host, port } = config;
  const services = [maintenanceService(scheduler, policies, history)];
  const server = await serve({
    name: 'maintenance-scheduler',
    host,
    port,
    transport: config,
    maxCalls: config.maxCalls,
    services,
    ready: [
      { what: 'the database', check: () => askDatabase(database.db) },
      { what: `the warehouse ${store.uri}`, once: true, check: (signal) => askStore(store, signal) },
      connectionCheck('metadata-discovery', config.discoveryAddress, config),
    ],
  }).catch(async (error) => {
    await end();
    throw error;
  });
  return {
    name: 'maintenance-scheduler',
    address: server.address,
    async stop() {
      // A job that runs for a caller gets the drain time; what is left then ends at its next step.
      await server.stop(config.drainMs);
      await end();
    },
  };
}
