import { MillraceError } from '@millrace/base';
import { expect, test } from 'vitest';
import { encodeRecordBatch } from './record-batch-writer.ts';
import { createRecordIndex } from './record-index.ts';
import { type BrokenBatch, type ScanOptions, scanSegment } from './segment-scan.ts';

/** 40 batches of 5 offsets from 1000 on, about 1 KB each, the tenth 9 KB. */
const batches = Array.from({ length: 40 }, (_, i) =>
  encodeRecordBatch({
    baseOffset: 1000 + i * 5,
    records: Array.from({ length: 5 }, (_, n) => ({
      timestampMs: i,
      value: new Uint8Array(i === 10 ? 1800 : 200).fill(n),
    })),
  }),
);
const startOf = (i: number) => batches.slice(0, i).reduce((sum, batch) => sum + batch.length, 0);
const log = (): Buffer<ArrayBuffer> => Buffer.concat(batches);

async function scan(bytes: Uint8Array, options: ScanOptions = {}, endByte = bytes.length, endOffset = 1200) {
  const store = {
    get: async (_: string, range?: { start: number; end: number }) => bytes.slice(range!.start, range!.end),
    async *list() {},
  };
  const index = createRecordIndex({ trustCrc: true });
  const broken: BrokenBatch[] = [];
  const span = { key: 's.log', startByte: 0, endByte, startOffset: 1000, endOffset, segmentBaseOffset: 1000 };
  let runs = 0;
  for await (const piece of scanSegment(store, span, { chunkBytes: 5000, ...options })) {
    if (piece.kind === 'broken') {
      broken.push(piece);
      continue;
    }
    runs++;
    const place = { segment: 's.log', startByte: piece.startByte };
    for (let at = 0; at < piece.bytes.length; ) at += index.add(piece.bytes, at, place).sizeBytes;
  }
  return { offsets: [...index.offsets.subarray(0, index.count)], broken, runs };
}

const all = Array.from({ length: 200 }, (_, i) => 1000 + i);
const allBut = (from: number, to: number) => all.filter((offset) => offset < from || offset > to);

test('every batch comes once, whatever the size of a read', async () => {
  for (const chunkBytes of [64, 1000, 5000, 1 << 20]) {
    const found = await scan(log(), { chunkBytes });
    expect(found.offsets).toEqual(all);
    expect(found.runs).toBeGreaterThan(chunkBytes === 1 << 20 ? 0 : 5);
  }
});

test.each([
  [
    'a changed byte',
    (bytes: Buffer, at: number) => bytes.writeUInt8(bytes[at + 100]! ^ 1, at + 100),
    'batch-crc-mismatch',
  ],
  ['a length of 2 GB', (bytes: Buffer, at: number) => bytes.writeInt32BE(0x7fffffff, at + 8), 'batch-header-invalid'],
  [
    'a length that is a little wrong',
    (bytes: Buffer, at: number) => bytes.writeInt32BE(700, at + 8),
    'batch-crc-mismatch',
  ],
  ['a length over the end', (bytes: Buffer, at: number) => bytes.writeInt32BE(1 << 20, at + 8), 'segment-truncated'],
  ['zeros', (bytes: Buffer, at: number) => bytes.fill(0, at, at + 300), 'batch-magic-unsupported'],
  [
    'an offset that was there before',
    (bytes: Buffer, at: number) => bytes.writeBigInt64BE(3n, at),
    'batch-header-invalid',
  ],
] as const)('%s costs one batch when skipped, and stops the scan otherwise', async (_, damage, code) => {
  for (const i of [0, 17, 39]) {
    const bytes = log();
    damage(bytes, startOf(i));
    const found = await scan(bytes, { skipCorrupt: true });
    expect(found.offsets).toEqual(allBut(1000 + i * 5, 1004 + i * 5));
    expect(found.broken).toHaveLength(1);
    expect(found.broken[0]).toMatchObject({
      baseOffset: 1000 + i * 5,
      lastOffset: 1004 + i * 5,
      startByte: startOf(i),
      sizeBytes: batches[i]!.length,
      error: { code, context: { segment: 's.log', byte: String(startOf(i)) } },
    });
    await expect(scan(bytes)).rejects.toBeInstanceOf(MillraceError);
  }
});

test('a segment that is shorter than planned is truncated at the batch that is cut', async () => {
  for (const cut of [10, batches[39]!.length - 20, batches[39]!.length + 20]) {
    const whole = log();
    const bytes = whole.subarray(0, whole.length - cut);
    const last = cut > batches[39]!.length ? 38 : 39;
    await expect(scan(bytes, {}, whole.length)).rejects.toMatchObject({
      code: 'segment-truncated',
      context: { byte: String(startOf(last)), offset: String(1000 + last * 5) },
    });
    const found = await scan(bytes, { skipCorrupt: true }, whole.length);
    expect(found.broken).toMatchObject([{ baseOffset: 1000 + last * 5, lastOffset: 1199 }]);
    expect(found.offsets).toEqual(all.filter((offset) => offset < 1000 + last * 5));
  }
});

test('nothing is read, nor judged, behind the offsets that are asked for', async () => {
  const bytes = log();
  bytes.fill(255, startOf(30));
  const found = await scan(bytes, {}, bytes.length, 1150);
  expect(found.offsets).toEqual(all.filter((offset) => offset < 1150));
});

test('damage anywhere ends in an error of this package or in fewer offsets, never in wrong or repeated ones', async () => {
  let seed = 99;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 0x1_0000_0000) * below);
  };
  for (let round = 0; round < 150; round++) {
    const bytes = log();
    for (let n = 1 + next(6); n > 0; n--) {
      const at = next(bytes.length - 40);
      // Half of them in a header, where lengths and offsets stand.
      const place = next(2) === 0 ? at : startOf(next(40)) + next(61);
      bytes.fill(next(256), place, place + 1 + next(8));
    }
    const found = await scan(bytes, { skipCorrupt: true, chunkBytes: 500 + next(9000) });
    expect(found.offsets.length + found.broken.length, `round ${round}`).toBeGreaterThan(0);
    expect(new Set(found.offsets).size).toBe(found.offsets.length);
    expect([...found.offsets].sort((a, b) => a - b)).toEqual(found.offsets);
    for (const piece of found.broken) expect(piece.error.kind).toMatch(/^(corrupt|unsupported)$/);
  }
});
