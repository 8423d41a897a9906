import { isKind, type MillraceError } from '@millrace/base';
import {
  abortedWithin,
  decodeOffsetIndex,
  decodeProducerSnapshot,
  decodeTransactionIndex,
  type OffsetIndexEntry,
  segmentEnd,
  splitPoints,
  type TieredSegment,
  type TransactionIndexEntry,
} from '@millrace/kafka-log';
import type { PlannedSplit } from '@millrace/ledger';
import type { ObjectStore } from '@millrace/object-store';
import { type Chain, chainSegments, type KnownEnd, knownEnd, type Span } from './chain.ts';
import { choosePlanned, cutSpan, type Draft, draftSplits, toPlanned } from './planner.ts';

export interface PlanOptions {
  splitBytes: number;
  /** Bytes between the places where a segment may be cut. */
  pointBytes: number;
  /** Splits of one partition that may wait at a time: further ones are planned when these are done. */
  pendingSplits: number;
  settleMs: number;
  nowMs: number;
  passBroken: boolean;
  signal: AbortSignal;
}

export interface PartitionPlan {
  splits: PlannedSplit[];
  /** One past the last offset that the newest segment shows. */
  sourceEndOffset: number;
  gaps: { start: number; end: number }[];
  broken?: MillraceError;
}

const SPANS_A_LOOK = 256;

/** Reads what the plan of a partition needs of its segments, and remembers it while they stay as they are. */
export interface SegmentReading {
  plan(segments: readonly TieredSegment[], from: number, pending: number, options: PlanOptions): Promise<PartitionPlan>;
  /** The places of offsets [start, end) as the log stands now; undefined when none of them is there any more. */
  places(
    segments: readonly TieredSegment[],
    start: number,
    end: number,
    options: PlanOptions,
  ): Promise<PlannedSplit | undefined>;
  /** Forgets segments that are gone. */
  keepOnly(segments: readonly TieredSegment[]): void;
}

