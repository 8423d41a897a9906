import { type LedgerDb, type PlannedSplit, planSplits } from '@millrace/ledger';
import { contextOf, count, failSpan, startSpan, traceparentOf } from '@millrace/telemetry';

/** Plans splits of one partition; the trace of each begins here, and goes on wherever the split does. */
export async function planTraced(
  db: LedgerDb,
  at: { topic: string; tableUuid: string; partition: number; nowMs: number },
  splits: readonly PlannedSplit[],
): Promise<void> {
  const spans = splits.map(({ startOffset, endOffset }) =>
    startSpan('plan split', {
      parent: contextOf(''),
      attributes: {
        'millrace.topic': at.topic,
        'millrace.partition': at.partition,
        'millrace.start_offset': startOffset,
        'millrace.end_offset': endOffset,
      },
    }),
  );
  try {
    const traced = splits.map((split, i) => ({ ...split, traceparent: traceparentOf(spans[i]!) }));
    const ids = await planSplits(db, { ...at, traceparent: '' }, traced);
    for (const [i, span] of spans.entries()) span.setAttribute('millrace.split', ids[i]!);
    count('millrace.splits.planned', splits.length, { 'millrace.topic': at.topic });
  } catch (error) {
    for (const span of spans) failSpan(span, error);
    throw error;
  } finally {
    for (const span of spans) span.end();
  }
}
