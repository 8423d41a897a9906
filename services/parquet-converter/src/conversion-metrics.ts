import type { Split } from '@millrace/proto/metadata_discovery';
import { count, observeProcessWide, record } from '@millrace/telemetry';
import type { ConvertedSplit } from './split-conversion.ts';

export type ConversionOutcome = 'completed' | 'released' | 'failed' | 'lost';

/** Of all loops of this process. */
let active = 0;
observeProcessWide(['millrace.conversion.active'], (report) => report('millrace.conversion.active', active));

/** A split has been leased; the answer is to be called when it has ended, with what was written if it was completed. */
export function beginConversion({ topic, ranges }: Split) {
  const startedMs = performance.now();
  active++;
  return (outcome: ConversionOutcome, written?: ConvertedSplit['summary']): void => {
    active--;
    record('millrace.conversion.duration', (performance.now() - startedMs) / 1e3, { 'millrace.outcome': outcome });
    if (outcome === 'lost') count('millrace.lease.losses', 1);
    if (written === undefined) return;
    const labels = { 'millrace.topic': topic };
    const logBytes = ranges.reduce((sum, range) => sum + Number(range.endByte - range.startByte), 0);
    count('millrace.conversion.records', written.rows, labels);
    count('millrace.conversion.files', written.files, labels);
    count('millrace.conversion.size', written.bytes, labels);
    count('millrace.conversion.log.size', logBytes, labels);
  };
}
