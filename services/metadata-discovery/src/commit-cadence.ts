/** What of a table is under way, as the ledger counts it. */
export interface WorkUnderWay {
  waiting: number;
  leased: number;
  committable: number;
  committableBytes: number;
  /** When the oldest of what can be committed was converted; 0: nothing can. */
  oldestMs: number;
}

/** A table with nothing else to do commits after this much time since its last version: nobody waits for more. */
const IDLE_INTERVAL_MS = 1_000;

/**
 * Milliseconds until the next commit; 0: now; undefined: there is nothing to commit. A version is due at once when
 * `commitBytes` wait; a second after the last one when no split of the table waits or is being converted; otherwise when
 * `commitIntervalMs` has passed since the last one and something has waited as long: so what arrives in all partitions of
 * a table that was idle becomes one version, not one for the first split and one for the rest.
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
  const since = idle ? lastCommitMs : Math.max(lastCommitMs, work.oldestMs);
  // A clock that was set back must not hold a commit for long.
  return Math.min(Math.max(since + interval - nowMs, 0), interval);
}
