import { crc32c } from '@node-rs/crc32';
import { readInt16, readInt32, readInt64 } from './integers.ts';
import { type LogPlace, logError } from './place.ts';

// Record batch, magic 2 (Kafka documentation, "Record Batch"); integers are big endian:
//
//   0 baseOffset i64 | 8 batchLength i32 (bytes after this field) | 12 partitionLeaderEpoch i32 | 16 magic i8
//   17 crc u32 (CRC32C of everything from 21 on) | 21 attributes i16 | 23 lastOffsetDelta i32 | 27 baseTimestamp i64
//   35 maxTimestamp i64 | 43 producerId i64 | 51 producerEpoch i16 | 53 baseSequence i32 | 57 count i32 | 61 records
//
// attributes: bits 0-2 codec, 3 timestamp type (1 = log append time), 4 transactional, 5 control, 6 delete horizon.

export const BATCH_HEADER_BYTES = 61;
/** Of a batch's first bytes: what tells its size and its magic. */
export const BATCH_PREFIX_BYTES = 17;
export const DEFAULT_MAX_BATCH_BYTES = 256 << 20;

/** Codecs by their number in the attributes. */
export const COMPRESSION_CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type CompressionCodec = (typeof COMPRESSION_CODECS)[number];

export interface BatchHeader {
  baseOffset: number;
  /** Inclusive. Compaction may have removed the record that had it. */
  lastOffset: number;
  /** Of the whole batch, header included. */
  sizeBytes: number;
  leaderEpoch: number;
  crc: number;
  codec: CompressionCodec;
  timestampType: 'create-time' | 'log-append-time';
  transactional: boolean;
  control: boolean;
  /** Milliseconds; -1 = none. */
  baseTimestampMs: number;
  maxTimestampMs: number;
  /** -1 = none. */
  producerId: number;
  producerEpoch: number;
  baseSequence: number;
  recordCount: number;
}

/**
 * Reads the header of the batch at `position`; its body need not be there. Nothing after the header is looked at, and
 * the CRC is not checked (checkBatchCrc). Errors: batch-truncated when fewer than 61 bytes are there, batch-magic-unsupported,
 * batch-header-invalid.
 */
export function readBatchHeader(
  bytes: Uint8Array,
  position: number,
  place: LogPlace,
  maxBatchBytes = DEFAULT_MAX_BATCH_BYTES,
): BatchHeader {
  const available = bytes.length - position;
  if (available < BATCH_PREFIX_BYTES) {
    throw logError('batch-truncated', `a record batch's header is cut off after ${available} bytes`, place, position);
  }
  const baseOffset = readInt64(bytes, position);
  const magic = (bytes[position + 16]! << 24) >> 24;
  const context = { offset: baseOffset };
  if (magic === 0 || magic === 1) {
    throw logError(
      'batch-magic-unsupported',
      `a message set of magic ${magic} (written before Kafka 0.11): only record batches of magic 2 are read; have the topic rewritten by a newer broker`,
      place,
      position,
      context,
    );
  }
  if (magic !== 2) {
    throw logError(
      'batch-magic-unsupported',
      `no record batch: its magic is ${magic}, not 2`,
      place,
      position,
      context,
    );
  }
  if (available < BATCH_HEADER_BYTES) {
    throw logError(
      'batch-truncated',
      `a record batch's header is cut off after ${available} bytes`,
      place,
      position,
      context,
    );
  }
  const sizeBytes = readInt32(bytes, position + 8) + 12;
  const attributes = readInt16(bytes, position + 21);
  const lastOffsetDelta = readInt32(bytes, position + 23);
  const recordCount = readInt32(bytes, position + 57);
  const codec = COMPRESSION_CODECS[attributes & 7];
  const wrong =
    sizeBytes < BATCH_HEADER_BYTES || sizeBytes > maxBatchBytes
      ? `its length is ${sizeBytes} (legal: ${BATCH_HEADER_BYTES} to ${maxBatchBytes}, the configured most)`
      : !Number.isSafeInteger(baseOffset) || baseOffset < 0
        ? `its base offset is ${baseOffset}`
        : lastOffsetDelta < 0
          ? `its last offset delta is ${lastOffsetDelta}`
          : recordCount < 0 || recordCount > lastOffsetDelta + 1
            ? `it counts ${recordCount} records in ${lastOffsetDelta + 1} offsets`
            : codec === undefined
              ? `its compression codec is ${attributes & 7}`
              : undefined;
  if (wrong !== undefined) {
    throw logError('batch-header-invalid', `a record batch's header is broken: ${wrong}`, place, position, context);
  }
  return {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    sizeBytes,
    leaderEpoch: readInt32(bytes, position + 12),
    crc: readInt32(bytes, position + 17) >>> 0,
    codec: codec!,
    timestampType: (attributes & 8) === 0 ? 'create-time' : 'log-append-time',
    transactional: (attributes & 16) !== 0,
    control: (attributes & 32) !== 0,
    baseTimestampMs: readInt64(bytes, position + 27),
    maxTimestampMs: readInt64(bytes, position + 35),
    producerId: readInt64(bytes, position + 43),
    producerEpoch: readInt16(bytes, position + 51),
    baseSequence: readInt32(bytes, position + 53),
    recordCount,
  };
}

/** Size of the batch at `position` by its length field, header included; undefined when fewer than 12 bytes are there. */
export const batchSizeAt = (bytes: Uint8Array, position: number): number | undefined =>
  bytes.length - position < 12 ? undefined : readInt32(bytes, position + 8) + 12;

/** Checks that the whole batch is there (batch-truncated) and its CRC32C (batch-crc-mismatch). */
export function checkBatchCrc(bytes: Uint8Array, position: number, header: BatchHeader, place: LogPlace): void {
  if (position + header.sizeBytes > bytes.length) {
    throw logError(
      'batch-truncated',
      `a record batch of ${header.sizeBytes} bytes is cut off after ${bytes.length - position}`,
      place,
      position,
      { offset: header.baseOffset },
    );
  }
  const computed = crc32c(bytes.subarray(position + 21, position + header.sizeBytes));
  if (computed !== header.crc) {
    throw logError(
      'batch-crc-mismatch',
      `a record batch's CRC32C is ${hex(computed)}, its header says ${hex(header.crc)}: the bytes have changed since they were written`,
      place,
      position,
      { offset: header.baseOffset, lastOffset: header.lastOffset },
    );
  }
}

const hex = (value: number): string => '0x' + value.toString(16).padStart(8, '0');
