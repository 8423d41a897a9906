import { isKind, MillraceError } from '@millrace/base';
import type { LogStore } from './log-store.ts';
import { logError } from './place.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  checkBatchCrc,
  DEFAULT_MAX_BATCH_BYTES,
  readBatchHeader,
} from './record-batch.ts';

/** Bytes [startByte, endByte) of a segment, read for offsets [startOffset, endOffset). startByte is where a batch starts. */
export interface SegmentSpan {
  key: string;
  startByte: number;
  endByte: number;
  startOffset: number;
  endOffset: number;
  segmentBaseOffset: number;
}

export interface ScanOptions {
  /** Bytes a read from the store; default 8 MB. */
  chunkBytes?: number;
  /** The most that a run has (one larger batch is a run of its own); default: a chunk. */
  runBytes?: number;
  maxBatchBytes?: number;
  /** Batches that are broken are yielded instead of thrown, and the scan goes on at the next whole one. */
  skipCorrupt?: boolean;
  signal?: AbortSignal | undefined;
}

/** Whole batches, one after another, CRCs checked. The bytes are the store's answer: valid for as long as that is. */
export interface BatchRun {
  kind: 'batches';
  bytes: Uint8Array;
  startByte: number;
}

/** Bytes that hold no readable batch. */
export interface BrokenBatch {
  kind: 'broken';
  /** Offsets that are lost, both inclusive, as far as what surrounds them tells. */
  baseOffset: number;
  lastOffset: number;
  startByte: number;
  sizeBytes: number;
  error: MillraceError;
}

const DEFAULT_CHUNK_BYTES = 8 << 20;

/**
 * Reads a span of a segment in order, `chunkBytes` a read. Errors: those of readBatchHeader and checkBatchCrc, and
 * segment-truncated when the object, or the span, ends inside a batch; not-found, worth another try, when the segment is
 * gone. The length field is not covered by the CRC: after
 * a broken batch it is believed only when a batch starts where it points, else the next batch with a right CRC is looked for.
 */
