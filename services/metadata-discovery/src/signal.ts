import type { Signals } from '@millrace/database';

/** Wakes who waits for one kind of news, in this process and in the others on the database. */
export interface Signal {
  notify(): void;
  /** Resolves at the next notify, after `ms`, or when `signal` aborts; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createSignal(signals: Signals, name: string): Signal {
  const waiting = new Set<() => void>();
  signals.listen((message) => {
    // Undefined: some may have been missed.
    if (message === name || message === undefined) for (const wake of [...waiting]) wake();
  });
  return {
    notify: () => signals.send(name),
    wait(ms, signal) {
      return new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        if (signal.aborted) return wake();
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
