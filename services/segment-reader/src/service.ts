import { MillraceError } from '@millrace/base';
import { createReadAhead, type ObjectStore } from '@millrace/object-store';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { implement } from '@millrace/rpc';
import { count, createLogger, observe } from '@millrace/telemetry';
import type { SegmentReaderConfig } from './config.ts';
import { readSplit } from './split-read.ts';

/** proto ↔ reads; at most `maxConcurrentReads` at a time, so that memory is bounded. */
export function segmentReaderService(config: SegmentReaderConfig, store: ObjectStore) {
  const logger = createLogger('segment-reader');
  const { chunkBytes, aheadBytes } = config;
  // Messages wait in the stream with the bytes where they were read: no memory is used twice.
  const readAhead = createReadAhead(store, { chunkBytes, aheadBytes, reuse: false });
  let running = 0;
  observe(['millrace.read.active'], (report) => report('millrace.read.active', running));
  return implement(SegmentReaderService, {
    async *readSplit(request, call) {
      const { split } = request;
      if (split === undefined) throw new MillraceError('invalid', 'ReadSplit: the split is missing');
      if (running >= config.maxConcurrentReads) {
        throw new MillraceError('exhausted', `${running} reads are under way (maxConcurrentReads): try again`, {
          code: 'too-many-reads',
        });
      }
      running++;
      try {
        const messages = readSplit(split, {
          store,
          readAhead,
          storeId: config.logStoreId,
          chunkBytes,
          messageBytes: config.messageBytes,
          maxBatchBytes: config.maxBatchBytes,
          readableStores: request.readableStores,
          skipCorruptBatches: request.skipCorruptBatches,
          signal: call.signal,
        });
        let bytes = 0;
        for await (const message of messages) {
          if (message.message?.case === 'batches') bytes += message.message.value.data?.length ?? 0;
          yield message;
        }
        const { splitId, topic, partition } = split;
        count('millrace.read.size', bytes, { 'millrace.topic': topic });
        logger.debug({ splitId, topic, partition, bytes, ranges: split.ranges.length }, 'split read');
      } catch (error) {
        const context = { topic: split.topic, partition: split.partition, split: split.splitId };
        throw error instanceof MillraceError ? error.with(context) : error;
      } finally {
        running--;
      }
    },
  });
}
