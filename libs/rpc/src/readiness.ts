import * as grpc from '@grpc/grpc-js';
import { MillraceError, systemClock, type TransportSettings, toMillraceError } from '@millrace/base';
import { createLogger } from '@millrace/telemetry';
import { clientCredentials } from './credentials.ts';
import { targetOf } from './target.ts';

/** Something without which a service can't do its work. */
export interface ReadinessCheck {
  /** As logs name it: "the database". */
  what: string;
  check(signal: AbortSignal): Promise<unknown>;
  /** Passed once is passed for good: later, each call that needs it tells its caller. */
  once?: boolean;
}

const UNREADY_MS = 500;
const READY_MS = 5_000;
const TIMEOUT_MS = 4_000;

/**
 * Asks again and again whether everything is there, and tells of each change: false until all checks have passed. Answers
 * with what ends it. Without checks a service is ready as soon as it listens.
 */
export function watchReadiness(
  service: string,
  checks: readonly ReadinessCheck[],
  onChange: (ready: boolean) => void,
): () => Promise<void> {
  if (checks.length === 0) onChange(true);
  const ended = new AbortController();
  const logger = createLogger(service);
  let pending = [...checks];
  let told = '';
  let ready = false;
  const failureOf = async ({ what, check }: ReadinessCheck): Promise<string | undefined> => {
    const late = AbortSignal.timeout(TIMEOUT_MS);
    const signal = AbortSignal.any([ended.signal, late]);
    const cut = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    try {
      await Promise.race([check(signal), cut]);
      return undefined;
    } catch (error) {
      return `${what}: ${late.aborted ? `no answer within ${TIMEOUT_MS} ms` : toMillraceError(error).message}`;
    }
  };
  const watch = async () => {
    while (pending.length > 0 && !ended.signal.aborted) {
      const failures = await Promise.all(pending.map(failureOf));
      if (ended.signal.aborted) return;
      const missing = failures.filter((failure) => failure !== undefined).join('; ');
      if (missing !== told && missing !== '') logger.warn({ reason: missing }, 'not ready');
      told = missing;
      pending = pending.filter(({ once }, i) => once !== true || failures[i] !== undefined);
      if (ready !== (missing === '')) {
        ready = !ready;
        onChange(ready);
        if (ready) logger.info('ready');
      }
      await systemClock.sleep(ready ? READY_MS : UNREADY_MS, ended.signal).catch(() => {});
    }
  };
  const watching = watch();
  return async () => {
    ended.abort(new MillraceError('cancelled', `${service} is stopping`));
    await watching;
  };
}

/** Passes once a connection to the service stands: its name resolves, it listens, and each believes the other's certificate. */
export const connectionCheck = (name: string, addresses: string, transport: TransportSettings): ReadinessCheck => ({
  what: name,
  once: true,
  async check() {
    const client = new grpc.Client(targetOf(addresses), clientCredentials(transport, name, addresses));
    try {
      await new Promise<void>((resolve, reject) =>
        client.waitForReady(Date.now() + TIMEOUT_MS - 500, (error) =>
          error
            ? reject(new MillraceError('unavailable', `no connection with ${addresses}: ${error.message}`))
            : resolve(),
        ),
      );
    } finally {
      client.close();
    }
  },
});
