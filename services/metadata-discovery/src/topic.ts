import type { Step } from '@millrace/actor';
import type { ErrorDetail } from '@millrace/proto/common';
import type { LogTopic } from './log-source.ts';

/**
 * One enabled topic: its owner in this process. What is durable stands in the ledger; this decides when to look at it.
 * At most one plan and one commit run at a time; what happens meanwhile leads to one more of them.
 */
export interface TopicActorState {
  /** The last listing; null before the first, undefined when the source lacks the topic. */
  log: LogTopic | undefined | null;
  plan: Work;
  commit: Work;
  /** When the sleep ends that was begun for the next commit; undefined: none is under way. */
  wakeMs: number | undefined;
  /** The last plan left something: it waits for room, for more of the log, or for a segment to settle. */
  left: boolean;
  /** A look for new schema versions is under way. */
  schemas: boolean;
  /** Look at the places of waiting splits again when the log is listed anew: one failed, or the topic was resumed. */
  refresh: boolean;
  /** The log was listed since `refresh` was set. */
  relisted: boolean;
  /** Failures of the plan in a row: the wait grows with them. */
  failures: number;
  /** Why the source can't be read, or what it lacks. */
  sourceError: ErrorDetail | undefined;
  /** Why its schemas can't be read. */
  schemaError: ErrorDetail | undefined;
}

/** idle, running, or running and wanted again. */
type Work = 'idle' | 'running' | 'again';

export type TopicMessage =
  /** The log is not as it was, or something is left to plan; undefined: the topic is not in the source. */
  | { kind: 'listed'; log: LogTopic | undefined }
  /** A split ended; with `plan`, the topic itself was changed. */
  | { kind: 'changed'; refresh: boolean; plan?: boolean }
  | { kind: 'schemas-due' }
  | { kind: 'schemas-followed'; schemaError: ErrorDetail | undefined }
  | { kind: 'planned'; sourceError: ErrorDetail | undefined; schemaError: ErrorDetail | undefined; left: boolean }
  | { kind: 'plan-failed'; error: ErrorDetail }
  | { kind: 'plan-due' }
  /** `dueMs`: the next commit is due that long after `nowMs`. */
  | { kind: 'committed'; dueMs: number | undefined; nowMs: number }
  | { kind: 'commit-failed'; nowMs: number }
  /** `atMs` as the sleep had it. */
  | { kind: 'commit-due'; atMs: number };

export type TopicEffect =
  | { kind: 'plan'; log: LogTopic | undefined; refresh: boolean }
  | { kind: 'schemas' }
  | { kind: 'commit' }
  | { kind: 'sleep'; ms: number; wakeWith: Extract<TopicMessage, { kind: 'plan-due' | 'commit-due' }> };

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

export const newTopic = (): Step<TopicActorState, TopicEffect> => ({
  state: {
    log: null,
    plan: 'idle',
    commit: 'idle',
    wakeMs: undefined,
    left: false,
    schemas: false,
    refresh: false,
    relisted: false,
    failures: 0,
    sourceError: undefined,
    schemaError: undefined,
  },
  effects: [],
});

export function receiveTopic(state: TopicActorState, message: TopicMessage): Step<TopicActorState, TopicEffect> {
  switch (message.kind) {
    case 'listed': {
      const next = { ...state, log: message.log, relisted: true };
      // After a failure the plan waits for its retry; the polls go on meanwhile.
      return state.failures > 0 ? wantCommit(next) : join(wantPlan(next), wantCommit);
    }
    case 'changed': {
      // The listing that led to a failure would lead to it again.
      if (message.refresh) return wantCommit({ ...state, refresh: true, relisted: false, failures: 0 });
      const next = { ...state, failures: 0 };
      const hasPlans = message.plan === true || state.left || state.failures > 0 || state.plan !== 'idle';
      return hasPlans ? join(wantPlan(next), wantCommit) : wantCommit(next);
    }
    case 'schemas-due':
      return state.schemas
        ? { state, effects: [] }
        : { state: { ...state, schemas: true }, effects: [{ kind: 'schemas' }] };
    case 'schemas-followed':
      return { state: { ...state, schemas: false, schemaError: message.schemaError }, effects: [] };
    case 'plan-due':
      return wantPlan(state);
    case 'commit-due':
      return wantCommit(message.atMs === state.wakeMs ? { ...state, wakeMs: undefined } : state);
    case 'planned': {
      const { sourceError, schemaError, left } = message;
      return afterPlan({ ...state, failures: 0, sourceError, schemaError, left });
    }
    case 'plan-failed': {
      const ms = Math.min(FIRST_RETRY_MS * 2 ** state.failures, LAST_RETRY_MS);
      const next = { ...state, plan: 'idle' as const, failures: state.failures + 1, sourceError: message.error };
      return { state: next, effects: [{ kind: 'sleep', ms, wakeWith: { kind: 'plan-due' } }] };
    }
    case 'committed':
      return afterCommit(state, message.dueMs, message.nowMs);
    case 'commit-failed':
      return afterCommit(state, FIRST_RETRY_MS, message.nowMs);
  }
}

function join(
  first: Step<TopicActorState, TopicEffect>,
  next: (state: TopicActorState) => Step<TopicActorState, TopicEffect>,
): Step<TopicActorState, TopicEffect> {
  const second = next(first.state);
  return { state: second.state, effects: [...first.effects, ...second.effects] };
}

function wantPlan(state: TopicActorState): Step<TopicActorState, TopicEffect> {
  if (state.log === null) return { state, effects: [] };
  if (state.plan !== 'idle') return { state: { ...state, plan: 'again' }, effects: [] };
  const refresh = state.refresh && state.relisted;
  return {
    state: { ...state, plan: 'running', refresh: state.refresh && !refresh },
    effects: [{ kind: 'plan', log: state.log, refresh }],
  };
}

function wantCommit(state: TopicActorState): Step<TopicActorState, TopicEffect> {
  if (state.commit !== 'idle') return { state: { ...state, commit: 'again' }, effects: [] };
  return { state: { ...state, commit: 'running' }, effects: [{ kind: 'commit' }] };
}

function afterPlan(state: TopicActorState): Step<TopicActorState, TopicEffect> {
  const again = state.plan === 'again';
  const idle = { ...state, plan: 'idle' as const };
  return again ? wantPlan(idle) : { state: idle, effects: [] };
}

function afterCommit(
  state: TopicActorState,
  dueMs: number | undefined,
  nowMs: number,
): Step<TopicActorState, TopicEffect> {
  const again = state.commit === 'again';
  const idle = { ...state, commit: 'idle' as const };
  if (again) return wantCommit(idle);
  if (dueMs === undefined) return { state: idle, effects: [] };
  const atMs = nowMs + dueMs;
  // One sleep, or a further one that ends earlier: whatever happens meanwhile leads to another look by itself.
  if (idle.wakeMs !== undefined && idle.wakeMs <= atMs && idle.wakeMs > nowMs) return { state: idle, effects: [] };
  return {
    state: { ...idle, wakeMs: atMs },
    effects: [{ kind: 'sleep', ms: dueMs, wakeWith: { kind: 'commit-due', atMs } }],
  };
}
