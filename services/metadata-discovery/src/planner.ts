import type { OffsetIndexEntry, SplitPoint } from '@millrace/kafka-log';
import type { PlannedSplit } from '@millrace/ledger';
import type { Span } from './chain.ts';

/** A contiguous part of one segment: what a split is put together from. */
export interface Piece {
  key: string;
  segmentBaseOffset: number;
  startOffset: number;
  endOffset: number;
  startByte: number;
  endByte: number;
}

/** What is known of a segment's inside: where batches start, exactly (points) and nearly (index). */
export interface SegmentInside {
  points: readonly SplitPoint[];
  index: readonly OffsetIndexEntry[];
}

/**
 * Cuts a span at split points. Index entries name a batch's last offset and its start: the entry before an offset is a
 * safe place to start, the second one after it a safe place to end; the reader leaves out what lies beyond.
 */
export function cutSpan(span: Span, inside: SegmentInside): Piece[] {
  const { segment, startOffset, endOffset } = span;
  const cuts = inside.points.filter((point) => point.baseOffset > startOffset && point.baseOffset < endOffset);
  const startByte =
    span.startByte ??
    (startOffset <= segment.baseOffset
      ? 0
      : (inside.index.findLast((entry) => entry.offset < startOffset)?.position ?? 0));
  const beyond = inside.index.findIndex((entry) => entry.offset >= endOffset - 1);
  const endByte = beyond < 0 ? span.endByte : (inside.index[beyond + 1]?.position ?? span.endByte);
  const marks = [
    { offset: startOffset, byte: startByte },
    ...cuts.map((point) => ({ offset: point.baseOffset, byte: point.byte })),
    { offset: endOffset, byte: Math.min(endByte, span.endByte) },
  ];
  return marks.slice(1).map((mark, i) => ({
    key: segment.key,
    segmentBaseOffset: segment.baseOffset,
    startOffset: marks[i]!.offset,
    endOffset: mark.offset,
    startByte: marks[i]!.byte,
    endByte: mark.byte,
  }));
}

/**
 * Bytes of log that become one data file of about `fileBytes`, as far as the table's newest splits tell (`found`); in steps
 * of a quarter of `splitBytes`, which it is before any was converted. Between a quarter and four times of that: what a lease
 * takes stays within bounds. A tenth is left out, so that no rest needs a second file.
 */
export function splitBytesFor(
  fileBytes: number,
  splitBytes: number,
  found: { logBytes: number; dataBytes: number },
): number {
  if (found.dataBytes === 0 || found.logBytes === 0) return splitBytes;
  const step = splitBytes / 4;
  const wanted = (0.9 * fileBytes * found.logBytes) / found.dataBytes;
  return Math.min(Math.max(Math.floor(wanted / step), 1), 16) * step;
}

/** Splits of about `splitBytes`, from contiguous pieces; gaps between pieces belong to the split that follows them. */
export interface Draft {
  startOffset: number;
  endOffset: number;
  bytes: number;
  pieces: Piece[];
}

const MOST_RANGES = 500;

export function draftSplits(pieces: readonly Piece[], from: number, splitBytes: number): Draft[] {
  const drafts: Draft[] = [];
  for (const piece of pieces) {
    const bytes = piece.endByte - piece.startByte;
    const last = drafts.at(-1);
    // A small piece may pass the end by half of itself: so the size is met as nearly from above as from below.
    const passes = bytes <= splitBytes / 3 ? bytes / 2 : 0;
    if (last !== undefined && last.bytes + bytes - passes <= splitBytes && last.pieces.length < MOST_RANGES) {
      last.endOffset = piece.endOffset;
      last.bytes += bytes;
      const before = last.pieces.at(-1)!;
      if (before.key === piece.key && before.endByte === piece.startByte && before.endOffset === piece.startOffset) {
        last.pieces[last.pieces.length - 1] = { ...before, endOffset: piece.endOffset, endByte: piece.endByte };
      } else last.pieces.push(piece);
    } else {
      drafts.push({ startOffset: last?.endOffset ?? from, endOffset: piece.endOffset, bytes, pieces: [piece] });
    }
  }
  return drafts;
}

/**
 * Which drafts become splits now: all but a last one that is smaller than `splitBytes`, which waits for more of the log
 * while the partition has other work, and goes at once when it has none (freshness). `room`: how many more may wait.
 */
export function choosePlanned(drafts: readonly Draft[], splitBytes: number, pending: number, room: number): Draft[] {
  const last = drafts.at(-1);
  // Half a split is large enough: cutting at batches leaves pieces that are never exact.
  const holdBack = last !== undefined && last.bytes < splitBytes / 2 && (pending > 0 || drafts.length > 1);
  return (holdBack ? drafts.slice(0, -1) : [...drafts]).slice(0, Math.max(room, 0));
}

/** The splits' places, as the .proto names them. */
export const toPlanned = (draft: Draft, transactionIndexKeys: string[]): PlannedSplit => ({
  startOffset: draft.startOffset,
  endOffset: draft.endOffset,
  ranges: draft.pieces.map((piece) => ({
    objectKey: piece.key,
    startByte: BigInt(piece.startByte),
    endByte: BigInt(piece.endByte),
    startOffset: BigInt(piece.startOffset),
    endOffset: BigInt(piece.endOffset),
    segmentBaseOffset: BigInt(piece.segmentBaseOffset),
  })),
  transactionIndexKeys,
});
