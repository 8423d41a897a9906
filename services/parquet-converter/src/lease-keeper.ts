import { type Clock, isKind, toMillraceError } from '@millrace/base';
import type { SplitService } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';

/**
 * Keeps a lease with heartbeats. `onStale` is called once, when metadata-discovery says that the lease is not the newest
 * any more; other errors are only logged: the next heartbeat may get through, and whoever holds a newer lease wins anyway.
 */
export function keepLease(options: {
  splits: Pick<Client<typeof SplitService>, 'heartbeatSplit'>;
  splitId: string;
  epoch: bigint;
  heartbeatMs: number;
  clock: Clock;
  logger: Logger;
  onStale: (error: Error) => void;
}): { end(): void } {
  const { splits, splitId, epoch, heartbeatMs, clock, logger } = options;
  const ended = new AbortController();
  const beat = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await clock.sleep(heartbeatMs, ended.signal);
      try {
        await splits.heartbeatSplit({ splitId, epoch }, { signal: ended.signal, timeoutMs: heartbeatMs });
      } catch (thrown) {
        if (ended.signal.aborted) return;
        const error = toMillraceError(thrown);
        if (isKind(error, 'stale-lease')) {
          options.onStale(error);
          return;
        }
        logger.warn({ splitId, code: error.code, reason: error.message }, 'heartbeat failed');
      }
    }
  };
  // The only way out that throws is the sleep that `end` cuts short.
  beat().catch(() => {});
  return { end: () => ended.abort() };
}
