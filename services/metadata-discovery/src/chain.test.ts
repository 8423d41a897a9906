import { MillraceError } from '@millrace/base';
import type { TieredSegment } from '@millrace/kafka-log';
import { describe, expect, test } from 'vitest';
import { chainSegments, knownEnd } from './chain.ts';
import { choosePlanned, cutSpan, draftSplits, splitBytesFor } from './planner.ts';

interface Sample extends TieredSegment {
  end: number;
  broken?: MillraceError;
}

const segment = (baseOffset: number, end: number, more: Partial<Sample> = {}): Sample => ({
  key: `${baseOffset}-${end}`,
  baseOffset,
  segmentId: `s${baseOffset}`,
  sizeBytes: (end - baseOffset) * 10,
  modifiedMs: 0,
  files: { log: 'l', leader_epoch_checkpoint: 'c', snapshot: 's' },
  end,
  ...more,
});
const cutOff = new MillraceError('corrupt', 'cut off', { code: 'segment-truncated' });

async function chain(segments: Sample[], from: number, more: { passBroken?: boolean; nowMs?: number } = {}) {
  const sorted = segments.sort((a, b) => a.baseOffset - b.baseOffset || a.modifiedMs - b.modifiedMs);
  const found = await chainSegments(sorted, from, {
    nowMs: 100_000,
    settleMs: 10_000,
    maxSpans: 100,
    passBroken: false,
    endOf: async (s) => ({
      endOffset: (s as Sample).end,
      endByte: 1,
      ...((s as Sample).broken ? { broken: (s as Sample).broken! } : {}),
    }),
    ...more,
  });
  return {
    spans: found.spans.map((span) => `${span.segment.key}:${span.startOffset}-${span.endOffset}`),
    gaps: found.gaps.map((gap) => `${gap.start}-${gap.end}`),
    broken: found.broken?.code,
  };
}

describe('chainSegments', () => {
  test.each([
    ['leader epoch checkpoint', { log: 'l', snapshot: 's' }],
    ['producer snapshot, which tells of open transactions', { log: 'l', leader_epoch_checkpoint: 'c' }],
  ])('waits for a %s until the copy has settled', async (_what, files) => {
    const segments = [segment(0, 10), segment(10, 20, { files, modifiedMs: 95_000 })];
    expect((await chain(segments, 0)).spans).toEqual(['0-10:0-10']);
    expect((await chain(segments, 0, { nowMs: 106_000 })).spans).toEqual(['0-10:0-10', '10-20:10-20']);
  });

  test('follows segments from the middle of one', async () => {
    const { spans } = await chain([segment(0, 10), segment(10, 20), segment(20, 30)], 15);
    expect(spans).toEqual(['10-20:15-20', '20-30:20-30']);
  });

  test('copies that overlap are cut, never read twice; of two with one start the newer is taken', async () => {
    const newer = { modifiedMs: 5 };
    const { spans, gaps } = await chain(
      [segment(0, 10), segment(0, 12, newer), segment(6, 9), segment(8, 20), segment(20, 25)],
      0,
    );
    expect(spans).toEqual(['0-12:0-12', '8-20:12-20', '20-25:20-25']);
    expect(gaps).toEqual([]);
    // A short copy with a nearer start does not hide a longer one.
    expect((await chain([segment(0, 100), segment(50, 60)], 60)).spans).toEqual(['0-100:60-100']);
  });

  test('a gap is passed once the segment after it has settled', async () => {
    const fresh = segment(15, 20, { modifiedMs: 95_000 });
    expect(await chain([segment(0, 10), fresh], 0)).toEqual({ spans: ['0-10:0-10'], gaps: [], broken: undefined });
    const { spans, gaps } = await chain([segment(0, 10), fresh], 0, { nowMs: 105_000 });
    expect([spans, gaps]).toEqual([['0-10:0-10', '15-20:15-20'], ['10-15']]);
  });

  test('a copy without its last file is waited for, then taken as it is', async () => {
    const copying = segment(10, 20, { files: { log: 'l' }, modifiedMs: 95_000 });
    expect((await chain([segment(0, 10), copying, segment(20, 30)], 0)).spans).toEqual(['0-10:0-10']);
    expect((await chain([segment(0, 10), copying], 0, { nowMs: 105_000 })).spans).toHaveLength(2);
  });

  test('a cut-off tail: its whole batches, then the error, or the next segment when the policy passes it', async () => {
    const cut = { broken: cutOff };
    const segments = () => [segment(0, 7, cut), segment(10, 20)];
    expect(await chain(segments(), 0)).toEqual({ spans: ['0-7:0-7'], gaps: [], broken: 'segment-truncated' });
    expect(await chain(segments(), 7)).toEqual({ spans: [], gaps: [], broken: 'segment-truncated' });
    // The rest of the segment is read too: what it lost is counted there.
    const passed = { spans: ['0-7:0-7', '0-7:7-10', '10-20:10-20'], gaps: [], broken: undefined };
    expect(await chain(segments(), 0, { passBroken: true })).toEqual(passed);
    expect(await chain([segment(0, 7, { ...cut, modifiedMs: 95_000 })], 0)).toMatchObject({ spans: [] });
    // Another copy of the same segment that is whole is as good.
    expect((await chain([...segments(), segment(0, 10)], 0)).spans).toContain('10-20:10-20');
  });

  test('damage inside a segment ends it where the next begins', async () => {
    const damaged = () => Promise.reject(new MillraceError('corrupt', 'x', { code: 'batch-header-invalid' }));
    expect(await knownEnd(segment(0, 10), 10, damaged)).toEqual({ endOffset: 10, endByte: 100 });
    expect(await knownEnd(segment(0, 10), undefined, damaged)).toMatchObject({ endOffset: 0, broken: {} });
    const gone = () => Promise.reject(new MillraceError('unavailable', 'x'));
    await expect(knownEnd(segment(0, 10), 10, gone)).rejects.toMatchObject({ kind: 'unavailable' });
  });
});