export function segmentReading(store: ObjectStore): SegmentReading {
  const remembered = new Map<string, { version: string; values: Map<string, Promise<unknown>> }>();

  function remember<T>(segment: TieredSegment, what: string, read: () => Promise<T>): Promise<T> {
    const version = `${segment.sizeBytes}/${segment.modifiedMs}/${Object.keys(segment.files).length}`;
    let entry = remembered.get(segment.key);
    if (entry?.version !== version) remembered.set(segment.key, (entry = { version, values: new Map() }));
    const { values } = entry;
    let value = values.get(what) as Promise<T> | undefined;
    if (value === undefined) {
      value = read();
      values.set(what, value);
      // What failed for a passing reason is read again.
      value.catch((error) => isKind(error, 'corrupt', 'unsupported') || values.delete(what));
    }
    return value;
  }

  const endOf = (segments: readonly TieredSegment[], segment: TieredSegment, signal: AbortSignal): Promise<KnownEnd> =>
    knownEnd(segment, segments.find((other) => other.baseOffset > segment.baseOffset)?.baseOffset, () =>
      remember(segment, 'end', () => segmentEnd(store, segment, signal)),
    );

  const indexOf = (segment: TieredSegment, signal: AbortSignal) =>
    remember(segment, 'index', async (): Promise<OffsetIndexEntry[]> => {
      const key = segment.files.index;
      if (key === undefined) return [];
      try {
        return decodeOffsetIndex(await store.get(key, undefined, signal), segment.baseOffset, {
          segment: key,
          startByte: 0,
        });
      } catch (error) {
        if (isKind(error, 'not-found', 'corrupt')) return [];
        throw error;
      }
    });

  const abortedOf = (segment: TieredSegment, signal: AbortSignal) =>
    remember(segment, 'aborted', async (): Promise<TransactionIndexEntry[]> => {
      const key = segment.files.txnindex;
      return key === undefined
        ? []
        : decodeTransactionIndex(await store.get(key, undefined, signal), { segment: key, startByte: 0 });
    });

  /** The first offset of the oldest transaction that is open where the segment ends; Infinity without one. */
  const oldestOpen = (segment: TieredSegment, signal: AbortSignal) =>
    remember(segment, 'open', async (): Promise<number> => {
      const key = segment.files.snapshot;
      if (key === undefined) return Number.POSITIVE_INFINITY;
      const producers = decodeProducerSnapshot(await store.get(key, undefined, signal), { segment: key, startByte: 0 });
      const open = producers.map((producer) => producer.currentTransactionFirstOffset).filter((offset) => offset >= 0);
      return Math.min(Number.POSITIVE_INFINITY, ...open);
    });

  /** Transactions that are open at the end of what is there hold the plan back: their outcome is not known yet. */
  async function stableOffset(
    segments: readonly TieredSegment[],
    reached: Span,
    spanCount: number,
    signal: AbortSignal,
  ): Promise<number> {
    // A look that ended early knows of later segments, and they of the outcome of what was open here.
    const later = spanCount < SPANS_A_LOOK ? undefined : segments.findLast((segment) => segment.files.snapshot);
    return Math.min(await oldestOpen(later ?? reached.segment, signal), reached.endOffset);
  }

  async function cut(spans: readonly LimitedSpan[], pointBytes: number, signal: AbortSignal) {
    const pieces = [];
    for (const span of spans) {
      const whole = span.startOffset === span.segment.baseOffset && span.endByte === span.segment.sizeBytes;
      const points =
        span.segment.sizeBytes < pointBytes
          ? []
          : await remember(span.segment, `points ${pointBytes}`, () =>
              splitPoints(store, span.segment, pointBytes, signal),
            );
      const index = whole && span.cutAtEnd !== true ? [] : await indexOf(span.segment, signal);
      pieces.push(...cutSpan(span, { points, index }));
    }
    return pieces;
  }

  /**
   * Objects whose transaction index names transactions aborted in the draft. An abort stands in the segment of its
   * marker, so later segments are asked too, until one has an entry whose last stable offset passes the draft's end.
   */
  async function abortKeys(
    draft: Pick<Draft, 'startOffset' | 'endOffset'>,
    segments: readonly TieredSegment[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const keys: string[] = [];
    const first = Math.max(
      segments.findLastIndex((segment) => segment.baseOffset <= draft.startOffset),
      0,
    );
    for (const segment of segments.slice(first)) {
      const entries = await abortedOf(segment, signal);
      if (abortedWithin(entries, draft.startOffset, draft.endOffset).length > 0) keys.push(segment.files.txnindex!);
      if (segment.baseOffset >= draft.endOffset && entries.some((entry) => entry.lastStableOffset >= draft.endOffset))
        break;
    }
    return keys;
  }

  return {
    async plan(segments, from, pending, options) {
      const { signal } = options;
      const chain: Chain = await chainSegments(segments, from, {
        ...options,
        maxSpans: pending >= options.pendingSplits ? 0 : SPANS_A_LOOK,
        endOf: (segment) => endOf(segments, segment, signal),
      });
      const newest = segments.at(-1)!;
      const reached = chain.spans.at(-1);
      const sourceEndOffset = Math.max((await endOf(segments, newest, signal)).endOffset, reached?.endOffset ?? from);
      const stable = reached === undefined ? from : await stableOffset(segments, reached, chain.spans.length, signal);
      const spans = limitSpans(chain.spans, stable);
      const drafts = draftSplits(await cut(spans, options.pointBytes, signal), from, options.splitBytes);
      const chosen = choosePlanned(drafts, options.splitBytes, pending, options.pendingSplits - pending);
      const splits = [];
      for (const draft of chosen) splits.push(toPlanned(draft, await abortKeys(draft, segments, signal)));
      const end = chosen.at(-1)?.endOffset ?? from;
      return {
        splits,
        sourceEndOffset,
        gaps: chain.gaps.filter((gap) => gap.start < end),
        // The damage counts once everything before it has been planned.
        ...(chain.broken !== undefined && end === reached?.endOffset ? { broken: chain.broken } : {}),
        ...(chain.broken !== undefined && reached === undefined ? { broken: chain.broken } : {}),
      };
    },
    async places(segments, start, end, options) {
      const { signal } = options;
      const chain = await chainSegments(segments, start, {
        ...options,
        passBroken: true,
        settleMs: 0,
        maxSpans: SPANS_A_LOOK,
        endOf: (segment) => endOf(segments, segment, signal),
      });
      const pieces = await cut(limitSpans(chain.spans, end), Number.POSITIVE_INFINITY, signal);
      if (pieces.length === 0) return undefined;
      const draft = { startOffset: start, endOffset: end, bytes: 0, pieces };
      return toPlanned(draft, await abortKeys(draft, segments, signal));
    },
    keepOnly(segments) {
      const keys = new Set(segments.map((segment) => segment.key));
      for (const key of remembered.keys()) if (!keys.has(key)) remembered.delete(key);
    },
  };
}

type LimitedSpan = Span & { cutAtEnd?: boolean };

/** The spans up to an offset; the last is marked when it ends before its segment does. */
function limitSpans(spans: readonly Span[], endOffset: number): LimitedSpan[] {
  return spans
    .filter((span) => span.startOffset < endOffset)
    .map((span) => (span.endOffset <= endOffset ? span : { ...span, endOffset, cutAtEnd: true }));
}
