import { encodeLeaderEpochCheckpoint, type LeaderEpochEntry } from './leader-epoch-checkpoint.ts';
import { encodeOffsetIndex, encodeTimeIndex, type OffsetIndexEntry, type TimeIndexEntry } from './offset-index.ts';
import { encodeProducerSnapshot } from './producer-snapshot.ts';
import { readBatchHeader } from './record-batch.ts';
import type { SegmentSuffix } from './tiered-layout.ts';
import { encodeTransactionIndex, type TransactionIndexEntry } from './transaction-index.ts';

export interface SegmentBuilder {
  readonly sizeBytes: number;
  /** A record batch (encodeRecordBatch); offsets must ascend. */
  append(batch: Uint8Array): void;
  /** The segment's files by suffix; `txnindex` only when there were aborts. */
  finish(aborted?: readonly TransactionIndexEntry[]): Partial<Record<SegmentSuffix, Uint8Array>> & { log: Uint8Array };
}

/** Builds a segment as a broker does: an entry of both indexes every `indexIntervalBytes` (Kafka's index.interval.bytes, 4096). */
export function createSegmentBuilder(options: {
  baseOffset: number;
  /** Epochs that began before this segment. */
  leaderEpochs?: readonly LeaderEpochEntry[];
  indexIntervalBytes?: number;
}): SegmentBuilder {
  const { baseOffset, indexIntervalBytes = 4096 } = options;
  const parts: Uint8Array[] = [];
  const offsets: OffsetIndexEntry[] = [];
  const times: TimeIndexEntry[] = [];
  const epochs = [...(options.leaderEpochs ?? [])];
  let sizeBytes = 0;
  let sinceEntry = 0;
  let newest: TimeIndexEntry = { timestampMs: -1, offset: baseOffset };
  const addTime = () => {
    if (newest.timestampMs > (times.at(-1)?.timestampMs ?? -1)) times.push(newest);
  };
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    append(batch) {
      const header = readBatchHeader(batch, 0, { segment: 'the new batch', startByte: 0 });
      if (header.maxTimestampMs > newest.timestampMs) {
        newest = { timestampMs: header.maxTimestampMs, offset: header.lastOffset };
      }
      if (header.leaderEpoch > (epochs.at(-1)?.epoch ?? -1)) {
        epochs.push({ epoch: header.leaderEpoch, startOffset: header.baseOffset });
      }
      if (sinceEntry > indexIntervalBytes) {
        offsets.push({ offset: header.lastOffset, position: sizeBytes });
        addTime();
        sinceEntry = 0;
      }
      parts.push(batch);
      sizeBytes += batch.length;
      sinceEntry += batch.length;
    },
    finish(aborted = []) {
      addTime();
      return {
        log: Buffer.concat(parts),
        index: encodeOffsetIndex(offsets, baseOffset),
        timeindex: encodeTimeIndex(times, baseOffset),
        snapshot: encodeProducerSnapshot([]),
        leader_epoch_checkpoint: encodeLeaderEpochCheckpoint(epochs),
        ...(aborted.length === 0 ? {} : { txnindex: encodeTransactionIndex(aborted) }),
      };
    },
  };
}
