import { MillraceError } from '@millrace/base';
import { completeSplit, failSplit, heartbeatSplit, leaseSplit } from '@millrace/ledger';
import { SplitService } from '@millrace/proto/metadata_discovery';
import { implement } from '@millrace/rpc';
import { count, observe } from '@millrace/telemetry';
import type { Discovery } from './discovery.ts';
import { asHolder, countCompletion, tracedLease } from './lease-telemetry.ts';
import { wholeNumber } from './page.ts';
import { resolveSchema } from './topic-schemas.ts';

const LONGEST_WAIT_MS = 30_000;
/** Splits that other processes planned, or whose backoff ended, are found by asking this often. */
const ASK_AGAIN_MS = 250;

/** proto ↔ ledger: work for converters. */
export function splitService(discovery: Discovery) {
  const { db, clock, leases } = discovery;
  let waiting = 0;
  const endMetrics = observe(['millrace.converters.waiting'], (report) =>
    report('millrace.converters.waiting', waiting),
  );
  discovery.draining.addEventListener('abort', endMetrics, { once: true });
  return implement(SplitService, {
    async leaseSplit(request, call) {
      if (request.owner === '') {
        throw new MillraceError('invalid', 'LeaseSplit: the owner is missing; name host, process and a random part');
      }
      const untilMs = clock.now() + Math.min(Math.max(request.waitMs, 0), LONGEST_WAIT_MS);
      const ended = AbortSignal.any([call.signal, discovery.draining]);
      while (!ended.aborted) {
        // The wait begins before the question: a split that is planned in between wakes it.
        const waited = new AbortController();
        const woken = discovery.work.wait(
          Math.min(Math.max(untilMs - clock.now(), 0), ASK_AGAIN_MS),
          AbortSignal.any([ended, waited.signal]),
        );
        const lease = await leaseSplit(db, request.owner, clock.now(), leases);
        if (lease !== undefined) {
          waited.abort();
          if (!call.signal.aborted) return { lease: tracedLease(lease, request.owner) };
          // Whoever asked drains, or is gone: nobody is to wait for a lease that no one knows of.
          const unheard = { splitId: lease.split!.splitId, epoch: Number(lease.epoch), released: true };
          await failSplit(db, { ...unheard, error: undefined, nowMs: clock.now() }, leases);
          discovery.work.notify();
          return {};
        }
        waiting++;
        await woken;
        waiting--;
        if (clock.now() >= untilMs) break;
      }
      return {};
    },
    async heartbeatSplit(request) {
      const epoch = wholeNumber(request.epoch, 'epoch');
      return {
        expiresMs: BigInt(await asHolder(heartbeatSplit(db, request.splitId, epoch, clock.now(), leases.leaseMs))),
      };
    },
    async completeSplit(request) {
      const { topic } = await asHolder(
        completeSplit(db, {
          splitId: request.splitId,
          epoch: wholeNumber(request.epoch, 'epoch'),
          files: request.files,
          deadLetters: request.deadLetters,
          skippedCount: wholeNumber(request.skippedCount, 'skipped_count'),
          newestRecordMs: wholeNumber(request.newestRecordMs, 'newest_record_ms'),
          nowMs: clock.now(),
        }),
      );
      countCompletion(topic, request);
      for (const sample of request.skippedSamples) {
        discovery.logger.warn(
          { topic, code: sample.code, context: sample.context },
          `record skipped: ${sample.message}`,
        );
      }
      discovery.changed(topic);
      return {};
    },
    async failSplit(request) {
      const { topic, suspended } = await asHolder(
        failSplit(
          db,
          {
            splitId: request.splitId,
            epoch: wholeNumber(request.epoch, 'epoch'),
            released: request.released,
            error: request.error,
            nowMs: clock.now(),
          },
          leases,
        ),
      );
      count('millrace.leases', 1, { 'millrace.outcome': request.released ? 'released' : 'failed' });
      const { code, message, context } = request.error ?? { code: '', message: 'no reason was given', context: {} };
      if (suspended) discovery.logger.error({ topic, code, context }, `topic suspended: ${message}`);
      else if (!request.released) discovery.logger.warn({ topic, code, context }, `a split failed: ${message}`);
      discovery.changed(topic, { refresh: !request.released });
      discovery.work.notify();
      return {};
    },
    async resolveSchema(request, call) {
      const { topic, key, schemaId, messageIndexes } = request;
      const answer = await resolveSchema(
        db,
        discovery.schemas,
        { topic, key, schemaId, messageIndexes, nowMs: clock.now() },
        call.signal,
      );
      discovery.ledger.notify();
      return answer;
    },
  });
}