export async function* scanSegment(
  store: Pick<LogStore, 'get'>,
  span: SegmentSpan,
  options: ScanOptions = {},
): AsyncGenerator<BatchRun | BrokenBatch> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES, maxBatchBytes = DEFAULT_MAX_BATCH_BYTES, signal } = options;
  const runBytes = Math.min(options.runBytes ?? chunkBytes, chunkBytes);
  const window = createWindow(store, span, chunkBytes, signal);
  let nextOffset = span.segmentBaseOffset;
  let runStart = span.startByte;
  let position = span.startByte;
  const run = (): BatchRun => ({
    kind: 'batches',
    bytes: window.bytes.subarray(runStart - window.start, position - window.start),
    startByte: runStart,
  });

  /** The whole batch at `at`, in the window; undefined with `wants` bytes when the window does not hold it. */
  const parse = (at: number, lowestOffset: number): BatchHeader | { wants: number } => {
    const place = { segment: span.key, startByte: window.start };
    const left = window.end - at;
    if (left < BATCH_HEADER_BYTES) {
      if (window.end < span.endByte && !window.isLast) return { wants: BATCH_HEADER_BYTES };
      throw truncated(span, at, lowestOffset, `${left} bytes are left, a header has ${BATCH_HEADER_BYTES}`);
    }
    const header = readBatchHeader(window.bytes, at - window.start, place, maxBatchBytes);
    if (header.baseOffset < lowestOffset) {
      const what = `a record batch has base offset ${header.baseOffset}, lower than the batch before it allows (${lowestOffset})`;
      throw logError('batch-header-invalid', what, place, at - window.start, { offset: header.baseOffset });
    }
    if (header.sizeBytes > left) {
      if (at + header.sizeBytes <= span.endByte && !window.isLast) return { wants: header.sizeBytes };
      throw truncated(span, at, lowestOffset, `it has ${header.sizeBytes} bytes, ${left} are there`);
    }
    checkBatchCrc(window.bytes, at - window.start, header, place);
    return header;
  };

  while (position < span.endByte) {
    try {
      const header = parse(position, nextOffset);
      if ('wants' in header) {
        if (position > runStart) yield run();
        runStart = position;
        await window.fill(position, header.wants);
        continue;
      }
      if (position > runStart && position + header.sizeBytes - runStart > runBytes) {
        yield run();
        runStart = position;
      }
      position += header.sizeBytes;
      const follows = header.baseOffset <= Math.max(nextOffset, span.startOffset);
      nextOffset = header.lastOffset + 1;
      // The base offset is not covered by the CRC: after a gap, what comes next shows whether it was true.
      if (follows && nextOffset >= span.endOffset) break;
    } catch (error) {
      if (!(error instanceof MillraceError) || !(error.kind === 'corrupt' || error.kind === 'unsupported')) throw error;
      if (position > runStart) yield run();
      runStart = position;
      if (nextOffset >= span.endOffset) break;
      if (!options.skipCorrupt) throw error;
      const start = position;
      const found = await resynchronise(start);
      const baseOffset = Math.max(nextOffset, span.startOffset);
      position = runStart = found?.position ?? span.endByte;
      const lastOffset = (found?.baseOffset ?? span.endOffset) - 1;
      yield { kind: 'broken', baseOffset, lastOffset, startByte: start, sizeBytes: position - start, error };
      nextOffset = lastOffset + 1;
    }
  }
  if (position > runStart) yield run();

  /** Where the next whole batch starts after a broken one at `broken`. */
  async function resynchronise(broken: number): Promise<{ position: number; baseOffset: number } | undefined> {
    for (let at = broken + 1; at + BATCH_HEADER_BYTES <= span.endByte; at++) {
      if (at + BATCH_HEADER_BYTES > window.end) {
        if (window.isLast) return undefined;
        await window.fill(at, BATCH_HEADER_BYTES);
        if (at + BATCH_HEADER_BYTES > window.end) return undefined;
      }
      // The cheap tests first: magic 2, and a base offset whose upper half is that of the offsets looked for.
      if (window.bytes[at - window.start + 16] !== 2 || window.bytes[at - window.start] !== 0) continue;
      try {
        let header = parse(at, nextOffset);
        if ('wants' in header) {
          await window.fill(at, header.wants);
          header = parse(at, nextOffset);
        }
        if (!('wants' in header) && header.baseOffset < span.endOffset) {
          return { position: at, baseOffset: header.baseOffset };
        }
      } catch (error) {
        if (!(error instanceof MillraceError) || !(error.kind === 'corrupt' || error.kind === 'unsupported'))
          throw error;
      }
    }
    return undefined;
  }
}

function truncated(span: SegmentSpan, at: number, offset: number, what: string): MillraceError {
  return logError(
    'segment-truncated',
    `the segment is truncated: a record batch is cut off (${what}); copy it again from the broker`,
    { segment: span.key, startByte: 0 },
    at,
    { offset },
  );
}

/** Worth another try: retention may have taken it, or another copy its place, and a new plan then knows. */
const missing = (span: SegmentSpan, cause: unknown): MillraceError =>
  new MillraceError(
    'not-found',
    `segment ${span.key} is gone, and offsets ${span.startOffset} to ${span.endOffset} were to be read from it: was it deleted by retention?`,
    { code: 'segment-missing', retryable: true, cause, context: { segment: span.key, offset: span.startOffset } },
  );

interface Window {
  bytes: Uint8Array;
  start: number;
  /** One past the last byte that is there. */
  end: number;
  /** Nothing comes after `end`: the span's end, or an object that is shorter than the span. */
  isLast: boolean;
  fill(at: number, atLeast: number): Promise<void>;
}

function createWindow(
  store: Pick<LogStore, 'get'>,
  span: SegmentSpan,
  chunkBytes: number,
  signal?: AbortSignal,
): Window {
  return {
    bytes: new Uint8Array(0),
    start: span.startByte,
    end: span.startByte,
    isLast: false,
    async fill(at, atLeast) {
      const end = Math.min(at + Math.max(chunkBytes, atLeast), span.endByte);
      this.bytes = await store.get(span.key, { start: at, end }, signal).catch((error) => {
        throw isKind(error, 'not-found') ? missing(span, error) : error;
      });
      this.start = at;
      this.end = at + this.bytes.length;
      this.isLast = this.end >= span.endByte || this.end < end;
    },
  };
}
