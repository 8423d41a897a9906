import { isKind, type MillraceError } from '@millrace/base';
import type { LogStore } from './log-store.ts';
import { decodeOffsetIndex, type OffsetIndexEntry } from './offset-index.ts';
import { logError } from './place.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, readBatchHeader } from './record-batch.ts';
import type { TieredSegment } from './tiered-segments.ts';

const WINDOW_BYTES = 64 << 10;

export interface SegmentEnd {
  /** Inclusive: the last offset of the last batch. One before the base offset when the segment is empty. */
  lastOffset: number;
  /** Of the batches from the last index entry on; -1 = none. */
  maxTimestampMs: number;
  endByte: number;
}

/**
 * The last offset of a segment: batch headers are walked from the last entry of its offset index (from the start without
 * one). Errors: corrupt with code segment-truncated when the last batch is cut off, with context byte (where that batch
 * starts) and nextOffset (one past the last whole batch); those of readBatchHeader.
 */
export async function segmentEnd(store: LogStore, segment: TieredSegment, signal?: AbortSignal): Promise<SegmentEnd> {
  const entries = await readOffsetIndex(store, segment, signal);
  const from = entries.findLast((entry) => entry.position + BATCH_HEADER_BYTES <= segment.sizeBytes)?.position ?? 0;
  const end: SegmentEnd = { lastOffset: segment.baseOffset - 1, maxTimestampMs: -1, endByte: segment.sizeBytes };
  for await (const { header } of walkHeaders(store, segment, from, signal)) {
    end.lastOffset = header.lastOffset;
    end.maxTimestampMs = Math.max(end.maxTimestampMs, header.maxTimestampMs);
  }
  return end;
}

export interface SplitPoint {
  byte: number;
  /** Base offset of the batch that starts there. */
  baseOffset: number;
}

/** Where a segment can be cut, at batches about `bytes` apart: the first is its start. From the offset index when there is one. */
export async function splitPoints(
  store: LogStore,
  segment: TieredSegment,
  bytes: number,
  signal?: AbortSignal,
): Promise<SplitPoint[]> {
  const points: SplitPoint[] = [{ byte: 0, baseOffset: segment.baseOffset }];
  // A remainder that is smaller than half a split stays with the split before it.
  const wanted = (position: number) =>
    position - points.at(-1)!.byte >= bytes && segment.sizeBytes - position >= bytes / 2;
  if (segment.sizeBytes < bytes * 1.5) return points;
  const entries = await readOffsetIndex(store, segment, signal);
  if (entries.length === 0) {
    for await (const { header, position } of walkHeaders(store, segment, 0, signal)) {
      if (wanted(position)) points.push({ byte: position, baseOffset: header.baseOffset });
    }
    return points;
  }
  for (const { position } of entries) {
    if (!wanted(position)) continue;
    const range = { start: position, end: Math.min(position + BATCH_HEADER_BYTES, segment.sizeBytes) };
    const place = { segment: segment.key, startByte: position };
    const header = readBatchHeader(await store.get(segment.key, range, signal), 0, place);
    points.push({ byte: position, baseOffset: header.baseOffset });
  }
  return points;
}

async function readOffsetIndex(
  store: LogStore,
  segment: TieredSegment,
  signal?: AbortSignal,
): Promise<OffsetIndexEntry[]> {
  const key = segment.files.index;
  if (key === undefined) return [];
  try {
    const bytes = await store.get(key, undefined, signal);
    return decodeOffsetIndex(bytes, segment.baseOffset, { segment: key, startByte: 0 });
  } catch (error) {
    // An index is a shortcut: without it, or with one that is being written, the log itself is walked.
    if (isKind(error, 'not-found', 'corrupt')) return [];
    throw error;
  }
}

/** The batch headers from byte `from` on, with their positions. Bodies are read only where they lie between headers. */
async function* walkHeaders(
  store: LogStore,
  segment: TieredSegment,
  from: number,
  signal?: AbortSignal,
): AsyncGenerator<{ header: BatchHeader; position: number }> {
  const size = segment.sizeBytes;
  let window: Uint8Array = new Uint8Array(0);
  let windowStart = from;
  let nextOffset: number | undefined;
  for (let position = from; position < size; ) {
    if (position + BATCH_HEADER_BYTES > windowStart + window.length) {
      windowStart = position;
      const end = Math.min(position + WINDOW_BYTES, size);
      window = await store.get(segment.key, { start: position, end }, signal);
    }
    const truncated = (what: string, next: number): MillraceError =>
      logError(
        'segment-truncated',
        `the segment is truncated: a record batch is cut off (${what}); copy it again from the broker`,
        { segment: segment.key, startByte: 0 },
        position,
        { offset: next, nextOffset: next },
      );
    if (size - position < BATCH_HEADER_BYTES) {
      throw truncated(`${size - position} bytes are left`, nextOffset ?? segment.baseOffset);
    }
    const place = { segment: segment.key, startByte: windowStart };
    const header = readBatchHeader(window, position - windowStart, place);
    if (position + header.sizeBytes > size) {
      const what = `it has ${header.sizeBytes} bytes, ${size - position} are there`;
      throw truncated(what, nextOffset ?? header.baseOffset);
    }
    yield { header, position };
    nextOffset = header.lastOffset + 1;
    position += header.sizeBytes;
  }
}
