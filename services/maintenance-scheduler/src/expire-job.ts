import { MillraceError } from '@millrace/base';
import { TableFormat } from '@millrace/proto/common';
import type { DescribeDeltaResponse } from '@millrace/proto/delta_committer';
import type { DescribeIcebergResponse } from '@millrace/proto/iceberg_rest_catalog';
import { count, deleteObjects, type JobContext } from './job-context.ts';
import { purgeTable } from './purge.ts';

const PAGE_SIZE = 1_000;

/** One format's table as its projector describes it. */
type Shown = Pick<DescribeIcebergResponse | DescribeDeltaResponse, 'exists' | 'oldestLedgerVersion' | 'error'>;

/**
 * Snapshots, Delta log files, data files and ledger versions beyond their retention, in this order, because each step
 * frees what the next one may delete (I4): a data file goes only when it was removed before the retention, by a version
 * that every existing projection has left behind. A projector that can't be asked ends the job with nothing deleted.
 */
export async function expireTable(context: JobContext): Promise<string> {
  if (context.table.dropped) return await purgeTable(context);
  const cutoffMs = context.nowMs - context.policy.snapshotRetentionMs;
  const limit = context.dryRun ? await expireDry(context, cutoffMs) : await expireFormats(context, cutoffMs);
  await deleteRemoved(context, BigInt(cutoffMs), limit.version);
  if (!context.dryRun && limit.version > 0n) {
    // The version that a projection still shows stays in the ledger too, so that it can be proved there.
    const { expiredCount } = await context.ledger.expireVersions(
      { table: context.name, beforeMs: BigInt(cutoffMs), beforeVersion: limit.version - 1n },
      { signal: context.signal },
    );
    count(context, 'ledgerVersionsExpired', Number(expiredCount));
  }
  context.counts['oldestLedgerVersion'] = Number(limit.version);
  const {
    snapshotsExpired = 0,
    metadataFilesDeleted = 0,
    deltaLogFilesDeleted = 0,
    dataFilesDeleted = 0,
  } = context.counts;
  return [
    context.dryRun ? 'would expire' : 'expired',
    `${snapshotsExpired} snapshots;`,
    context.dryRun ? 'would delete' : 'deleted',
    `${metadataFilesDeleted} Iceberg metadata files, ${deltaLogFilesDeleted} Delta log files,`,
    `${dataFilesDeleted} data files;`,
    `${context.counts['ledgerVersionsExpired'] ?? 0} ledger versions expired; ${limit.reason}`,
  ].join(' ');
}

async function describe({ iceberg, delta, name, signal }: JobContext) {
  const [ofIceberg, ofDelta] = await Promise.all([
    iceberg.describeIceberg({ table: name }, { signal }),
    delta.describeDelta({ table: name }, { signal }),
  ]);
  return { iceberg: ofIceberg, delta: ofDelta };
}

async function expireFormats(context: JobContext, cutoffMs: number): Promise<Limit> {
  const { iceberg, delta, name, policy, signal, table } = context;
  const before = await describe(context);
  const olderThanMs = BigInt(cutoffMs);
  // A format that was switched off is left as it ended.
  if (before.iceberg.exists && before.iceberg.enabled) {
    const done = await iceberg.expireSnapshots(
      { table: name, olderThanMs, keepCount: policy.snapshotKeepCount },
      { signal },
    );
    count(context, 'snapshotsExpired', done.expiredCount);
    count(context, 'metadataFilesDeleted', done.deletedFileCount);
  }
  if (before.delta.exists && before.delta.enabled) {
    await delta.checkpointDelta({ table: name }, { signal });
    const done = await delta.cleanDeltaLog({ table: name, olderThanMs }, { signal });
    count(context, 'deltaLogFilesDeleted', done.deletedFileCount);
  }
  // Asked again: what the tables themselves show now is what counts.
  const after = await describe(context);
  return deletableVersion(table.formats, after.iceberg, after.delta);
}

