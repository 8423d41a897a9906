import { type Clock, createTurns, isKind, retry, toMillraceError } from '@millrace/base';
import type { Lease, SplitService } from '@millrace/proto/metadata_discovery';
import { type Client, errorToDetail } from '@millrace/rpc';
import { count, type Logger, untraced, withSpan, withTraceparent } from '@millrace/telemetry';
import { beginConversion, type ConversionOutcome } from './conversion-metrics.ts';
import { keepLease } from './lease-keeper.ts';
import type { ConvertedSplit } from './split-conversion.ts';

export interface LeaseLoopOptions {
  splits: Client<typeof SplitService>;
  /** `onEncoded` says that it only waits for the store from now on. */
  convert: (lease: Lease, signal: AbortSignal, onEncoded: () => void, attempt: number) => Promise<ConvertedSplit>;
  /** Names this process to metadata-discovery. */
  owner: string;
  waitMs: number;
  heartbeatMs: number;
  /** How long a split may go on after `stop` before it is given back. */
  drainMs: number;
  retries: number;
  clock: Clock;
  logger: Logger;
}

/**
 * Leases a split, converts it, hands it over, and again. While the last files of one are on their way the next is leased
 * and converted; no more than two are leased, and one is converted, at a time.
 */
export interface LeaseLoop {
  /** No new split; the running ones end within drainMs or are released. */
  stop(): Promise<void>;
}

/** After a failed request for work; long enough not to be a storm, short enough that a restart is not noticed. */
const PAUSE_MS = 500;
/** What a request for work gets at a drain: an answer that is on its way is a lease that would be left to its time-out. */
const LAST_ANSWER_MS = 250;
/** Codes of `exhausted`: another service refuses because of its own load. */
const OVERLOAD = new Set(['too-many-calls', 'too-many-reads']);

export function startLeaseLoop(options: LeaseLoopOptions): LeaseLoop {
  const { splits, owner, waitMs, clock, logger } = options;
  const draining = new AbortController();
  const unasked = new AbortController();
  const released = new AbortController();
  const turns = createTurns(1);

  async function next(): Promise<Lease | undefined> {
    const askedMs = clock.now();
    try {
      // Room for the answer on top of the wait.
      const call = { signal: unasked.signal, timeoutMs: waitMs + 10_000 };
      const { lease } = await untraced(() => splits.leaseSplit({ owner, waitMs }, call));
      if (lease?.split !== undefined) return lease;
    } catch (thrown) {
      if (draining.signal.aborted) return undefined;
      const error = toMillraceError(thrown);
      logger.warn({ code: error.code, reason: error.message }, 'no work could be asked for');
    }
    // Also after an answer that did not wait.
    if (clock.now() - askedMs < PAUSE_MS) await clock.sleep(PAUSE_MS, draining.signal).catch(() => {});
    return undefined;
  }

  /** Also a second try takes its turn, so that memory stays that of one conversion. */
  const convertInTurn: LeaseLoopOptions['convert'] = (lease, signal, onEncoded, attempt) =>
    new Promise((resolve, reject) => {
      void turns(
        () =>
          new Promise<void>((release) => {
            const encoded = () => {
              release();
              onEncoded();
            };
            options.convert(lease, signal, encoded, attempt).then(resolve, reject).finally(release);
          }),
      );
    });

  async function run(): Promise<void> {
    let behind: Promise<void> = Promise.resolve();
    while (!draining.signal.aborted) {
      const lease = await next();
      if (lease === undefined) continue;
      if (draining.signal.aborted) {
        const unread = { splitId: lease.split!.splitId, epoch: lease.epoch, released: true };
        await splits
          .failSplit(unread, { timeoutMs: 5_000 })
          .catch((error) => logger.warn({ error, ...unread }, 'a split was left to its time-out'));
        break;
      }
      const { splitId, topic } = lease.split!;
      const attributes = { 'millrace.split': splitId, 'millrace.topic': topic, 'millrace.epoch': Number(lease.epoch) };
      let ended!: Promise<void>;
      await new Promise<void>((resolve) => {
        const inTurn = { ...options, convert: convertInTurn };
        ended = withTraceparent(lease.traceparent, () =>
          withSpan('convert split', { attributes }, () => runLease(lease, inTurn, released.signal, resolve)),
        )
          .catch((error) => logger.error({ error, splitId: lease.split!.splitId }, 'a split was left to its time-out'))
          .finally(resolve);
      });
      await behind;
      behind = ended;
    }
    await behind;
  }

  const running = run();
  return {
    async stop() {
      draining.abort();
      const timers = [
        setTimeout(() => unasked.abort(), LAST_ANSWER_MS),
        setTimeout(() => released.abort(), options.drainMs),
      ];
      await running;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

async function runLease(
  lease: Lease,
  options: LeaseLoopOptions,
  released: AbortSignal,
  onEncoded: () => void,
): Promise<void> {
  const { splits, clock, logger } = options;
  const split = lease.split!;
  const { splitId } = split;
  const { epoch } = lease;
  const log = logger.child({ splitId, epoch: String(epoch), topic: split.topic, partition: split.partition });
  const stale = new AbortController();
  const signal = AbortSignal.any([stale.signal, released]);
  const keeper = keepLease({
    splits,
    splitId,
    epoch,
    heartbeatMs: options.heartbeatMs,
    clock,
    logger: log,
    onStale: (error) => stale.abort(error),
  });
  const startedMs = clock.now();
  const ended = beginConversion(split);
  let outcome: ConversionOutcome = 'failed';
  let written: ConvertedSplit['summary'] | undefined;
  let completing = false;
  try {
    const converted = await retry((attempt) => options.convert(lease, signal, onEncoded, attempt), {
      retries: options.retries,
      signal,
      onRetry(error) {
        count('millrace.conversion.retries', 1);
        log.warn({ code: error.code, reason: error.message }, 'a split is tried again');
      },
    });
    completing = true;
    try {
      // Only this answer says whether the files count. A heartbeat that comes in right after it hears that the lease has
      // ended, and must not have files deleted that are the table's by now.
      await retry(() => splits.completeSplit({ splitId, epoch, ...converted.completion }), {
        retries: options.retries,
        signal: released,
      });
    } catch (error) {
      // Only a clear refusal says that the files do not count; after anything else the sweep of orphans decides.
      if (isKind(error, 'stale-lease', 'invalid', 'not-found', 'conflict')) await converted.discard();
      throw error;
    }
    outcome = 'completed';
    written = converted.summary;
    log.info({ ...written, ms: clock.now() - startedMs }, 'split converted');
  } catch (thrown) {
    if ((stale.signal.aborted && !completing) || isKind(thrown, 'stale-lease')) {
      outcome = 'lost';
      log.info('the lease went to another converter; its files were deleted');
      return;
    }
    const error = toMillraceError(thrown);
    // A drain, or a service that has too much to do: no fault of the split, so it is no attempt.
    const isReleased = released.aborted || OVERLOAD.has(error.code);
    if (isReleased) outcome = 'released';
    const report = isReleased ? { splitId, epoch, released: true } : { splitId, epoch, error: errorToDetail(error) };
    if (!isReleased) log.error({ code: error.code, reason: error.message, ...error.context }, 'split failed');
    await retry(() => splits.failSplit(report, { timeoutMs: 5_000 }), { retries: released.aborted ? 0 : 3 }).catch(
      (failure) => {
        if (!isKind(failure, 'stale-lease')) throw failure;
      },
    );
  } finally {
    keeper.end();
    ended(outcome, written);
  }
}
