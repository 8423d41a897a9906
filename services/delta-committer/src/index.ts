import { type Clock, systemClock } from '@millrace/base';
import { remoteOwners, runProjector } from '@millrace/ledger';
import { defaultReplicaName } from '@millrace/ownership';
import { TableFormat } from '@millrace/proto/common';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { OwnershipService } from '@millrace/proto/ownership';
import { type Client, connectionCheck, createClient, type RunningService, serve } from '@millrace/rpc';
import { createLogger } from '@millrace/telemetry';
import type { DeltaCommitterConfig } from './config.ts';
import { deltaTarget } from './delta-target.ts';
import { deltaCommitterService } from './service.ts';
import { tableCache } from './table-cache.ts';

export { type DeltaCommitterConfig, deltaCommitterConfig, ENV_PREFIX } from './config.ts';

export interface DeltaCommitterDeps {
  clock: Clock;
  /** With it, this process projects every table. */
  ledger: Client<typeof LedgerService>;
}

/** Starts delta-committer: the projection of the ledger, and its gRPC service. */
export async function createDeltaCommitter(
  config: DeltaCommitterConfig,
  deps: Partial<DeltaCommitterDeps> = {},
): Promise<RunningService> {
  const clock = deps.clock ?? systemClock;
  const logger = createLogger('delta-committer');
  const cache = tableCache(config.cachedFiles);
  const ledger = deps.ledger ?? createClient(LedgerService, config.discoveryAddress, { transport: config });
  const ownership =
    deps.ledger === undefined
      ? createClient(OwnershipService, config.discoveryAddress, { transport: config })
      : undefined;
  const projector = runProjector({
    format: TableFormat.DELTA,
    formatName: 'delta',
    ledger,
    target: deltaTarget({ cache, defaults: config, logger, clock }),
    ...(ownership === undefined
      ? {}
      : {
          owners: {
            store: remoteOwners(ownership, 'delta-table'),
            replica: config.replicaName ?? defaultReplicaName(config.port),
            leaseMs: config.ownerLeaseMs,
          },
        }),
    logger,
    concurrency: config.projectionConcurrency,
    clock,
  });
  const closeLedger = () => {
    ownership?.close();
    if (deps.ledger === undefined) ledger.close();
  };
  try {
    const { host, port } = config;
    const service = deltaCommitterService({ ledger, projector, cache, clock });
    const server = await serve({
      name: 'delta-committer',
      host,
      port,
      transport: config,
      maxCalls: config.maxCalls,
      services: [service],
      ready: deps.ledger === undefined ? [connectionCheck('metadata-discovery', config.discoveryAddress, config)] : [],
    });
    return {
      name: 'delta-committer',
      address: server.address,
      async stop() {
        // First what waits for the projection, then what is being answered.
        await projector.stop();
        await server.stop(config.drainMs);
        closeLedger();
      },
    };
  } catch (error) {
    await projector.stop();
    closeLedger();
    throw error;
  }
}
