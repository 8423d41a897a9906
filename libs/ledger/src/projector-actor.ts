import type { Step } from '@millrace/actor';
import type { MillraceError } from '@millrace/base';

/** A table's projection, as its actor sees it: where the ledger is, where the table is, who waits for which version. */
export interface ProjectorState {
  /** The newest ledger version heard of. */
  target: bigint;
  /** What the table itself said last. */
  reached: bigint;
  /** Something changed since the running sync began (a version, formats, a drop): sync once more. */
  dirty: boolean;
  syncing: boolean;
  failures: number;
  error: MillraceError | undefined;
  waiters: { id: number; version: bigint }[];
}

export type ProjectorMessage =
  | { kind: 'moved'; version: bigint }
  | { kind: 'synced'; reached: bigint }
  | { kind: 'failed'; error: MillraceError }
  | { kind: 'retry' }
  | { kind: 'wait'; id: number; version: bigint }
  | { kind: 'leave'; id: number };

export type ProjectorEffect =
  | { kind: 'sync' }
  | { kind: 'sleep'; ms: number }
  | { kind: 'answer'; ids: number[] }
  | { kind: 'refuse'; ids: number[]; error: MillraceError };

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 15_000;

export const idleProjector: ProjectorState = {
  target: 0n,
  reached: 0n,
  dirty: false,
  syncing: false,
  failures: 0,
  error: undefined,
  waiters: [],
};

/** One sync at a time; versions that arrive meanwhile are folded into the next. A failed sync is tried again, slower each time. */
export function receiveProjector(
  state: ProjectorState,
  message: ProjectorMessage,
): Step<ProjectorState, ProjectorEffect> {
  switch (message.kind) {
    case 'moved':
      return start({ ...state, target: max(state.target, message.version), dirty: true });
    case 'retry':
      return start({ ...state, syncing: false });
    case 'wait':
      return message.version > 0n && state.reached >= message.version
        ? { state, effects: [{ kind: 'answer', ids: [message.id] }] }
        : start({ ...state, dirty: true, waiters: [...state.waiters, { id: message.id, version: message.version }] });
    case 'leave':
      return { state: { ...state, waiters: state.waiters.filter(({ id }) => id !== message.id) }, effects: [] };
    case 'synced': {
      const next = { ...state, syncing: false, failures: 0, error: undefined, reached: message.reached };
      // A sync that began before a waiter came may have missed what it waits for: only a clean one answers those.
      const answered = state.waiters.filter(
        ({ version }) => !state.dirty || (version > 0n && version <= message.reached),
      );
      const step = start({ ...next, waiters: state.waiters.filter((waiter) => !answered.includes(waiter)) });
      return answered.length === 0
        ? step
        : { state: step.state, effects: [{ kind: 'answer', ids: answered.map(({ id }) => id) }, ...step.effects] };
    }
    case 'failed': {
      const failures = state.failures + 1;
      // Who waits learns of a failure that another try does not mend; the table is tried again all the same.
      const refused = message.error.retryable ? [] : state.waiters;
      const effects: ProjectorEffect[] = [
        { kind: 'sleep', ms: Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS) },
      ];
      if (refused.length > 0) effects.push({ kind: 'refuse', ids: refused.map(({ id }) => id), error: message.error });
      return {
        state: {
          ...state,
          // The pause ends with 'retry'; until then nothing starts.
          syncing: true,
          dirty: true,
          failures,
          error: message.error,
          waiters: refused.length > 0 ? [] : state.waiters,
        },
        effects,
      };
    }
  }
}

function start(state: ProjectorState): Step<ProjectorState, ProjectorEffect> {
  if (state.syncing || !state.dirty) return { state, effects: [] };
  return { state: { ...state, syncing: true, dirty: false }, effects: [{ kind: 'sync' }] };
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
