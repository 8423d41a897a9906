import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError, toMillraceError } from '@millrace/base';

/** Tries of one request, the budget permitting. */
const MAX_TRIES = 6;
/** Retries that a client may have ahead of its successes: a store that is down is not asked six times as often. */
const BUDGET = 100;
/** A request that succeeds pays for so much of a retry. */
const REFUND = 0.2;
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** An upload gets as much longer as it takes at this speed. */
const SLOWEST_BYTES_A_MS = 256;
/** Without a byte for this long a request has hung; MILLRACE_STORE_TIMEOUT_MS, or `timeout-ms` in the URI. */
const SILENCE_MS = 30_000;

export interface Attempt {
  /** Ends with the caller's signal, and when the store is silent for too long. */
  signal: AbortSignal;
  /** Something came: the silence begins anew. */
  touch(): void;
}

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  /** Of what is sent. */
  sizeBytes?: number;
}

/** Runs requests of one client, with the answer's body, again while they fail in a way that may pass. */
export type StoreRequests = <T>(
  place: string,
  options: RequestOptions,
  request: (attempt: Attempt) => Promise<T>,
) => Promise<T>;

/** `toError`: the SDK's errors as MillraceErrors, with their kind. */
export function storeRequests(
  silenceMs: number,
  toError: (thrown: unknown, place: string) => MillraceError,
): StoreRequests {
  let budget = BUDGET;
  return async (place, { signal, sizeBytes = 0 }, request) => {
    const limitMs = silenceMs + sizeBytes / SLOWEST_BYTES_A_MS;
    for (let tries = 1; ; tries++) {
      try {
        signal?.throwIfAborted();
        const answer = await oneTry(request, limitMs, signal);
        budget = Math.min(BUDGET, budget + REFUND);
        return answer;
      } catch (thrown) {
        if (signal?.aborted) throw toMillraceError(signal.reason, { object: place });
        const error = toError(thrown, place);
        // A quota that is used up does not pass within seconds.
        if (!error.retryable || error.kind === 'exhausted' || tries === MAX_TRIES) throw error;
        if (budget < 1) throw withoutBudget(error);
        budget -= 1;
        const delayMs = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
        await sleep(delayMs, undefined, signal === undefined ? {} : { signal }).catch(() => {});
      }
    }
  };
}

function oneTry<T>(request: (attempt: Attempt) => Promise<T>, limitMs: number, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    // SDKs that can't be interrupted go on unheard; their sockets have time limits of their own.
    const end = (reason: unknown) => {
      reject(reason);
      controller.abort(reason);
    };
    const timer = setTimeout(() => {
      const text = `the store sent nothing for ${Math.round(limitMs)} ms`;
      end(new MillraceError('unavailable', text, { code: 'store-silent' }));
    }, limitMs);
    const onAbort = () => end(signal!.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    request({ signal: controller.signal, touch: () => timer.refresh() })
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      });
  });
}

const withoutBudget = (error: MillraceError): MillraceError =>
  new MillraceError(error.kind, `${error.message}; not tried again at once: too many of the store's requests fail`, {
    code: error.code,
    retryable: error.retryable,
    context: error.context,
    cause: error.cause,
  });

/** How long a store may be silent, by its URI's parameters or the environment. Throws `invalid`. */
export function silenceOf(parameters: URLSearchParams): number {
  const text = parameters.get('timeout-ms') ?? process.env.MILLRACE_STORE_TIMEOUT_MS ?? '';
  if (text === '') return SILENCE_MS;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 100 || value > 3_600_000)
    throw new MillraceError('invalid', `the time limit ${text} of a store is not usable; legal: 100 to 3600000 (ms)`, {
      code: 'store-uri',
    });
  return value;
}
