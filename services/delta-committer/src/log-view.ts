import { isKind } from '@millrace/base';
import { type CommitInfo, listLog, loadSnapshot, oldestReadableVersion, readCommit } from '@millrace/delta';
import { LEDGER_VERSION, POSITIONS, parseOffsets } from '@millrace/ledger';
import type { ObjectStore } from '@millrace/object-store';
import { ledgerVersionOf } from './fed-table.ts';

export interface CommitView {
  deltaVersion: number;
  timestampMs: number;
  commitInfo: CommitInfo;
}

/** Commits below `before` whose files are still there, newest first. */
export async function listCommits(store: ObjectStore, before: number, limit: number): Promise<CommitView[]> {
  const commits = (await listLog(store)).filter(({ kind, version }) => kind === 'commit' && version < before);
  const views: CommitView[] = [];
  for (const { version, modifiedMs, sizeBytes } of commits.slice(-limit).reverse()) {
    const actions = await readCommit(store, version, sizeBytes);
    const commitInfo = actions.find((action) => action.commitInfo)?.commitInfo ?? {};
    views.push({ deltaVersion: version, timestampMs: commitInfo.timestamp ?? Math.floor(modifiedMs), commitInfo });
  }
  return views;
}

/** How far each partition has been read at `version`: by the newest commit up to it that says so. */
export async function positionsAt(store: ObjectStore, version: number): Promise<ReturnType<typeof parseOffsets>> {
  for (let v = version; v >= 0; v--) {
    const actions = await readCommit(store, v).catch(absent);
    if (actions === undefined) break;
    const text = actions.find(({ commitInfo }) => commitInfo)?.commitInfo?.[POSITIONS];
    if (typeof text === 'string') return parseOffsets(text);
  }
  return [];
}

/** The ledger version that the oldest readable Delta version shows: files removed after it must stay (I4). */
export async function oldestLedgerVersion(store: ObjectStore, appId: string, oldest?: number): Promise<bigint> {
  const version = oldest ?? oldestReadableVersion(await listLog(store));
  if (version === undefined) return 0n;
  const actions = await readCommit(store, version).catch(absent);
  const txn = actions?.find((action) => action.txn?.appId === appId)?.txn;
  if (txn !== undefined) return txn.version;
  // Another writer's commit: what it builds on is in the state.
  const snapshot = await loadSnapshot(store, { version });
  return snapshot === undefined ? 0n : ledgerVersionOf(snapshot, appId);
}

export const ledgerVersionIn = (info: CommitInfo): bigint => BigInt((info[LEDGER_VERSION] as string | undefined) ?? 0);

function absent(error: unknown): undefined {
  if (!isKind(error, 'not-found')) throw error;
}
