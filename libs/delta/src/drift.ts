import { MillraceError } from '@millrace/base';
import type { Action, CommitInfo } from './actions.ts';

/**
 * How the live files differ from those that one application has committed, because of other writers' commits. Empty
 * again once the difference has been undone (a RESTORE), or the application has committed on top of it.
 */
export interface Drift {
  added: Set<string>;
  removed: Set<string>;
  /** The first commit that is part of it. */
  since: { version: number; commitInfo: CommitInfo } | undefined;
}

export const noDrift = (): Drift => ({ added: new Set(), removed: new Set(), since: undefined });

export const isOwnCommit = (actions: Action[], appId: string): boolean =>
  actions.some(({ txn }) => txn?.appId === appId);

/** Folds one commit in. Commits ascend. Comments, properties and recomputed statistics are no drift. */
export function observeCommit(drift: Drift, version: number, actions: Action[], appId: string): void {
  if (isOwnCommit(actions, appId)) {
    drift.added.clear();
    drift.removed.clear();
    drift.since = undefined;
    return;
  }
  // Adds alone that change no data name files that are live already: new statistics (protocol, "dataChange").
  if (actions.every(({ add, remove }) => !remove && !add?.dataChange)) return;
  for (const { add, remove } of actions) {
    if (remove && !drift.added.delete(remove.path)) drift.removed.add(remove.path);
    if (add && !drift.removed.delete(add.path)) drift.added.add(add.path);
  }
  if (drift.added.size + drift.removed.size === 0) drift.since = undefined;
  else drift.since ??= { version, commitInfo: actions.find((action) => action.commitInfo)?.commitInfo ?? {} };
}

/** The error while there is drift: not worth another try; says who did what, and the ways out. */
export function driftError(table: string, { added, removed, since }: Drift): MillraceError {
  const { version, commitInfo } = since!;
  const writer = [commitInfo.userName, commitInfo.userId, commitInfo.engineInfo].find((v) => typeof v === 'string') as
    | string
    | undefined;
  const operation = commitInfo.operation ?? 'a commit without a name';
  return new MillraceError(
    'conflict',
    `the Delta table at ${table} was changed by another writer: since version ${version} (${operation} by ${writer ?? 'an unknown engine'}) ${added.size} files are there and ${removed.size} are gone that its topic knows nothing of, so nothing is committed on top. Either undo it (RESTORE to version ${version - 1}), or switch the topic's delta format off and, once that is done, on again: that brings the table back to what the topic says`,
    {
      code: 'delta-foreign-change',
      retryable: false,
      context: { table, version, operation, writer, added: added.size, removed: removed.size },
    },
  );
}
