import { randomBytes } from 'node:crypto';
import type { Clock } from '@millrace/base';
import type { Signals } from '@millrace/database';

const ASK = 'publish-now';
const DONE = 'published';
/** A signal may be lost, and the owner may change: it is said again so often. */
const REPEAT_MS = 1_000;

export interface PublishRequests {
  /** Asks the replica that owns the subject for an attempt and waits for its end; false: `isOurs` says so meanwhile. */
  ask(subject: string, isOurs: () => boolean, signal: AbortSignal): Promise<boolean>;
  stop(): void;
}

/** Attempts that one replica asks of another: which one it is need not be known. `attempt` resolves at its end. */
export function publishRequests(
  signals: Signals,
  clock: Clock,
  attempt: (subject: string) => Promise<void> | undefined,
): PublishRequests {
  const asking = new Map<string, () => void>();
  const begun = new Set<string>();
  const stop = signals.listen((message = '') => {
    const [kind, id = ''] = message.split(' ', 2);
    if (kind === DONE) asking.get(id)?.();
    // Not for itself, and each once, however often it is said.
    if (kind !== ASK || asking.has(id) || begun.has(id)) return;
    const ended = attempt(message.slice(ASK.length + id.length + 2));
    if (ended === undefined) return;
    begun.add(id);
    void ended
      .then(
        () => signals.send(`${DONE} ${id}`),
        () => {},
      )
      .finally(() => begun.delete(id));
  });
  return {
    async ask(subject, isOurs, signal) {
      const id = randomBytes(6).toString('hex');
      const done = new AbortController();
      asking.set(id, () => done.abort());
      const ended = AbortSignal.any([done.signal, signal]);
      try {
        while (!done.signal.aborted) {
          signal.throwIfAborted();
          if (isOurs()) return false;
          signals.send(`${ASK} ${id} ${subject}`);
          await clock.sleep(REPEAT_MS, ended).catch(() => {});
        }
        return true;
      } finally {
        asking.delete(id);
      }
    },
    stop,
  };
}
