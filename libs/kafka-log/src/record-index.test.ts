import { MillraceError } from '@millrace/base';
import { crc32c } from '@node-rs/crc32';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { writeInt32 } from './integers.ts';
import { BATCH_HEADER_BYTES, COMPRESSION_CODECS } from './record-batch.ts';
import { encodeRecordBatch, encodeTransactionMarker, type NewRecord } from './record-batch-writer.ts';
import { createRecordIndex, type RecordFilter, type RecordIndex, readHeaders } from './record-index.ts';

const PLACE = { segment: 'orders-0/0.log', startByte: 1000 };
const utf8 = (text: string) => new TextEncoder().encode(text);

/** mulberry32 */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

function someRecords(count: number, next = random(7)): NewRecord[] {
  const text = (max: number) => utf8('order line '.repeat(Math.floor(next() * max)) + String(Math.floor(next() * 1e6)));
  return Array.from({ length: count }, (_, i) => ({
    timestampMs: 1_700_000_000_000 + Math.floor((next() - 0.5) * 1e9),
    key: i % 5 === 0 ? null : i % 7 === 0 ? new Uint8Array(0) : text(3),
    value: i % 11 === 0 ? null : i % 13 === 0 ? new Uint8Array(0) : text(40),
    headers:
      i % 3 === 0
        ? [
            { key: 'h', value: null },
            { key: 'h', value: text(2) },
            { key: '', value: new Uint8Array(0) },
          ]
        : [],
  }));
}

const slice = (index: RecordIndex, start: number, length: number) =>
  length < 0 ? null : index.bytes.slice(start, start + length);

const rows = (index: RecordIndex) =>
  Array.from({ length: index.count }, (_, i) => ({
    offset: index.offsets[i],
    timestampMs: index.timestampsMs[i],
    key: slice(index, index.keyStarts[i]!, index.keyLengths[i]!),
    value: slice(index, index.valueStarts[i]!, index.valueLengths[i]!),
    headers: readHeaders(index, i).map((h) => ({ key: h.key, value: h.value === null ? null : h.value.slice() })),
  }));

const expected = (records: NewRecord[], baseOffset: number) =>
  records.map((r, i) => ({
    offset: baseOffset + (r.offsetDelta ?? i),
    timestampMs: r.timestampMs,
    key: r.key ?? null,
    value: r.value,
    headers: [...(r.headers ?? [])],
  }));

const withFilter = (filter: Partial<RecordFilter>) =>
  createRecordIndex({ filter: { startOffset: 0, endOffset: 1e15, aborted: [], ...filter } });

