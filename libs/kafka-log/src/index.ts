export * from './leader-epoch-checkpoint.ts';
export type { LogStore } from './log-store.ts';
export * from './offset-index.ts';
export { type LogErrorCode, type LogPlace, logError } from './place.ts';
export * from './producer-snapshot.ts';
export {
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  type BatchHeader,
  batchSizeAt,
  COMPRESSION_CODECS,
  type CompressionCodec,
  checkBatchCrc,
  DEFAULT_MAX_BATCH_BYTES,
  readBatchHeader,
} from './record-batch.ts';
export * from './record-batch-writer.ts';
export * from './record-index.ts';
export * from './segment-bounds.ts';
export * from './segment-builder.ts';
export * from './segment-scan.ts';
export * from './tiered-layout.ts';
export * from './tiered-segments.ts';
export * from './transaction-index.ts';
