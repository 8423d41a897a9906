import { MillraceError } from '@millrace/base';
import { type AbortedRange, scanSegment } from '@millrace/kafka-log';
import type { ReadAhead } from '@millrace/object-store';
import type { SegmentRange, Split } from '@millrace/proto/metadata_discovery';
import type { ReadSplitResponse, SegmentReaderService } from '@millrace/proto/segment_reader';
import type { Client } from '@millrace/rpc';
import { failSpan, startSpan, traceparentOf, withTraceparent } from '@millrace/telemetry';

/** Whole record batches with right CRCs, or where there are none. The bytes are valid until the next piece is asked for. */
export type SplitPiece =
  | { kind: 'batches'; bytes: Uint8Array; segment: string; startByte: number }
  | {
      kind: 'broken';
      segment: string;
      startByte: number;
      sizeBytes: number;
      /** Both inclusive. */
      baseOffset: number;
      lastOffset: number;
      code: string;
      reason: string;
    };

export interface SplitSource {
  aborted: AbortedRange[];
  pieces: AsyncIterable<SplitPiece>;
}

export interface SourceDeps {
  reader: Client<typeof SegmentReaderService>;
  /** Stores that this process reads itself, by id. */
  logStores: ReadonlyMap<string, ReadAhead>;
  chunkBytes: number;
  maxBatchBytes: number;
}

/**
 * Opens a split: segment-reader answers with ranges, which are read here, or with the batches. Broken batches are pieces
 * whatever the split's policy is: what becomes of them is decided where broken records are judged too.
 */
export async function openSplit(split: Split, deps: SourceDeps, signal: AbortSignal): Promise<SplitSource> {
  // It lasts until the last piece has been taken: reading goes on while what was read is converted.
  const span = startSpan('read split', { attributes: { 'millrace.split': split.splitId } });
  try {
    return await withTraceparent(traceparentOf(span), () => open(split, deps, signal, () => span.end()));
  } catch (error) {
    failSpan(span, error);
    span.end();
    throw error;
  }
}

async function open(split: Split, deps: SourceDeps, signal: AbortSignal, ended: () => void): Promise<SplitSource> {
  const messages = deps.reader.readSplit(
    { split, readableStores: [...deps.logStores.keys()], skipCorruptBatches: true },
    { signal },
  );
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done || first.value.message.case !== 'plan') {
    throw new MillraceError('internal', `segment-reader answered split ${split.splitId} without a plan`);
  }
  const plan = first.value.message.value;
  const aborted = plan.aborted.map((entry) => ({
    producerId: Number(entry.producerId),
    firstOffset: Number(entry.firstOffset),
    lastOffset: Number(entry.lastOffset),
  }));
  if (plan.ranges.length === 0) return { aborted, pieces: received(iterator, ended) };
  await iterator.return?.();
  const readAhead = deps.logStores.get(plan.storeId);
  if (readAhead === undefined) {
    throw new MillraceError('internal', `segment-reader names the log store ${plan.storeId}, which was not offered`);
  }
  return { aborted, pieces: scanned(plan.ranges, readAhead, deps, signal, ended) };
}

async function* received(iterator: AsyncIterator<ReadSplitResponse>, ended: () => void): AsyncGenerator<SplitPiece> {
  try {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      const { message } = next.value;
      if (message.case !== 'batches') continue;
      const { data, objectKey, startByte, skipped } = message.value;
      if (data.length > 0) yield { kind: 'batches', bytes: data, segment: objectKey, startByte: Number(startByte) };
      for (const batch of skipped) {
        yield {
          kind: 'broken',
          segment: batch.objectKey,
          startByte: Number(batch.startByte),
          sizeBytes: Number(batch.sizeBytes),
          baseOffset: Number(batch.baseOffset),
          lastOffset: Number(batch.lastOffset),
          code: batch.code,
          reason: batch.reason,
        };
      }
    }
  } finally {
    await iterator.return?.();
    ended();
  }
}

async function* scanned(
  ranges: readonly SegmentRange[],
  readAhead: ReadAhead,
  { chunkBytes, maxBatchBytes }: SourceDeps,
  signal: AbortSignal,
  ended: () => void,
): AsyncGenerator<SplitPiece> {
  const spans = ranges.map((range) => ({
    key: range.objectKey,
    startByte: Number(range.startByte),
    endByte: Number(range.endByte),
    startOffset: Number(range.startOffset),
    endOffset: Number(range.endOffset),
    segmentBaseOffset: Number(range.segmentBaseOffset),
  }));
  const stretches = spans.map(({ key, startByte: start, endByte: end }) => ({ key, start, end }));
  const reading = readAhead(stretches, signal);
  try {
    for (const span of spans) {
      for await (const piece of scanSegment(reading, span, { chunkBytes, maxBatchBytes, skipCorrupt: true, signal })) {
        if (piece.kind === 'batches') yield { ...piece, segment: span.key };
        else {
          const { error, ...where } = piece;
          yield { ...where, segment: span.key, code: error.code, reason: error.message };
        }
      }
    }
  } finally {
    reading.close();
    ended();
  }
}