async function expireDry(context: JobContext, cutoffMs: number): Promise<Limit> {
  const { iceberg, delta, name, policy, signal, table } = context;
  const now = await describe(context);
  const shown = { iceberg: now.iceberg as Shown, delta: now.delta as Shown };
  const request = { table: name, olderThanMs: BigInt(cutoffMs), dryRun: true };
  if (now.iceberg.exists && now.iceberg.enabled) {
    const would = await iceberg.expireSnapshots({ ...request, keepCount: policy.snapshotKeepCount }, { signal });
    count(context, 'snapshotsExpired', would.expiredCount);
    count(context, 'metadataFilesDeleted', would.deletedFileCount);
    shown.iceberg = { ...shown.iceberg, oldestLedgerVersion: would.oldestLedgerVersion };
  }
  if (now.delta.exists && now.delta.enabled) {
    const would = await delta.cleanDeltaLog(request, { signal });
    count(context, 'deltaLogFilesDeleted', would.deletedFileCount);
    shown.delta = { ...shown.delta, oldestLedgerVersion: would.oldestLedgerVersion };
  }
  return deletableVersion(table.formats, shown.iceberg, shown.delta);
}

interface Limit {
  /** Files removed by this version or an earlier one are in no projection; 0: none. */
  version: bigint;
  reason: string;
}

/**
 * The newest version by which removed files may go. A projection shows nothing older than its oldest version and never
 * goes back behind it. One that exists counts even when switched off; one that is wanted and not made yet will begin
 * we know not where, so nothing goes before it is there. No answer to trust: an error.
 */
function deletableVersion(formats: readonly TableFormat[], iceberg: Shown, delta: Shown): Limit {
  let limit: Limit | undefined;
  for (const [name, format, shown] of [
    ['Iceberg', TableFormat.ICEBERG, iceberg],
    ['Delta', TableFormat.DELTA, delta],
  ] as const) {
    if (!shown.exists && shown.error !== undefined) {
      throw new MillraceError(
        'unavailable',
        `the ${name} table can't be described, nothing is deleted: ${shown.error.message}`,
        {
          code: 'projection-unknown',
        },
      );
    }
    if (!shown.exists && !formats.includes(format)) continue;
    const version = shown.exists ? shown.oldestLedgerVersion : 0n;
    if (limit !== undefined && limit.version <= version) continue;
    const reason = shown.exists
      ? `${name} still shows ledger version ${version}`
      : `the ${name} table has yet to be made, so every file stays`;
    limit = { version, reason };
  }
  return limit ?? { version: 0n, reason: 'the table has no format, so every file stays' };
}

async function deleteRemoved(context: JobContext, removedBeforeMs: bigint, removedByVersion: bigint): Promise<void> {
  const { ledger, name, folder, signal, dryRun } = context;
  if (removedByVersion === 0n) return;
  for (let last = ''; ; ) {
    const { paths } = await ledger.listRemovedFiles(
      { table: name, removedBeforeMs, removedByVersion, pageSize: dryRun ? 5_000 : PAGE_SIZE },
      { signal },
    );
    const foreign = paths.find((path) => !path.startsWith('data/'));
    if (foreign !== undefined || (paths.length > 0 && paths[0] === last)) {
      throw new MillraceError(
        'internal',
        foreign === undefined
          ? `the ledger did not forget ${last}, which has been deleted`
          : `the ledger lists ${foreign} as a removed data file, which is not under data/`,
        { code: 'removed-files' },
      );
    }
    if (paths.length > 0 && !dryRun) {
      await deleteObjects(
        context,
        paths.map((path) => folder + path),
      );
      await ledger.forgetFiles({ table: name, paths }, { signal });
      last = paths[0]!;
    }
    count(context, 'dataFilesDeleted', paths.length);
    if (paths.length === 0 || dryRun) return;
  }
}
