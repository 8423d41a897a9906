import { isKind, MillraceError } from '@millrace/base';
import type { ObjectStore } from '@millrace/object-store';
import { type Action, type CommitInfo, encodeActions } from './actions.ts';
import { type Drift, driftError, isOwnCommit, noDrift, observeCommit } from './drift.ts';
import { commitKey } from './log-segment.ts';
import { checkWritable } from './protocol.ts';
import { advance, type CommitObserver, loadSnapshot, readCommit, refresh, type Snapshot } from './snapshot.ts';

/** A table as one application sees it that commits to it. The store's root is the table's folder. */
export interface DeltaTable {
  store: ObjectStore;
  /** The appId of its txn actions (protocol, "Transaction Identifiers"). */
  appId: string;
  /** undefined: there is no table yet. */
  snapshot: Snapshot | undefined;
  drift: Drift;
}

/** One commit to be. */
export interface Transaction {
  /**
   * Once `appId` has this version in the table, the transaction is done; done again, it does nothing. Without one, the
   * commit has no txn action.
   */
  version?: bigint;
  /**
   * The actions on top of this state (undefined: no table yet), without commitInfo and txn; undefined: nothing is left
   * to be done. It is asked again after a rebase. It throws when it can't apply.
   */
  actions(snapshot: Snapshot | undefined): Action[] | undefined;
  commitInfo: CommitInfo;
  now: number;
  /** Commits on top of drift too: for what sets the whole state or touches no file. */
  overDrift?: boolean;
}

const REBASES_MAX = 100;

/** Loads the newest state. Errors as of `loadSnapshot`. */
export async function openTable(store: ObjectStore, appId: string): Promise<DeltaTable> {
  const drift = noDrift();
  const observe: CommitObserver = (version, actions) => observeCommit(drift, version, actions, appId);
  const snapshot = await loadSnapshot(store, {
    onCommit: observe,
    // A checkpoint hides the commits before it: those since the application's own last one count.
    onCheckpoint: async (version) => {
      const hidden: [number, Action[]][] = [];
      for (let v = version; v >= 0; v--) {
        const actions = await readCommit(store, v).catch(absent);
        if (actions === undefined) break;
        hidden.unshift([v, actions]);
        if (isOwnCommit(actions, appId)) break;
      }
      for (const [v, actions] of hidden) observe(v, actions);
    },
  });
  return { store, appId, snapshot, drift };
}

/** Takes in what was committed since, by anyone. */
export async function refreshTable(table: DeltaTable): Promise<void> {
  const { store, appId, drift } = table;
  if (table.snapshot === undefined) Object.assign(table, await openTable(store, appId));
  else await refresh(store, table.snapshot, (version, actions) => observeCommit(drift, version, actions, appId));
}

/**
 * Commits by put-if-absent of the next version's file (protocol, "Creation of New Log Entries") and moves the table's
 * state on. When another writer was first, what was committed is taken in and the transaction made anew on top of it.
 * False: an earlier or concurrent commit of the same application has done it. `conflict` (code "delta-foreign-change",
 * not retryable) when another writer has changed the files. After any other error the state may lag behind the table:
 * open it again.
 */
export async function commit(table: DeltaTable, transaction: Transaction): Promise<boolean> {
  const { store, appId } = table;
  const { version, commitInfo, now } = transaction;
  for (let rebases = 0; rebases <= REBASES_MAX; rebases++) {
    const { snapshot, drift } = table;
    const done = snapshot?.transactions.get(appId);
    if (version !== undefined && done !== undefined && done.version >= version) return false;
    if (drift.since !== undefined && !transaction.overDrift) throw driftError(store.uri, drift);
    if (snapshot !== undefined) checkWritable(snapshot.protocol, snapshot.metadata, store.uri);
    const body = transaction.actions(snapshot);
    if (body === undefined) return false;
    checkCommit(body, snapshot, store.uri);
    const actions: Action[] = [
      { commitInfo: { timestamp: now, ...commitInfo } },
      ...body,
      ...(version === undefined ? [] : [{ txn: { appId, version, lastUpdated: now } }]),
    ];
    const next = (snapshot?.version ?? -1) + 1;
    const committed = await putCommit(store, next, actions);
    if (committed && snapshot !== undefined) {
      advance(snapshot, next, actions, store.uri);
      observeCommit(drift, next, actions, appId);
    } else {
      await refreshTable(table);
      if (table.snapshot === undefined) throw vanished(store.uri);
    }
    if (committed) return true;
  }
  throw new MillraceError('conflict', `other writers to ${store.uri} were first ${REBASES_MAX} times in a row`, {
    code: 'delta-commit-contended',
    context: { table: store.uri },
  });
}

async function putCommit(store: ObjectStore, version: number, actions: Action[]): Promise<boolean> {
  const out = await store.writer(commitKey(version), { ifAbsent: true });
  try {
    for (const chunk of encodeActions(actions)) await out.write(chunk);
    await out.complete();
    return true;
  } catch (error) {
    await out.abort();
    if (isKind(error, 'already-exists')) return false;
    throw error;
  }
}

const absent = (error: unknown): undefined => {
  if (!isKind(error, 'not-found')) throw error;
};

const vanished = (table: string) =>
  new MillraceError('conflict', `the Delta log at ${table} was deleted while it was written`, {
    code: 'delta-log-vanished',
    context: { table },
  });

/** What the protocol forbids in one commit, as far as a transaction could ask for it. */
function checkCommit(actions: Action[], snapshot: Snapshot | undefined, table: string): void {
  const paths = new Set<string>();
  const appendOnly = snapshot?.metadata.configuration['delta.appendOnly'] === 'true';
  for (const { add, remove } of actions) {
    const path = add?.path ?? remove?.path;
    if (path === undefined) continue;
    if (paths.has(path)) {
      throw new MillraceError('invalid', `${path} occurs twice in one commit to ${table}`, {
        code: 'delta-duplicate-file',
        context: { table, path },
      });
    }
    paths.add(path);
    if (appendOnly && remove?.dataChange) {
      throw new MillraceError('conflict', `${table} has delta.appendOnly=true, so ${path} can't be removed; unset it`, {
        code: 'delta-append-only',
        retryable: false,
        context: { table, path },
      });
    }
  }
}
