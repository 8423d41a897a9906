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
  /** A sleep until the next commit is under way. */
  sleeping: boolean;
  /** Look at the places of waiting splits again when the log is listed anew: one failed, or the topic was resumed. */
  refresh: boolean;
  /** The log was listed since `refresh` was set. */
  relisted: boolean;
  /** Failures of the plan in a row: the wait grows with them. */
  failures: number;
  /** Why the source can't be read, or what it lacks. */
  sourceError: ErrorDetail | undefined;
}

/** idle, running, or running and wanted again. */
type Work = 'idle' | 'running' | 'again';

export type TopicMessage =
  /** The poll's listing; undefined: the topic is not in the source. */
  | { kind: 'listed'; log: LogTopic | undefined }
  /** A split ended, or the topic was changed by a call. */
  | { kind: 'changed'; refresh: boolean }
  | { kind: 'planned'; sourceError: ErrorDetail | undefined }
  | { kind: 'plan-failed'; error: ErrorDetail }
  | { kind: 'plan-due' }
  /** `dueMs`: the next commit is due then. */
  | { kind: 'committed'; dueMs: number | undefined }
  | { kind: 'commit-failed' }
  | { kind: 'commit-due' };

export type TopicEffect =
  | { kind: 'plan'; log: LogTopic | undefined; refresh: boolean }
  | { kind: 'commit' }
  | { kind: 'sleep'; ms: number; wakeWith: 'plan-due' | 'commit-due' };

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
const LONGEST_NAP_MS = 1_000;

export const newTopic = (): Step<TopicActorState, TopicEffect> => ({
  state: {
    log: null,
    plan: 'idle',
    commit: 'idle',
    sleeping: false,
    refresh: false,
    relisted: false,
    failures: 0,
    sourceError: undefined,
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
    case 'changed':
      // The listing that led to a failure would lead to it again.
      return message.refresh
        ? wantCommit({ ...state, refresh: true, relisted: false, failures: 0 })
        : join(wantPlan({ ...state, failures: 0 }), wantCommit);
    case 'plan-due':
      return wantPlan(state);
    case 'commit-due':
      return wantCommit({ ...state, sleeping: false });
    case 'planned':
      return afterPlan({ ...state, failures: 0, sourceError: message.sourceError });
    case 'plan-failed': {
      const ms = Math.min(FIRST_RETRY_MS * 2 ** state.failures, LAST_RETRY_MS);
      const next = { ...state, plan: 'idle' as const, failures: state.failures + 1, sourceError: message.error };
      return { state: next, effects: [{ kind: 'sleep', ms, wakeWith: 'plan-due' }] };
    }
    case 'committed':
      return afterCommit(state, message.dueMs);
    case 'commit-failed':
      return afterCommit(state, FIRST_RETRY_MS);
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

function afterCommit(state: TopicActorState, dueMs: number | undefined): Step<TopicActorState, TopicEffect> {
  const again = state.commit === 'again';
  const idle = { ...state, commit: 'idle' as const };
  if (again) return wantCommit(idle);
  if (dueMs === undefined || idle.sleeping) return { state: idle, effects: [] };
  // Short naps: what happens meanwhile may make the commit due earlier.
  return {
    state: { ...idle, sleeping: true },
    effects: [{ kind: 'sleep', ms: Math.min(dueMs, LONGEST_NAP_MS), wakeWith: 'commit-due' }],
  };
}
