import type { TableName } from '@millrace/base';
import type { LedgerService, LedgerVersion } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import { untraced } from '@millrace/telemetry';

/** More versions than these are not asked for: the newest stand for the others. */
const MOST_VERSIONS = 32;

/** Traceparents of the commits of versions (after, upTo], for a stage that takes several at once; none of expired ones. */
export async function versionTraces(
  ledger: Pick<Client<typeof LedgerService>, 'listVersions'>,
  table: TableName,
  range: { after: bigint; upTo: bigint },
  signal: AbortSignal,
): Promise<string[]> {
  const oldest = range.upTo - BigInt(MOST_VERSIONS);
  const afterVersion = range.after > oldest ? range.after : oldest < 0n ? 0n : oldest;
  if (afterVersion >= range.upTo) return [];
  const request = { table, afterVersion, pageSize: MOST_VERSIONS, withoutFiles: true };
  // Traces are worth no failure of the stage.
  const asked = untraced(() => ledger.listVersions(request, { signal }));
  const { versions } = await asked.catch(() => ({ versions: [] as LedgerVersion[] }));
  return versions
    .filter(({ version }) => version <= range.upTo)
    .flatMap(({ traceparent, otherTraceparents }) => [traceparent, ...otherTraceparents])
    .filter((traceparent) => traceparent !== '');
}
