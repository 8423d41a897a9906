import { MillraceError } from '@millrace/base';
import { count, deleteObjects, formatBytes, type JobContext } from './job-context.ts';

const FOLDERS = ['data/', '_dead_letters/'];
const PAGE_SIZE = 5_000;
/** About 200 bytes of memory each. */
const OBJECTS_AT_A_TIME = 100_000;

/**
 * Objects that no version refers to: what a crash, a stale lease or a rewrite that was never accepted has left behind.
 *
 * The store is listed first and the ledger asked afterwards. Every object of the listing was there by then, so whoever
 * wrote it either had committed it when the ledger is asked, or still holds the lease that may. The other way round, a
 * file that is written and committed between question and listing would look like an orphan, and be lost (I4).
 * Rewrites are covered by there being one job of a table at a time; one that goes on although its scheduler was taken for
 * dead is refused by the ledger, which has seen this job's epoch.
 */
export async function sweepTable(context: JobContext): Promise<string> {
  const { table, policy, nowMs, dryRun, counts, store, folder } = context;
  if (table.dropped) {
    throw new MillraceError('conflict', 'the table was dropped: there is nothing to sweep', {
      code: 'table-dropped',
      retryable: false,
    });
  }
  const cutoffMs = nowMs - policy.sweepGraceMs;
  for await (const candidates of oldObjects(context, cutoffMs)) {
    await leaveKept(context, candidates);
    if (!dryRun) await deleteObjects(context, [...candidates.keys()]);
    for (const sizeBytes of candidates.values()) {
      count(context, 'orphansDeleted', 1);
      count(context, 'orphanBytes', sizeBytes);
    }
  }
  if (!dryRun) {
    const discarded = await store.discardUnfinished(folder, cutoffMs);
    if (discarded > 0) count(context, 'unfinishedDiscarded', discarded);
  }
  const { orphansDeleted = 0, orphanBytes = 0, objectsListed = 0 } = counts;
  return `${dryRun ? 'would delete' : 'deleted'} ${orphansDeleted} of ${objectsListed} objects (${formatBytes(orphanBytes)})`;
}

/** Key → bytes of the objects that are old enough, so many at a time as memory is to hold. */
async function* oldObjects(context: JobContext, cutoffMs: number): AsyncGenerator<Map<string, number>> {
  const { store, folder, signal } = context;
  let old = new Map<string, number>();
  for (const part of FOLDERS) {
    for await (const { key, sizeBytes, modifiedMs } of store.list(folder + part, { signal })) {
      count(context, 'objectsListed', 1);
      if (modifiedMs <= cutoffMs) old.set(key, sizeBytes);
      if (old.size < OBJECTS_AT_A_TIME) continue;
      yield old;
      old = new Map();
    }
  }
  if (old.size > 0) yield old;
}

async function leaveKept(
  { ledger, name, folder, signal, epoch, dryRun }: JobContext,
  candidates: Map<string, number>,
): Promise<void> {
  const prefixes = new Set<string>();
  let pageToken = '';
  do {
    const maintenanceEpoch = dryRun ? 0n : epoch;
    const page = await ledger.listKeptPaths(
      { table: name, pageToken, pageSize: PAGE_SIZE, maintenanceEpoch },
      { signal },
    );
    for (const path of page.paths) candidates.delete(folder + path);
    for (const prefix of page.prefixes) prefixes.add(folder + prefix);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  for (const key of candidates.keys()) {
    for (const prefix of prefixes) if (key.startsWith(prefix)) candidates.delete(key);
  }
}
