import { MillraceError } from '@millrace/base';
import { crc32c } from '@node-rs/crc32';
import { expect, test } from 'vitest';
import { createArena } from './arena.ts';
import { compress, decompressInto } from './compression.ts';
import { writeInt32 } from './integers.ts';
import { decodeLeaderEpochCheckpoint, encodeLeaderEpochCheckpoint } from './leader-epoch-checkpoint.ts';
import { decodeOffsetIndex, decodeTimeIndex, encodeOffsetIndex, encodeTimeIndex } from './offset-index.ts';
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts';
import { BATCH_HEADER_BYTES, COMPRESSION_CODECS, readBatchHeader } from './record-batch.ts';
import { encodeRecordBatch } from './record-batch-writer.ts';
import { createRecordIndex, readHeaders } from './record-index.ts';
import { decodeTransactionIndex, encodeTransactionIndex } from './transaction-index.ts';

// Bytes of an enemy: each ends in an error of this package or in something that keeps its promises, in bounded memory.
// MILLRACE_FUZZ_ROUNDS makes the runs longer than the default, MILLRACE_FUZZ_SEED others.

const ROUNDS = Number(process.env['MILLRACE_FUZZ_ROUNDS'] ?? 300);
const SEED = Number(process.env['MILLRACE_FUZZ_SEED'] ?? 20_261_122);
const LONG_MS = 30_000 + ROUNDS * 200;
const MAX_BYTES = 1 << 20;
const PLACE = { segment: 's.log', startByte: 0 };

/** mulberry32: whole numbers below a bound. */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

type Random = ReturnType<typeof random>;

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff];

/** Some of: bytes changed, set to extremes or given another length, a piece repeated, the end cut off, all of it noise. */
function mutate(next: Random, good: Uint8Array): Uint8Array {
  if (next(40) === 0) return Uint8Array.from({ length: next(200) }, () => next(256));
  let bytes = good.slice();
  for (let n = 1 + next(4); n > 0 && bytes.length > 0; n--) {
    const at = next(bytes.length);
    const length = Math.min(1 + next(8), bytes.length - at);
    switch (next(6)) {
      case 0:
        bytes = bytes.slice(0, at);
        break;
      case 1:
        bytes.fill(EXTREMES[next(EXTREMES.length)]!, at, at + length);
        break;
      case 2:
        bytes.copyWithin(next(bytes.length), at, at + next(64));
        break;
      case 3:
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]));
        break;
      default:
        bytes[at] = next(2) === 0 ? next(256) : bytes[at]! ^ (1 << next(8));
    }
  }
  return bytes;
}

/** What `action` throws must be of this package. */
function attempt<T>(what: string, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    expect(error, what).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).kind, what).toMatch(/^(corrupt|unsupported)$/);
    expect((error as MillraceError).code, what).toMatch(/^(batch|record|index)-/);
    return undefined;
  }
}

function someRecords(next: Random, count: number) {
  const bytes = (most: number) =>
    next(8) === 0 ? null : Buffer.from('order line '.repeat(next(most)) + String(next(1e6)));
  return Array.from({ length: count }, (_, i) => ({
    timestampMs: 1_700_000_000_000 + next(1e9),
    key: bytes(2),
    value: bytes(30),
    headers: i % 3 === 0 ? [{ key: 'h'.repeat(next(4)), value: bytes(2) }] : [],
  }));
}

/** The length and the CRC of a batch made right again, so that what follows them meets the damage. */
function sealed(batch: Uint8Array): Uint8Array {
  if (batch.length < BATCH_HEADER_BYTES) return batch;
  writeInt32(batch, 8, batch.length - 12);
  writeInt32(batch, 17, crc32c(batch.subarray(21)));
  return batch;
}

test.each(COMPRESSION_CODECS)('%s: hostile data', { timeout: LONG_MS }, (codec) => {
  const next = random(SEED);
  const arena = createArena();
  const good = Array.from({ length: 8 }, () => {
    const noise = Uint8Array.from({ length: next(3000) }, () => next(256));
    const text = Buffer.from('order line '.repeat(next(2000)) + String(next(1e6)));
    return compress(codec, Buffer.concat([text, noise, text.subarray(next(text.length))]));
  });
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = mutate(next, good[next(good.length)]!);
    arena.length = next(100);
    const before = arena.length;
    try {
      decompressInto(codec, bytes, arena, MAX_BYTES);
      expect(arena.length - before).toBeLessThanOrEqual(MAX_BYTES);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
    expect(arena.bytes.length).toBeLessThan(8 * MAX_BYTES);
  }
});

