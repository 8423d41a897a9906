import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ByteRange } from './object-store.ts';
import { createReadAhead, type Stretch } from './read-ahead.ts';

const MB = 1 << 20;
const byteAt = (key: string, at: number) => (at * 31 + (at >> 8) * 7 + key.length) & 255;

/** Objects of so many bytes, whose reads take `readMs`; `into` is used or not. */
function fakeStore(sizes: Record<string, number>, { readMs = 0, uses = true, fails = (): boolean => false } = {}) {
  const reads: { key: string; start: number; end: number }[] = [];
  const memories = new Set<ArrayBufferLike>();
  let underWay = 0;
  const store = {
    reads,
    memories,
    mostUnderWay: 0,
    async get(key: string, range?: ByteRange, _signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
      const { start, end } = range!;
      reads.push({ key, start, end });
      store.mostUnderWay = Math.max(store.mostUnderWay, ++underWay);
      await sleep(readMs);
      underWay--;
      if (fails()) throw new Error('gone');
      const length = Math.max(0, Math.min(end, sizes[key]!) - start);
      const bytes =
        uses && into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint8Array(length);
      memories.add(bytes.buffer);
      for (let i = 0; i < length; i++) bytes[i] = byteAt(key, start + i);
      return bytes;
    },
  };
  return store;
}

function expectBytes(bytes: Uint8Array, key: string, start: number): void {
  for (let i = 0; i < bytes.length; i += i < 5000 || i > bytes.length - 5000 ? 1 : 997)
    if (bytes[i] !== byteAt(key, start + i)) throw new Error(`${key}: byte ${start + i} differs`);
}

/** Reads like a scan: windows of `chunkBytes`, each from somewhere before the end of the one before it. */
async function scan(
  reading: { get(key: string, range: ByteRange): Promise<Uint8Array> },
  { key, start, end }: Stretch,
  chunkBytes: number,
  overlap: (n: number) => number,
  workMs = 0,
): Promise<void> {
  let at = start;
  for (let n = 0; at < end; n++) {
    const wanted = Math.min(at + chunkBytes, end);
    const bytes = await reading.get(key, { start: at, end: wanted });
    expect(bytes.length).toBeGreaterThanOrEqual(wanted - at);
    expectBytes(bytes, key, at);
    if (workMs > 0) await sleep(workMs);
    const reached = at + bytes.length;
    at = reached >= end ? end : Math.max(at + 1, reached - overlap(n));
  }
}

test.each([true, false])(
  'every byte of several stretches, in memory that is used again (a store that takes it: %s)',
  async (uses) => {
    const store = fakeStore({ a: 5 * MB + 3, bb: 700, ccc: 3 * MB }, { uses });
    const open = createReadAhead(store, { chunkBytes: MB, aheadBytes: 2 * MB, reuse: true });
    const stretches = [
      { key: 'a', start: 100, end: 5 * MB + 3 },
      { key: 'bb', start: 0, end: 700 },
      { key: 'ccc', start: 5, end: MB },
      { key: 'ccc', start: 2 * MB, end: 3 * MB },
    ];
    const reading = open(stretches);
    // Overlaps of nothing, of a batch, and of more than what fits before a chunk.
    const overlaps = [0, 120_000, MB + 50_000];
    for (const stretch of stretches) await scan(reading, stretch, MB, (n) => overlaps[n % 3]!);
    reading.close();
    // Nothing is read twice.
    const read = store.reads.reduce((sum, { start, end }) => sum + end - start, 0);
    expect(read).toBe(stretches.reduce((sum, { start, end }) => sum + end - start, 0));
    if (uses) expect(store.memories.size).toBeLessThan(8);
  },
);

test('a request for more than a chunk, and one for what is elsewhere', async () => {
  const store = fakeStore({ a: 8 * MB });
  const reading = createReadAhead(store, { chunkBytes: MB, aheadBytes: 2 * MB, reuse: true })([
    { key: 'a', start: 0, end: 8 * MB },
  ]);
  expectBytes(await reading.get('a', { start: 0, end: MB }), 'a', 0);
  const long = await reading.get('a', { start: MB - 10, end: 5 * MB });
  expect(long.length).toBeGreaterThanOrEqual(4 * MB + 10);
  expectBytes(long, 'a', MB - 10);
  expectBytes(await reading.get('a', { start: 7 * MB, end: 8 * MB }), 'a', 7 * MB);
  expectBytes(await reading.get('a', { start: 3, end: 50 }), 'a', 3);
});

test('an object that is shorter than its stretch ends the answer', async () => {
  const store = fakeStore({ a: MB + 500 });
  const reading = createReadAhead(store, { chunkBytes: MB, aheadBytes: MB, reuse: true })([
    { key: 'a', start: 0, end: 4 * MB },
  ]);
  await reading.get('a', { start: 0, end: MB });
  expect(await reading.get('a', { start: MB - 7, end: 2 * MB - 7 })).toHaveLength(507);
});

test('a read that fails fails the answer that needs it, and no other', async () => {
  let fail = false;
  const store = fakeStore({ a: 4 * MB }, { fails: () => fail });
  const reading = createReadAhead(store, { chunkBytes: MB, aheadBytes: MB, reuse: true })([
    { key: 'a', start: 0, end: 4 * MB },
  ]);
  await reading.get('a', { start: 0, end: MB });
  fail = true;
  await expect(
    (async () => {
      await reading.get('a', { start: MB, end: 2 * MB });
      await reading.get('a', { start: 2 * MB, end: 3 * MB });
    })(),
  ).rejects.toThrow('gone');
  reading.close();
});

test('as far ahead as the reads are slower than the work, within the bound', async () => {
  const most = async (readMs: number, workMs: number, aheadBytes: number) => {
    const store = fakeStore({ a: 2 * MB }, { readMs });
    const stretch = { key: 'a', start: 0, end: 2 * MB };
    const open = createReadAhead(store, { chunkBytes: 65_536, aheadBytes, reuse: true });
    await scan(open([stretch]), stretch, 65_536, () => 0, workMs);
    return store.mostUnderWay;
  };
  expect(await most(1, 30, 10 * MB)).toBeLessThanOrEqual(2);
  expect(await most(40, 4, 10 * MB)).toBeGreaterThan(3);
  expect(await most(40, 4, 2 * 65_536)).toBeLessThanOrEqual(3);
});
