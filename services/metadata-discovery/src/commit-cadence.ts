/** What of a table is under way, as the ledger counts it. */
export interface WorkUnderWay {
  waiting: number;
  leased: number;
  committable: number;
  committableBytes: number;
}

/** A table with nothing else to do commits after this much time since its last version: nobody waits for more. */
const IDLE_INTERVAL_MS = 1_000;

/**
 * Milliseconds until the next commit; 0: now; undefined: there is nothing to commit. A version is due when
 * `commitIntervalMs` has passed since the last one, at once when `commitBytes` wait, and after a second when no split of
 * the table waits or is being converted.
 */
export function commitDueMs(
  work: WorkUnderWay,
  settings: { commitIntervalMs: number; commitBytes: number },
  lastCommitMs: number,
  nowMs: number,
): number | undefined {
  if (work.committable === 0) return undefined;
  if (work.committableBytes >= settings.commitBytes) return 0;
  const idle = work.waiting === 0 && work.leased === 0;
  const interval = idle ? Math.min(settings.commitIntervalMs, IDLE_INTERVAL_MS) : settings.commitIntervalMs;
  // A clock that was set back must not hold a commit for long.
  return Math.min(Math.max(lastCommitMs + interval - nowMs, 0), interval);
}
