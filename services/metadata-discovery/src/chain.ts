import { type MillraceError, toMillraceError } from '@millrace/base';
import type { TieredSegment } from '@millrace/kafka-log';

/** Offsets [startOffset, endOffset) that are read from one segment. */
export interface Span {
  segment: TieredSegment;
  startOffset: number;
  endOffset: number;
  /** Where to start, when that is known. */
  startByte?: number;
  /** Where the segment's whole batches end. */
  endByte: number;
}

/** Where a segment ends. `broken`: its tail is cut off there. */
export interface KnownEnd {
  /** Exclusive. */
  endOffset: number;
  endByte: number;
  broken?: MillraceError;
}

export interface Chain {
  spans: Span[];
  /** Offsets [start, end) that no segment has. */
  gaps: { start: number; end: number }[];
  /** Why the chain ends before the log does, though waiting will not help. */
  broken?: MillraceError;
}

export interface ChainOptions {
  nowMs: number;
  settleMs: number;
  /** Spans that are enough. */
  maxSpans: number;
  /** After a broken tail: go on with the next segment (policies skip and log) instead of ending there. */
  passBroken: boolean;
  endOf(segment: TieredSegment): Promise<KnownEnd>;
}

/** How many copies before the one with the nearest start are asked whether they reach further. */
const COPIES_LOOKED_AT = 16;

/**
 * The segments that cover a partition from `from` on, chosen by start offset: the copy with the nearest start at or below
 * the cursor that reaches beyond it, the newer of two with one start. Copies may overlap (a leader was replaced); spans
 * never do. What seems incomplete is waited for until it has not changed for `settleMs`: a copy without its leader epoch
 * checkpoint or its producer snapshot (Kafka writes these last, in this order; the snapshot says which transactions are
 * open at its end), a cut-off tail, and a gap.
 */
export async function chainSegments(
  segments: readonly TieredSegment[],
  from: number,
  options: ChainOptions,
): Promise<Chain> {
  const chain: Chain = { spans: [], gaps: [] };
  let cursor = from;
  while (chain.spans.length < options.maxSpans) {
    const found = await segmentAt(segments, cursor, options);
    if (found === 'wait') return chain;
    if (found !== undefined) {
      chain.spans.push({ segment: found.segment, startOffset: cursor, ...found.end });
      cursor = found.end.endOffset;
      if (found.end.broken === undefined) continue;
      if (!options.passBroken) return { ...chain, broken: found.end.broken };
      continue;
    }
    const brokenHere = await brokenAt(segments, cursor, options);
    if (brokenHere !== undefined && !options.passBroken) return { ...chain, broken: brokenHere.broken };
    const next = segments.find((segment) => segment.baseOffset > cursor);
    if (next === undefined || !settled(next, options)) return chain;
    if (brokenHere !== undefined) {
      // Whoever reads the rest of the segment finds the damage, and the table's policy counts what is lost.
      const { segment, endByte: startByte } = brokenHere;
      const endByte = Math.max(segment.sizeBytes, startByte);
      chain.spans.push({ segment, startOffset: cursor, endOffset: next.baseOffset, startByte, endByte });
    } else chain.gaps.push({ start: cursor, end: next.baseOffset });
    cursor = next.baseOffset;
  }
  return chain;
}

async function segmentAt(
  segments: readonly TieredSegment[],
  cursor: number,
  options: ChainOptions,
): Promise<{ segment: TieredSegment; end: KnownEnd } | 'wait' | undefined> {
  let answer: 'wait' | undefined;
  for (const segment of copiesAt(segments, cursor)) {
    if (!isWhole(segment) && !settled(segment, options)) {
      answer = 'wait';
      continue;
    }
    const end = await options.endOf(segment);
    if (end.broken !== undefined && !settled(segment, options)) answer = 'wait';
    else if (end.endOffset > cursor) return { segment, end };
  }
  return answer;
}

/** A broken segment whose whole batches end at the cursor: what comes next is lost. */
async function brokenAt(
  segments: readonly TieredSegment[],
  cursor: number,
  options: ChainOptions,
): Promise<{ segment: TieredSegment; endByte: number; broken: MillraceError } | undefined> {
  for (const segment of copiesAt(segments, cursor)) {
    const { broken, endOffset, endByte } = await options.endOf(segment);
    if (broken !== undefined && endOffset === cursor) return { segment, endByte, broken };
  }
  return undefined;
}

function copiesAt(segments: readonly TieredSegment[], cursor: number): TieredSegment[] {
  const after = segments.findIndex((segment) => segment.baseOffset > cursor);
  const end = after < 0 ? segments.length : after;
  return segments.slice(Math.max(end - COPIES_LOOKED_AT, 0), end).reverse();
}

/** Whether every file that Kafka always writes is there. */
export const isWhole = ({ files }: TieredSegment): boolean =>
  files.leader_epoch_checkpoint !== undefined && files.snapshot !== undefined;

const settled = (segment: TieredSegment, options: ChainOptions): boolean =>
  options.nowMs - segment.modifiedMs >= options.settleMs;

/**
 * Turns the outcome of reading a segment's end into what the chain works with. A tail that is cut off ends the segment
 * there. Other damage is for the converter to find and report, batch by batch, as long as the next segment (at
 * `nextBase`) says where this one ends.
 */
export async function knownEnd(
  segment: TieredSegment,
  nextBase: number | undefined,
  read: () => Promise<{ lastOffset: number; endByte: number }>,
): Promise<KnownEnd> {
  try {
    const { lastOffset, endByte } = await read();
    return { endOffset: lastOffset + 1, endByte };
  } catch (thrown) {
    const broken = toMillraceError(thrown);
    if (broken.kind !== 'corrupt' && broken.kind !== 'unsupported') throw broken;
    const { nextOffset, byte } = broken.context;
    if (nextOffset !== undefined) return { endOffset: Number(nextOffset), endByte: Number(byte), broken };
    if (nextBase !== undefined) return { endOffset: nextBase, endByte: segment.sizeBytes };
    return { endOffset: segment.baseOffset, endByte: 0, broken };
  }
}
