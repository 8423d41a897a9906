import type { Clock } from '@millrace/base';

/** Decides when an actor takes its next message. */
export interface Scheduler {
  deliver(run: () => void): void;
}

export const systemScheduler: Scheduler = { deliver: (run) => void setImmediate(run) };

/** A reproducible random number in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Simulation {
  scheduler: Scheduler;
  clock: Clock;
  random: () => number;
  /** Runs until nothing is left to deliver and no sleeper is due within `untilMs` of virtual time. */
  run(untilMs: number): Promise<void>;
}

/**
 * Virtual time and a seeded order: at each step one of the deliveries that wait is taken at random; when none waits,
 * time jumps to the next sleeper. Effects may await each other, but nothing outside (no timers, no files).
 */
export function createSimulation(seed: number): Simulation {
  const random = seededRandom(seed);
  const waiting: (() => void)[] = [];
  const sleepers: { at: number; wake: () => void }[] = [];
  let now = 1_700_000_000_000;
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    random,
    scheduler: { deliver: (run) => void waiting.push(run) },
    clock: {
      now: () => now,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason);
          const sleeper = { at: now + ms, wake: resolve };
          sleepers.push(sleeper);
          signal?.addEventListener('abort', () => {
            const index = sleepers.indexOf(sleeper);
            if (index >= 0) sleepers.splice(index, 1);
            reject(signal.reason);
          });
        }),
    },
    async run(untilMs) {
      const end = now + untilMs;
      for (;;) {
        await settle();
        if (waiting.length > 0) {
          waiting.splice(Math.floor(random() * waiting.length), 1)[0]!();
          continue;
        }
        const next = Math.min(...sleepers.map((sleeper) => sleeper.at));
        if (next > end) return;
        now = Math.max(now, next);
        const due = sleepers.filter((sleeper) => sleeper.at <= now);
        const chosen = due[Math.floor(random() * due.length)]!;
        sleepers.splice(sleepers.indexOf(chosen), 1);
        chosen.wake();
      }
    },
  };
}
