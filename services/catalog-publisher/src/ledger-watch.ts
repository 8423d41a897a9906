import { type Clock, type TableName, toMillraceError } from '@millrace/base';
import type { LedgerService } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;

/** Tells of every table and each new version until aborted; a broken stream is opened again, slower each time. */
export async function watchLedger(
  ledger: Pick<Client<typeof LedgerService>, 'watchLedger'>,
  onChange: (table: TableName) => void,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const { table } of ledger.watchLedger({}, { signal })) {
        failures = 0;
        if (table !== undefined) onChange({ namespace: table.namespace, name: table.name });
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ reason: toMillraceError(error).message }, 'the ledger can not be watched; trying again');
    }
    await clock.sleep(Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 10), LAST_RETRY_MS), signal).catch(() => {});
  }
}