describe('splits', () => {
  const inside = {
    points: [
      { byte: 0, baseOffset: 100 },
      { byte: 500, baseOffset: 150 },
    ],
    // A batch of ten offsets every 100 bytes.
    index: [100, 200, 300, 400, 500, 600, 700, 800, 900].map((position) => ({ offset: 109 + position / 10, position })),
  };
  const span = (startOffset: number, endOffset: number) => ({
    segment: segment(100, 200, { sizeBytes: 1_000 }),
    startOffset,
    endOffset,
    endByte: 1_000,
  });

  test('a large segment is cut at split points, and its ends at index entries that are safe', () => {
    const whole = cutSpan(span(100, 200), inside).map((p) => [p.startOffset, p.endOffset, p.startByte, p.endByte]);
    expect(whole).toEqual([
      [100, 150, 0, 500],
      [150, 200, 500, 1_000],
    ]);
    const [middle] = cutSpan(span(125, 145), { ...inside, points: [] });
    // Offsets 120–129 start at byte 200, 140–149 at byte 400.
    expect(middle!.startByte).toBeLessThanOrEqual(200);
    expect(middle!.startByte).toBeGreaterThanOrEqual(100);
    expect(middle!.endByte).toBeGreaterThanOrEqual(500);
    expect(middle!.endByte).toBeLessThanOrEqual(600);
  });

  test('small pieces share a split, gaps belong to the split after them', () => {
    const piece = (startOffset: number, endOffset: number, bytes: number) => ({
      ...{ key: 'k', segmentBaseOffset: 0, startByte: 0 },
      startOffset,
      endOffset,
      endByte: bytes,
    });
    const pieces = [piece(0, 10, 40), piece(10, 20, 40), piece(25, 30, 40), piece(30, 90, 100), piece(90, 95, 5)];
    const drafts = draftSplits(pieces, 0, 100);
    expect(drafts.map((d) => [d.startOffset, d.endOffset, d.bytes])).toEqual([
      [0, 20, 80],
      [20, 30, 40],
      [30, 90, 100],
      [90, 95, 5],
    ]);
    expect(choosePlanned(drafts, 100, 0, 64)).toHaveLength(3);
    expect(choosePlanned(drafts, 100, 0, 2)).toHaveLength(2);
    expect(choosePlanned(drafts.slice(3), 100, 0, 64)).toHaveLength(1);
    expect(choosePlanned(drafts.slice(3), 100, 1, 64)).toHaveLength(0);
  });

  test('pieces that lie one behind the other are one range', () => {
    const piece = (key: string, start: number, end: number) => ({
      ...{ key, segmentBaseOffset: 0, startOffset: start, endOffset: end },
      startByte: start,
      endByte: end,
    });
    const [draft] = draftSplits([piece('a', 0, 30), piece('a', 30, 60), piece('b', 60, 80)], 0, 100);
    expect(draft!.pieces).toEqual([piece('a', 0, 60), piece('b', 60, 80)]);
  });

  test('splits become as large as their files should be, in steps and within bounds', () => {
    const bytes = (logBytes: number, dataBytes: number) => splitBytesFor(1000, 800, { logBytes, dataBytes });
    expect(bytes(0, 0)).toBe(800);
    // Half of the log's bytes remain: 900 bytes of files from 1800 of log.
    expect(bytes(100, 50)).toBe(1800);
    expect(bytes(100, 95)).toBe(800);
    expect(bytes(100, 1000)).toBe(200);
    expect(bytes(1000, 1)).toBe(3200);
  });
});
