import { type Clock, formatTableName, type TableName } from '@millrace/base';
import { type LedgerDb, newestVersions } from '@millrace/ledger';
import type { Signal } from './signal.ts';

/** A table's newest version. */
export interface Moved {
  table: TableName;
  version: bigint;
}

export interface LedgerWatch {
  /** Every table as it is now, then each that moves; of several moves of one table the last will do. Ends with `ended`. */
  follow(ended: AbortSignal): AsyncGenerator<Moved>;
}

/** Versions that other processes appended are found by asking this often. */
const ASK_AGAIN_MS = 500;
/** Between two questions, however many commits there are; and ten times what the last one took. */
const LEAST_MS = 50;
const REST_FACTOR = 10;

interface Follower {
  moved: Map<string, Moved>;
  wake(): void;
}

/** Asks the ledger once for all who follow it, and only while somebody does. */
export function ledgerWatch(db: LedgerDb, ledger: Signal, clock: Clock): LedgerWatch {
  const followers = new Set<Follower>();
  const known = new Map<string, Moved>();
  let asking = false;

  async function ask(): Promise<void> {
    for (const { tableUuid, table, version } of await newestVersions(db)) {
      const key = `${formatTableName(table)} ${tableUuid}`;
      if (known.get(key)?.version === BigInt(version)) continue;
      const moved = { table, version: BigInt(version) };
      known.set(key, moved);
      for (const follower of followers) follower.moved.set(key, moved);
    }
    for (const follower of followers) if (follower.moved.size > 0) follower.wake();
  }

  async function askOn(): Promise<void> {
    const idle = new AbortController();
    while (followers.size > 0) {
      const askedMs = clock.now();
      const woken = ledger.wait(ASK_AGAIN_MS, idle.signal);
      try {
        await ask();
      } catch {
        // The database is away: the next question comes as soon as every other one.
      }
      const tookMs = clock.now() - askedMs;
      await woken;
      const restMs = askedMs + Math.max(LEAST_MS, tookMs * REST_FACTOR) - clock.now();
      if (restMs > 0) await clock.sleep(restMs);
    }
    asking = false;
    known.clear();
  }

  return {
    async *follow(ended) {
      let wake = () => {};
      const follower: Follower = { moved: new Map(known), wake: () => wake() };
      const end = () => wake();
      followers.add(follower);
      ended.addEventListener('abort', end, { once: true });
      if (!asking) {
        asking = true;
        void askOn();
      }
      try {
        while (!ended.aborted) {
          for (const [key, moved] of follower.moved) {
            follower.moved.delete(key);
            yield moved;
            if (ended.aborted) return;
          }
          if (ended.aborted) return;
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (follower.moved.size > 0 || ended.aborted) resolve();
          });
        }
      } finally {
        followers.delete(follower);
        ended.removeEventListener('abort', end);
      }
    },
  };
}
