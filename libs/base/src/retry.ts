import pRetry from 'p-retry';
import { type MillraceError, toMillraceError } from './errors.ts';

export interface RetryOptions {
  /** Tries after the first. Default 5. */
  retries?: number;
  minDelayMs?: number;
  maxDelayMs?: number;
  signal?: AbortSignal | undefined;
  onRetry?: (error: MillraceError, attempt: number) => void;
}

/** Runs `action` again, with growing random delays, while it fails with a retryable error. Throws a MillraceError. */
export async function retry<T>(action: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  try {
    return await pRetry(action, {
      retries: options.retries ?? 5,
      minTimeout: options.minDelayMs ?? 100,
      maxTimeout: options.maxDelayMs ?? 5_000,
      randomize: true,
      ...(options.signal ? { signal: options.signal } : {}),
      shouldRetry: ({ error }) => toMillraceError(error).retryable,
      onFailedAttempt: ({ error, attemptNumber }) => options.onRetry?.(toMillraceError(error), attemptNumber),
    });
  } catch (error) {
    throw toMillraceError(error);
  }
}
