import type { Step } from '@millrace/actor';

/** One table in one catalog, as its actor sees it. What has been published is in the store. */
export interface PublicationState {
  /** cooling: a pause that news of the table doesn't end; waiting: idle until the next check or news. */
  phase: 'working' | 'cooling' | 'waiting';
  /** Number of the sleep that counts: older ones were overtaken. */
  sleep: number;
  /** News came since the running attempt began. */
  dirty: boolean;
  failures: number;
  /** Who gets the running attempt's outcome, and who the next one's: it must begin after they asked. */
  waiters: number[];
  nextWaiters: number[];
}

export type PublicationMessage =
  | { kind: 'changed' }
  | { kind: 'publish-now'; id: number }
  | { kind: 'woke'; sleep: number }
  | { kind: 'ended'; failed: boolean };

export type PublicationEffect =
  | { kind: 'publish' }
  | { kind: 'sleep'; sleep: number; ms: number }
  | { kind: 'answer'; ids: number[] };

export interface PublicationPace {
  minPublishIntervalMs: number;
  checkIntervalMs: number;
}

const FIRST_RETRY_MS = 1_000;

type Next = Step<PublicationState, PublicationEffect>;

/** At its start a publication is checked: the pointer may have moved, there or here, while nobody looked. */
export const startPublication = (): Next => ({
  state: { phase: 'working', sleep: 0, dirty: false, failures: 0, waiters: [], nextWaiters: [] },
  effects: [{ kind: 'publish' }],
});

/**
 * One attempt at a time. News while one runs or cools is folded into the next; failures wait twice as long each time, up
 * to the check interval; someone who asks by hand overtakes every pause.
 */
export const receivePublication =
  (pace: PublicationPace) =>
  (state: PublicationState, message: PublicationMessage): Next => {
    switch (message.kind) {
      case 'changed':
        return state.phase === 'waiting' ? publish(state, []) : { state: { ...state, dirty: true }, effects: [] };
      case 'publish-now':
        return state.phase === 'working'
          ? { state: { ...state, nextWaiters: [...state.nextWaiters, message.id] }, effects: [] }
          : publish(state, [message.id]);
      case 'woke': {
        if (message.sleep !== state.sleep || state.phase === 'working') return { state, effects: [] };
        return state.phase === 'waiting' || state.dirty
          ? publish(state, [])
          : pause(state, 'waiting', pace.checkIntervalMs);
      }
      case 'ended': {
        const failures = message.failed ? state.failures + 1 : 0;
        const answered: PublicationEffect[] = state.waiters.length > 0 ? [{ kind: 'answer', ids: state.waiters }] : [];
        const ended = { ...state, failures, dirty: state.dirty || message.failed };
        const coolMs = message.failed
          ? Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20), Math.max(pace.checkIntervalMs, FIRST_RETRY_MS))
          : pace.minPublishIntervalMs;
        const next = state.nextWaiters.length > 0 ? publish(ended, state.nextWaiters) : pause(ended, 'cooling', coolMs);
        return { state: next.state, effects: [...answered, ...next.effects] };
      }
    }
  };

const publish = (state: PublicationState, waiters: number[]): Next => ({
  state: { ...state, phase: 'working', dirty: false, waiters, nextWaiters: [] },
  effects: [{ kind: 'publish' }],
});

const pause = (state: PublicationState, phase: 'cooling' | 'waiting', ms: number): Next => ({
  state: { ...state, phase, sleep: state.sleep + 1, waiters: [] },
  effects: [{ kind: 'sleep', sleep: state.sleep + 1, ms }],
});
