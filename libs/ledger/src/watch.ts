import { type Clock, type TableName, toMillraceError } from '@millrace/base';
import type { LedgerService } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import { type Logger, untraced } from '@millrace/telemetry';

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5_000;

export interface WatchOptions {
  ledger: Pick<Client<typeof LedgerService>, 'watchLedger'>;
  /** Told of every table with its newest version, then of each new one. A hint: one may be missed or come twice. */
  onMoved: (table: TableName, version: bigint) => void;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** Watches the ledger until aborted; a stream that breaks is opened again, slower each time. It is part of no trace. */
export const watchLedger = (options: WatchOptions): Promise<void> => untraced(() => watch(options));

async function watch({ ledger, onMoved, clock, logger, signal }: WatchOptions): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const { table, version } of ledger.watchLedger({}, { signal })) {
        failures = 0;
        if (table !== undefined) onMoved({ namespace: table.namespace, name: table.name }, version);
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ reason: toMillraceError(error).message }, 'the ledger can not be watched; trying again');
    }
    await clock.sleep(Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 10), LAST_RETRY_MS), signal).catch(() => {});
  }
}
