import type { Clock } from '@millrace/base';

/** The schema source is asked for so many topics a second at the most: with many topics, each waits longer for its turn. */
const LOOKS_A_SECOND = 10;
const LEAST_REST_MS = 50;

/** Asks for each topic in turn, again and again until aborted; a round takes `everyMs` at the least. */
export async function takeTurns(
  options: { subjects(): Iterable<string>; ask(subject: string): void; everyMs: number; clock: Clock },
  stopped: AbortSignal,
): Promise<void> {
  const { subjects, ask, everyMs, clock } = options;
  const rest = (ms: number) => clock.sleep(ms, stopped).catch(() => {});
  while (!stopped.aborted) {
    const againMs = clock.now() + everyMs;
    for (const subject of [...subjects()]) {
      ask(subject);
      await rest(1_000 / LOOKS_A_SECOND);
      if (stopped.aborted) return;
    }
    await rest(Math.max(againMs - clock.now(), LEAST_REST_MS));
  }
}