test.each(COMPRESSION_CODECS)('%s: hostile batches', { timeout: LONG_MS }, (codec) => {
  const next = random(SEED + 1);
  const index = createRecordIndex({ maxBatchBytes: MAX_BYTES });
  for (let round = 0; round < ROUNDS; round++) {
    const good = encodeRecordBatch({ baseOffset: next(1e9), records: someRecords(next, 1 + next(40)), codec });
    const kind = next(4);
    const plain = kind < 2 ? mutate(next, good) : good.slice();
    // Damage in the header and the compressed data; only there behind a right CRC; in the records under it.
    if (kind === 2) plain.set(mutate(next, plain.subarray(21, 61)).subarray(0, 40), 21);
    const records =
      kind === 3 && mutate(next, encodeRecordBatch({ baseOffset: 0, records: someRecords(next, 9) }).subarray(61));
    const whole = records ? new Uint8Array(Buffer.concat([good.subarray(0, 61), compress(codec, records)])) : plain;
    if (records) writeInt32(whole, 57, 9);
    const bytes = kind === 0 ? whole : sealed(whole);
    if (next(3) === 0) index.clear();
    const count = index.count;
    const header = attempt(`${codec}, round ${round}`, () => index.add(bytes, 0, PLACE));
    if (header === undefined) expect(index.count).toBe(count);
    for (let i = count; i < index.count; i++) {
      for (const [starts, lengths] of [
        [index.keyStarts, index.keyLengths],
        [index.valueStarts, index.valueLengths],
      ] as const) {
        expect(lengths[i]).toBeGreaterThanOrEqual(-1);
        expect(starts[i]! + Math.max(0, lengths[i]!)).toBeLessThanOrEqual(index.byteLength);
      }
      expect(index.offsets[i]).toBeLessThanOrEqual(header!.lastOffset);
      readHeaders(index, i);
    }
    expect(index.bytes.length).toBeLessThan(64 * MAX_BYTES);
  }
});

test('hostile batch headers', { timeout: LONG_MS }, () => {
  const next = random(SEED + 2);
  const good = encodeRecordBatch({ baseOffset: 5, records: someRecords(next, 3) });
  for (let round = 0; round < ROUNDS * 4; round++) {
    const header = attempt(`round ${round}`, () => readBatchHeader(mutate(next, good), 0, PLACE));
    if (header === undefined) continue;
    expect(header.sizeBytes).toBeGreaterThanOrEqual(BATCH_HEADER_BYTES);
    expect(header.lastOffset).toBeGreaterThanOrEqual(header.baseOffset);
    expect(header.recordCount).toBeLessThanOrEqual(header.lastOffset - header.baseOffset + 1);
  }
});

const numbers = (next: Random, count: number): number[] =>
  Array.from({ length: count }, () => next(1e9)).sort((a, b) => a - b);

const producer = (next: Random) => ({
  producerId: next(1e9),
  producerEpoch: next(100),
  lastSequence: next(1e9),
  lastOffset: next(1e9),
  offsetDelta: next(100),
  timestampMs: next(1e9),
  coordinatorEpoch: next(100),
  currentTransactionFirstOffset: -1,
});

test.each<[string, number, (next: Random) => Uint8Array, (bytes: Uint8Array) => readonly unknown[]]>([
  [
    'offset index',
    8,
    (next) =>
      encodeOffsetIndex(
        numbers(next, next(20)).map((n, i) => ({ offset: n + i, position: n + i })),
        0,
      ),
    (bytes) => {
      const entries = decodeOffsetIndex(bytes, 0, PLACE);
      for (const [i, entry] of entries.entries())
        expect(entry.position).toBeGreaterThan(i === 0 ? -1 : entries[i - 1]!.position);
      return entries;
    },
  ],
  [
    'time index',
    12,
    (next) =>
      encodeTimeIndex(
        numbers(next, next(20)).map((n, i) => ({ timestampMs: n + i, offset: n })),
        0,
      ),
    (bytes) => decodeTimeIndex(bytes, 0, PLACE),
  ],
  [
    'transaction index',
    34,
    (next) =>
      encodeTransactionIndex(
        numbers(next, next(20)).map((n) => ({ producerId: n, firstOffset: n, lastOffset: n + 5, lastStableOffset: n })),
      ),
    (bytes) => decodeTransactionIndex(bytes, PLACE),
  ],
  [
    'producer snapshot',
    46,
    (next) => encodeProducerSnapshot(Array.from({ length: next(20) }, () => producer(next))),
    (bytes) => {
      if (bytes.length > 10) writeInt32(bytes, 2, crc32c(bytes.subarray(6)));
      return decodeProducerSnapshot(bytes, PLACE);
    },
  ],
  [
    'leader epoch checkpoint',
    3,
    (next) =>
      encodeLeaderEpochCheckpoint(numbers(next, next(20)).map((startOffset, epoch) => ({ epoch, startOffset }))),
    (bytes) => decodeLeaderEpochCheckpoint(bytes, PLACE),
  ],
])('hostile %s', { timeout: LONG_MS }, (name, entryBytes, encode, decode) => {
  const next = random(SEED + 3);
  for (let round = 0; round < ROUNDS * 4; round++) {
    const bytes = mutate(next, encode(next));
    const entries = attempt(`${name}, round ${round}`, () => decode(bytes)) ?? [];
    expect(entries.length).toBeLessThanOrEqual(bytes.length / entryBytes);
    for (const entry of entries)
      for (const value of Object.values(entry as object)) expect(Number.isFinite(value), name).toBe(true);
  }
});
