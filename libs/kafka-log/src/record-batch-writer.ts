import { MillraceError } from '@millrace/base';
import { crc32c } from '@node-rs/crc32';
import { createArena, reserve } from './arena.ts';
import { compress } from './compression.ts';
import { writeInt16, writeInt32, writeInt64 } from './integers.ts';
import { BATCH_HEADER_BYTES, COMPRESSION_CODECS, type CompressionCodec } from './record-batch.ts';
import { writeVarint } from './varint.ts';

export interface NewRecord {
  timestampMs: number;
  key?: Uint8Array | null;
  value: Uint8Array | null;
  headers?: readonly { key: string; value: Uint8Array | null }[];
  /** Offset from the batch's base; default: one more than the record before. Gaps are what compaction leaves. */
  offsetDelta?: number;
}

export interface NewRecordBatch {
  baseOffset: number;
  records: readonly NewRecord[];
  codec?: CompressionCodec;
  leaderEpoch?: number;
  /** -1 (default): not idempotent. */
  producerId?: number;
  producerEpoch?: number;
  baseSequence?: number;
  transactional?: boolean;
  control?: boolean;
  /** Set: the batch has log append time, and this is it. */
  appendTimeMs?: number;
  /** Inclusive; default: the last record's offset. */
  lastOffset?: number;
}

/** One record batch of magic 2, with its CRC and compressed as Kafka's Java client does it (grammar: record-batch.ts). */
export function encodeRecordBatch(batch: NewRecordBatch): Uint8Array<ArrayBuffer> {
  const { baseOffset, records, codec = 'none' } = batch;
  const baseTimestamp = records[0]?.timestampMs ?? -1;
  const body = createArena(64 << 10);
  let maxTimestamp = baseTimestamp;
  let offsetDelta = -1;
  for (const record of records) {
    const delta = record.offsetDelta ?? offsetDelta + 1;
    if (delta <= offsetDelta) {
      throw new MillraceError('invalid', `record offsets must ascend: delta ${delta} follows ${offsetDelta}`);
    }
    offsetDelta = delta;
    maxTimestamp = Math.max(maxTimestamp, record.timestampMs);
    appendRecord(body, record, record.timestampMs - baseTimestamp, offsetDelta);
  }
  const data = compress(codec, body.bytes.subarray(0, body.length));
  const out = new Uint8Array(BATCH_HEADER_BYTES + data.length);
  const lastOffset = batch.lastOffset ?? baseOffset + Math.max(offsetDelta, 0);
  writeInt64(out, 0, baseOffset);
  writeInt32(out, 8, out.length - 12);
  writeInt32(out, 12, batch.leaderEpoch ?? 0);
  out[16] = 2;
  const attributes =
    COMPRESSION_CODECS.indexOf(codec) |
    (batch.appendTimeMs === undefined ? 0 : 8) |
    (batch.transactional ? 16 : 0) |
    (batch.control ? 32 : 0);
  writeInt16(out, 21, attributes);
  writeInt32(out, 23, lastOffset - baseOffset);
  writeInt64(out, 27, baseTimestamp);
  writeInt64(out, 35, batch.appendTimeMs ?? maxTimestamp);
  writeInt64(out, 43, batch.producerId ?? -1);
  writeInt16(out, 51, batch.producerEpoch ?? -1);
  writeInt32(out, 53, batch.baseSequence ?? -1);
  writeInt32(out, 57, records.length);
  out.set(data, BATCH_HEADER_BYTES);
  writeInt32(out, 17, crc32c(out.subarray(21)));
  return out;
}

/**
 * The control batch that ends a transaction: one record, key i16 version 0 | i16 type (0 abort, 1 commit), value i16
 * version 0 | i32 coordinator epoch (Kafka documentation, "Control Batches").
 */
export function encodeTransactionMarker(marker: {
  baseOffset: number;
  timestampMs: number;
  producerId: number;
  producerEpoch?: number;
  type: 'abort' | 'commit';
}): Uint8Array<ArrayBuffer> {
  const { type, timestampMs, ...batch } = marker;
  const key = new Uint8Array([0, 0, 0, type === 'commit' ? 1 : 0]);
  const records = [{ timestampMs, key, value: new Uint8Array(6) }];
  return encodeRecordBatch({ producerEpoch: 0, ...batch, records, transactional: true, control: true });
}

const utf8 = new TextEncoder();

function appendRecord(body: ReturnType<typeof createArena>, record: NewRecord, time: number, delta: number): void {
  const headers = (record.headers ?? []).map((header) => ({ key: utf8.encode(header.key), value: header.value }));
  const key = record.key ?? null;
  const fields =
    1 +
    10 +
    5 +
    fieldBytes(key) +
    fieldBytes(record.value) +
    5 +
    headers.reduce((sum, h) => sum + fieldBytes(h.key) + fieldBytes(h.value), 0);
  // Written 5 bytes on, then moved to where the length's own size says: the length is known only afterwards.
  reserve(body, 5 + fields);
  const bytes = body.bytes;
  const start = body.length + 5;
  let at = start;
  bytes[at++] = 0;
  at = writeVarint(bytes, at, time);
  at = writeVarint(bytes, at, delta);
  at = writeField(bytes, at, key);
  at = writeField(bytes, at, record.value);
  at = writeVarint(bytes, at, headers.length);
  for (const header of headers) at = writeField(bytes, writeField(bytes, at, header.key), header.value);
  const length = at - start;
  const first = writeVarint(bytes, body.length, length);
  bytes.copyWithin(first, start, at);
  body.length = first + length;
}

const fieldBytes = (field: Uint8Array | null): number => 5 + (field?.length ?? 0);

function writeField(bytes: Uint8Array, at: number, field: Uint8Array | null): number {
  if (field === null) return writeVarint(bytes, at, -1);
  at = writeVarint(bytes, at, field.length);
  bytes.set(field, at);
  return at + field.length;
}
