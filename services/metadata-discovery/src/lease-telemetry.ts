import { isKind } from '@millrace/base';
import type { GivenLease } from '@millrace/ledger';
import type { CompleteSplitRequest } from '@millrace/proto/metadata_discovery';
import { contextOf, count, startSpan, traceparentOf } from '@millrace/telemetry';

/** A lease goes on in the trace of its split's plan, and whoever got it goes on from there. */
export function tracedLease(lease: GivenLease, owner: string): GivenLease {
  const span = startSpan('lease split', {
    parent: contextOf(lease.traceparent),
    attributes: {
      'millrace.split': lease.split.splitId,
      'millrace.topic': lease.split.topic,
      'millrace.epoch': Number(lease.epoch),
      'millrace.owner': owner,
    },
  });
  span.end();
  count('millrace.leases', 1, { 'millrace.outcome': 'given' });
  return { ...lease, traceparent: traceparentOf(span) };
}

/** A call of whoever holds a lease: one that has lost it is counted. */
export async function asHolder<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isKind(error, 'stale-lease')) count('millrace.leases', 1, { 'millrace.outcome': 'refused' });
    throw error;
  }
}

export function countCompletion(topic: string, { skippedCount, deadLetters }: CompleteSplitRequest): void {
  count('millrace.leases', 1, { 'millrace.outcome': 'completed' });
  const kept = deadLetters.reduce((sum, file) => sum + Number(file.recordCount), 0);
  count('millrace.bad_records', Number(skippedCount), { 'millrace.topic': topic, 'millrace.policy': 'skip' });
  count('millrace.bad_records', kept, { 'millrace.topic': topic, 'millrace.policy': 'log' });
}