function caught(action: () => unknown): MillraceError {
  try {
    action();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test.each(COMPRESSION_CODECS)('%s: what was written is read, several batches in one index', (codec) => {
  const index = createRecordIndex();
  const first = someRecords(2000);
  const second = someRecords(3, random(8));
  index.add(encodeRecordBatch({ baseOffset: 5_000_000_000, records: first, codec }), 0, PLACE);
  index.add(encodeRecordBatch({ baseOffset: 5_000_003_000, records: second, codec, leaderEpoch: 4 }), 0, PLACE);
  expect(rows(index)).toEqual([...expected(first, 5_000_000_000), ...expected(second, 5_000_003_000)]);
  expect(index.batches.map((b) => b.leaderEpoch)).toEqual([0, 4]);
  expect([index.batchNumbers[1999], index.batchNumbers[2000]]).toEqual([0, 1]);
  index.clear();
  expect(index.count).toBe(0);
});

test('data that no codec makes smaller, and data that all make much smaller', () => {
  const next = random(3);
  const noise = Uint8Array.from({ length: 20_000 }, () => next() * 256);
  const records = [noise, new Uint8Array(60_000)].map((value) => ({ timestampMs: 1, value }));
  for (const codec of COMPRESSION_CODECS) {
    const index = createRecordIndex();
    index.add(encodeRecordBatch({ baseOffset: 0, records, codec }), 0, PLACE);
    expect(rows(index), codec).toEqual(expected(records, 0));
  }
});

test('snappy as one raw block, as clients that are not Java write it', () => {
  const records = someRecords(50);
  const plain = encodeRecordBatch({ baseOffset: 0, records });
  const body = compressSync(plain.subarray(BATCH_HEADER_BYTES));
  const batch = new Uint8Array(BATCH_HEADER_BYTES + body.length);
  batch.set(plain.subarray(0, BATCH_HEADER_BYTES));
  batch.set(body, BATCH_HEADER_BYTES);
  batch[22] = 2;
  writeInt32(batch, 8, batch.length - 12);
  writeInt32(batch, 17, crc32c(batch.subarray(21)));
  const index = createRecordIndex();
  index.add(batch, 0, PLACE);
  expect(rows(index)).toEqual(expected(records, 0));
});

test('offsets outside the range, control batches and aborted transactions are left out', () => {
  const records = someRecords(10);
  const index = withFilter({
    startOffset: 3,
    endOffset: 25,
    aborted: [{ producerId: 7, firstOffset: 10, lastOffset: 20 }],
  });
  const transactional = { transactional: true, producerEpoch: 0, baseSequence: 0 };
  index.add(encodeRecordBatch({ baseOffset: 0, records }), 0, PLACE);
  index.add(
    encodeRecordBatch({ baseOffset: 10, records: records.slice(0, 5), producerId: 7, ...transactional }),
    0,
    PLACE,
  );
  index.add(
    encodeRecordBatch({ baseOffset: 15, records: records.slice(0, 5), producerId: 8, ...transactional }),
    0,
    PLACE,
  );
  index.add(encodeTransactionMarker({ baseOffset: 20, timestampMs: 5, producerId: 7, type: 'abort' }), 0, PLACE);
  index.add(encodeRecordBatch({ baseOffset: 21, records, producerId: 7, ...transactional }), 0, PLACE);
  expect([...index.offsets.subarray(0, index.count)]).toEqual([
    3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 21, 22, 23, 24,
  ]);
});

test('log append time counts for every record; offsets that compaction removed are missing', () => {
  const records = someRecords(3).map((r, i) => ({ ...r, offsetDelta: i * 4 + 1 }));
  const index = createRecordIndex();
  const batch = encodeRecordBatch({ baseOffset: 100, records, appendTimeMs: 42, lastOffset: 120 });
  expect(index.add(batch, 0, PLACE).lastOffset).toBe(120);
  expect([...index.offsets.subarray(0, 3)]).toEqual([101, 105, 109]);
  expect([...index.timestampsMs.subarray(0, 3)]).toEqual([42, 42, 42]);
});

test('each broken batch has its code, segment, byte and offset, and leaves the index as it was', () => {
  const good = encodeRecordBatch({ baseOffset: 9, records: someRecords(5), codec: 'zstd' });
  const patched = (change: (bytes: Uint8Array) => void, fixCrc = false) => {
    const bytes = good.slice();
    change(bytes);
    if (fixCrc) writeInt32(bytes, 17, crc32c(bytes.subarray(21)));
    return bytes;
  };
  const cases: [string, Uint8Array][] = [
    ['batch-crc-mismatch', patched((b) => (b[80]! ^= 1))],
    ['batch-truncated', good.subarray(0, good.length - 1)],
    ['batch-truncated', good.subarray(0, 30)],
    ['batch-magic-unsupported', patched((b) => (b[16] = 1))],
    ['batch-magic-unsupported', patched((b) => (b[16] = 9))],
    ['batch-header-invalid', patched((b) => (b[8] = 0x7f))],
    ['batch-undecompressable', patched((b) => (b[BATCH_HEADER_BYTES] = 0), true)],
    ['batch-undecompressable', patched((b) => (b[22] = 3), true)],
    ['record-malformed', patched((b) => (b[60] = 4), true)],
  ];
  for (const [code, bytes] of cases) {
    const index = createRecordIndex();
    index.add(good, 0, PLACE);
    const before = rows(index);
    const error = caught(() => index.add(new Uint8Array([...good, ...bytes]), good.length, PLACE));
    expect(error.code).toBe(code);
    expect(error.context).toMatchObject({ segment: PLACE.segment, byte: String(1000 + good.length) });
    expect(error.retryable).toBe(false);
    expect(rows(index)).toEqual(before);
  }
});

test('a batch that would decompress to more than allowed is refused', () => {
  for (const codec of COMPRESSION_CODECS) {
    const batch = encodeRecordBatch({
      baseOffset: 0,
      records: [{ timestampMs: 1, value: new Uint8Array(3 << 20) }],
      codec,
    });
    const index = createRecordIndex({ maxBatchBytes: 1 << 20 });
    const code = codec === 'none' ? 'batch-header-invalid' : 'batch-undecompressable';
    expect(caught(() => index.add(batch, 0, PLACE)).code, codec).toBe(code);
    expect(index.bytes.length).toBeLessThan(8 << 20);
  }
});

test('one giant batch does not keep its memory for ever', () => {
  const index = createRecordIndex();
  const batch = (sizeBytes: number) =>
    encodeRecordBatch({
      baseOffset: 0,
      records: [{ timestampMs: 1, value: new Uint8Array(sizeBytes) }],
      codec: 'zstd',
    });
  index.add(batch(40 << 20), 0, PLACE);
  index.clear();
  expect(index.bytes.length).toBeGreaterThan(40 << 20);
  const small = batch(1 << 20);
  index.add(small, 0, PLACE);
  index.clear();
  expect(index.bytes.length).toBe(8 << 20);
  const { bytes } = index;
  for (let i = 0; i < 6; i++) index.add(small, 0, PLACE);
  index.clear();
  expect(index.bytes).toBe(bytes);
});
