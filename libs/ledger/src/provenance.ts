import { parseExactJson, stringifyExactJson } from '@millrace/base';
import type { PartitionOffsets } from '@millrace/proto/common';

/**
 * What every projected commit carries of the ledger (I3), under the same names in both formats: Iceberg in a snapshot's
 * summary, Delta in commitInfo.
 */
export const LEDGER_VERSION = 'millrace.ledger-version';
/** Offsets that a commit adds: JSON of partition → [start, end). */
export const OFFSETS = 'millrace.offsets';
/** Offsets that the table covers since its start, in the same form. */
export const POSITIONS = 'millrace.positions';

export const formatOffsets = (offsets: PartitionOffsets[]): string =>
  stringifyExactJson(
    Object.fromEntries(offsets.map((range) => [range.partition, [range.startOffset, range.endOffset]])),
  );

/** The inverse of formatOffsets. */
export const parseOffsets = (text: string) =>
  Object.entries(
    parseExactJson(text, 'the offsets of a commit') as Record<string, [number | bigint, number | bigint]>,
  ).map(([partition, [start, end]]) => ({
    partition: Number(partition),
    startOffset: BigInt(start),
    endOffset: BigInt(end),
  }));
