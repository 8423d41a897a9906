import { isKind, MillraceError, retry, toMillraceError } from '@millrace/base';
import type { DataFile } from '@millrace/proto/common';
import { planCompaction } from './compaction-plan.ts';
import { count, deleteObjects, formatBytes, type JobContext } from './job-context.ts';

const PAGE_SIZE = 5_000;

/**
 * Small files into larger ones: one rewrite, which both formats then show. Each group is a proposal of its own, so one
 * that conflicts or fails costs no other. A conflict (a file of the group was replaced meanwhile) is no failure: the
 * next run plans anew.
 */
export async function compactTable(context: JobContext): Promise<string> {
  const { counts, policy, dryRun } = context;
  const groups = planCompaction(await liveFiles(context), policy);
  let failure: MillraceError | undefined;
  for (const [index, group] of groups.entries()) {
    if (dryRun) {
      countBefore(context, group);
      continue;
    }
    try {
      await rewriteGroup(context, `${context.jobId}-${index}`, group);
    } catch (error) {
      context.signal.throwIfAborted();
      failure ??= toMillraceError(error);
      count(context, 'groupsFailed', 1);
    }
  }
  if (failure !== undefined) throw failure;
  const conflicts = counts['conflicts'] ?? 0;
  const again = conflicts === 0 ? '' : `; ${conflicts} groups had changed meanwhile and come next time`;
  const before = `${counts['filesBefore'] ?? 0} files (${formatBytes(counts['bytesBefore'] ?? 0)})`;
  if (groups.length === 0) return 'nothing to compact';
  if (dryRun) return `would rewrite ${before} in ${groups.length} groups`;
  if (counts['filesBefore'] === undefined) return `nothing compacted${again}`;
  return `${before} into ${counts['filesAfter']} (${formatBytes(counts['bytesAfter'] ?? 0)})${again}`;
}

async function liveFiles({ ledger, name, signal }: JobContext): Promise<DataFile[]> {
  const files: DataFile[] = [];
  let version = 0n;
  let pageToken = '';
  do {
    const page = await ledger.listFiles(
      { table: name, version, pageToken, pageSize: PAGE_SIZE, withoutColumns: true },
      { signal },
    );
    files.push(...page.files);
    ({ version, nextPageToken: pageToken } = page);
  } while (pageToken !== '');
  return files;
}

async function rewriteGroup(context: JobContext, rewriteId: string, group: DataFile[]): Promise<void> {
  const { converter, name, table, policy, signal, rewriteTimeoutMs } = context;
  let files: DataFile[];
  try {
    const request = {
      table: name,
      location: table.location,
      tableSchemaJson: table.tableSchemaJson,
      files: group,
      targetFileBytes: BigInt(policy.compactTargetFileBytes),
      rewriteId,
    };
    ({ files } = await converter.rewriteFiles(request, { signal, timeoutMs: rewriteTimeoutMs }));
    checkRewrite(rewriteId, group, files);
  } catch (error) {
    await discard(context, rewriteId);
    throw error;
  }
  if (files.length >= group.length) {
    await discard(context, rewriteId);
    count(context, 'groupsKept', 1);
    return;
  }
  const refusal = await propose(context, {
    table: name,
    removedPaths: group.map(({ path }) => path),
    added: files,
    proposalId: rewriteId,
    maintenanceEpoch: context.epoch,
  });
  if (refusal !== undefined) {
    await discard(context, rewriteId);
    if (refusal.kind !== 'conflict') throw refusal;
    count(context, 'conflicts', 1);
    return;
  }
  countBefore(context, group);
  count(context, 'filesAfter', files.length);
  count(context, 'bytesAfter', bytesOf(files));
}

/**
 * Undefined: the ledger has the rewrite. An error: it has refused it. As long as it has said neither, the files may be
 * part of the table, so the proposal is repeated (its id makes it one); when that stays without an answer this throws,
 * and the files stay.
 */
function propose(
  { ledger, signal }: JobContext,
  proposal: Parameters<JobContext['ledger']['proposeRewrite']>[0],
): Promise<MillraceError | undefined> {
  const ask = async () => {
    try {
      await ledger.proposeRewrite(proposal, { signal });
      return undefined;
    } catch (error) {
      if (isKind(error, 'conflict', 'invalid', 'not-found')) return error as MillraceError;
      throw error;
    }
  };
  return retry(ask, { retries: 20, minDelayMs: 200, signal });
}

/** The ledger checks rows too; here it is said before anything is proposed, and no file outside the rewrite's own. */
function checkRewrite(rewriteId: string, group: DataFile[], files: DataFile[]): void {
  const rows = (of: DataFile[]) => of.reduce((sum, file) => sum + file.recordCount, 0n);
  const foreign = files.find(({ path }) => !path.startsWith(`data/rewrite-${rewriteId}-`));
  if (rows(group) === rows(files) && foreign === undefined) return;
  throw new MillraceError(
    'internal',
    foreign === undefined
      ? `rewrite ${rewriteId} made ${rows(files)} rows of ${rows(group)}: it is discarded`
      : `rewrite ${rewriteId} wrote ${foreign.path}, which is not a name of its own: it is discarded`,
    { code: 'rewrite-wrong' },
  );
}

/** Deletes what a rewrite that was never accepted has written; what it still writes, a sweep finds. */
async function discard(context: JobContext, rewriteId: string): Promise<void> {
  const { store, folder, signal, logger } = context;
  try {
    const keys: string[] = [];
    for await (const { key } of store.list(`${folder}data/rewrite-${rewriteId}-`, { signal })) keys.push(key);
    await deleteObjects(context, keys);
  } catch (error) {
    logger.warn({ error, rewriteId }, 'files of a discarded rewrite are left for the sweep');
  }
}

function countBefore(context: JobContext, group: DataFile[]): void {
  count(context, 'filesBefore', group.length);
  count(context, 'bytesBefore', bytesOf(group));
}

const bytesOf = (files: DataFile[]): number => files.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
