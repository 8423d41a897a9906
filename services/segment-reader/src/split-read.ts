import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind, MillraceError } from '@millrace/base';
import {
  type AbortedRange,
  abortedWithin,
  decodeTransactionIndex,
  type SegmentSpan,
  scanSegment,
} from '@millrace/kafka-log';
import type { ObjectStore, ReadAhead, Reading } from '@millrace/object-store';
import type { SegmentRange, Split } from '@millrace/proto/metadata_discovery';
import type { ReadSplitResponseSchema } from '@millrace/proto/segment_reader';

export type ReadMessage = MessageInitShape<typeof ReadSplitResponseSchema>;

export interface SplitRead {
  store: ObjectStore;
  readAhead: ReadAhead;
  storeId: string;
  chunkBytes: number;
  messageBytes: number;
  maxBatchBytes: number;
  readableStores: readonly string[];
  skipCorruptBatches: boolean;
  signal: AbortSignal;
}

/** The plan, then the batches of a split, unless the caller reads the store itself. */
export async function* readSplit(split: Split, read: SplitRead): AsyncGenerator<ReadMessage> {
  checkSplit(split);
  const aborted = await abortedTransactions(split, read);
  const readsItself = read.readableStores.includes(read.storeId);
  yield {
    message: {
      case: 'plan',
      value: { ranges: readsItself ? split.ranges : [], storeId: readsItself ? read.storeId : '', aborted },
    },
  };
  if (readsItself) return;
  const spans = split.ranges.map(toSpan);
  const stretches = spans.map(({ key, startByte: start, endByte: end }) => ({ key, start, end }));
  const reading = read.readAhead(stretches, read.signal);
  try {
    for (const span of spans) yield* readSpan(reading, span, read);
  } finally {
    reading.close();
  }
}

const toSpan = (range: SegmentRange): SegmentSpan => ({
  key: range.objectKey,
  startByte: Number(range.startByte),
  endByte: Number(range.endByte),
  startOffset: Number(range.startOffset),
  endOffset: Number(range.endOffset),
  segmentBaseOffset: Number(range.segmentBaseOffset),
});

async function* readSpan(reading: Reading, span: SegmentSpan, read: SplitRead): AsyncGenerator<ReadMessage> {
  const options = {
    chunkBytes: read.chunkBytes,
    runBytes: read.messageBytes,
    maxBatchBytes: read.maxBatchBytes,
    skipCorrupt: read.skipCorruptBatches,
    signal: read.signal,
  };
  for await (const piece of scanSegment(reading, span, options)) {
    const place = { objectKey: span.key, startByte: BigInt(piece.startByte) };
    if (piece.kind === 'batches') {
      yield { message: { case: 'batches', value: { ...place, data: piece.bytes } } };
      continue;
    }
    const skipped = {
      ...place,
      baseOffset: BigInt(piece.baseOffset),
      lastOffset: BigInt(piece.lastOffset),
      sizeBytes: BigInt(piece.sizeBytes),
      code: piece.error.code,
      reason: piece.error.message,
    };
    yield { message: { case: 'batches', value: { ...place, skipped: [skipped] } } };
  }
}

async function abortedTransactions(split: Split, read: SplitRead) {
  const [start, end] = [Number(split.startOffset), Number(split.endOffset)];
  // One transaction may stand in several indexes when a segment was copied twice.
  const found = new Map<string, AbortedRange>();
  for (const key of split.transactionIndexKeys) {
    const entries = decodeTransactionIndex(await readIndex(key, read), { segment: key, startByte: 0 });
    for (const entry of abortedWithin(entries, start, end))
      found.set(`${entry.producerId}/${entry.firstOffset}`, entry);
  }
  return [...found.values()].map((entry) => ({
    producerId: BigInt(entry.producerId),
    firstOffset: BigInt(entry.firstOffset),
    lastOffset: BigInt(entry.lastOffset),
  }));
}

async function readIndex(key: string, read: SplitRead): Promise<Uint8Array> {
  try {
    return await read.store.get(key, undefined, read.signal);
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
    throw new MillraceError(
      'not-found',
      `the transaction index ${key} is gone: without it aborted records can't be told from committed ones; plan the split again`,
      { code: 'transaction-index-missing', context: { key }, cause: error },
    );
  }
}

function checkSplit(split: Split): void {
  const fail = (what: string): never => {
    throw new MillraceError('invalid', `split ${split.splitId}: ${what}`, {
      code: 'split-invalid',
      context: { split: split.splitId, topic: split.topic, partition: split.partition },
    });
  };
  if (split.ranges.length === 0) fail('it has no ranges');
  for (const range of split.ranges) {
    const numbers = [range.startByte, range.endByte, range.startOffset, range.endOffset, range.segmentBaseOffset];
    if (numbers.some((n) => n < 0n || n > BigInt(Number.MAX_SAFE_INTEGER)))
      fail(`a number of ${range.objectKey} is not legal`);
    if (range.startByte >= range.endByte)
      fail(`bytes [${range.startByte}, ${range.endByte}) of ${range.objectKey} are none`);
  }
}
