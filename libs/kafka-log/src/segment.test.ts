import { MillraceError } from '@millrace/base';
import { expect, test } from 'vitest';
import { decodeLeaderEpochCheckpoint, encodeLeaderEpochCheckpoint } from './leader-epoch-checkpoint.ts';
import type { LogStore } from './log-store.ts';
import { decodeOffsetIndex, decodeTimeIndex } from './offset-index.ts';
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts';
import { encodeRecordBatch } from './record-batch-writer.ts';
import { segmentEnd, splitPoints } from './segment-bounds.ts';
import { createSegmentBuilder } from './segment-builder.ts';
import { formatPartitionFolder, formatSegmentFile, parsePartitionFolder, parseSegmentFile } from './tiered-layout.ts';
import { listTieredSegments } from './tiered-segments.ts';
import { abortedWithin, decodeTransactionIndex, encodeTransactionIndex } from './transaction-index.ts';

const PLACE = { segment: 's', startByte: 0 };
const TOPIC_ID = '-_pKTWNiS_eHkSa9K2JG_Q';
const SEGMENT_ID = '_-qTUOxJQAaT1p6rV6q0Xg';

function memoryStore(objects: Record<string, Uint8Array>): LogStore & { readBytes: number } {
  return {
    readBytes: 0,
    async get(key, range) {
      const bytes = objects[key];
      if (bytes === undefined) throw new MillraceError('not-found', key);
      const part = bytes.subarray(range?.start ?? 0, range?.end ?? bytes.length);
      this.readBytes += part.length;
      return part;
    },
    async *list(prefix) {
      for (const key of Object.keys(objects).sort()) {
        if (key.startsWith(prefix)) yield { key, sizeBytes: objects[key]!.length, modifiedMs: 1 };
      }
    },
  };
}

/** A segment of 200 batches with 3 offsets each, from offset 1000. */
function someSegment() {
  const builder = createSegmentBuilder({ baseOffset: 1000, leaderEpochs: [{ epoch: 0, startOffset: 0 }] });
  const starts: number[] = [];
  for (let i = 0; i < 200; i++) {
    starts.push(builder.sizeBytes);
    const records = [1, 2, 3].map((n) => ({ timestampMs: 10_000 + i * 10 + n, value: new Uint8Array(300).fill(i) }));
    builder.append(encodeRecordBatch({ baseOffset: 1000 + i * 3, records, leaderEpoch: i < 100 ? 0 : 2 }));
  }
  return { files: builder.finish(), starts };
}

async function stored(files: Partial<Record<string, Uint8Array>>) {
  const folder = formatPartitionFolder({ topic: 'shop.orders-eu', partition: 12, topicId: TOPIC_ID });
  const name = formatSegmentFile({ baseOffset: 1000, segmentId: SEGMENT_ID, suffix: 'log' }).slice(0, -3);
  const objects = Object.fromEntries(
    Object.entries(files).map(([suffix, bytes]) => [`${folder}/${name}${suffix}`, bytes!]),
  );
  const store = memoryStore({ ...objects, 'readme.txt': new Uint8Array(1), [`${folder}/x.log`]: new Uint8Array(1) });
  const [partition] = await listTieredSegments(store);
  return { store, segment: partition!.segments[0]!, partition: partition! };
}

test('names are taken apart from the right, ids that start with - or _ too', () => {
  for (const topic of ['orders', 'a-0-b', 'shop.orders_-1-']) {
    const folder = { topic, partition: 10, topicId: TOPIC_ID };
    expect(parsePartitionFolder(formatPartitionFolder(folder))).toEqual(folder);
  }
  expect(parsePartitionFolder('orders-0-short')).toBeUndefined();
  expect(parsePartitionFolder(`orders-01-${TOPIC_ID}`)).toBeUndefined();
  const file = { baseOffset: 21244, segmentId: SEGMENT_ID, suffix: 'leader_epoch_checkpoint' } as const;
  expect(formatSegmentFile(file)).toBe(`00000000000000021244-${SEGMENT_ID}.leader_epoch_checkpoint`);
  expect(parseSegmentFile(formatSegmentFile(file))).toEqual(file);
  expect(parseSegmentFile(`00000000000000021244-${SEGMENT_ID}.log.part`)).toBeUndefined();
});

test('a built segment is listed; its end comes from the last index entry, its splits from the index', async () => {
  const { files, starts } = someSegment();
  const { store, segment, partition } = await stored(files);
  expect(partition).toMatchObject({ topic: 'shop.orders-eu', partition: 12, topicId: TOPIC_ID });
  expect(Object.keys(segment.files).sort()).toEqual([
    'index',
    'leader_epoch_checkpoint',
    'log',
    'snapshot',
    'timeindex',
  ]);
  expect(await segmentEnd(store, segment)).toEqual({
    lastOffset: 1599,
    maxTimestampMs: 11_993,
    endByte: files.log.length,
  });
  expect(store.readBytes).toBeLessThan(files.log.length / 5);
  for (const found of [segment, { ...segment, files: { log: segment.key } }]) {
    const points = await splitPoints(store, found, 40_000);
    expect(points.length).toBeGreaterThan(3);
    for (const { byte, baseOffset } of points) expect(starts.indexOf(byte) * 3 + 1000).toBe(baseOffset);
    expect(points[1]!.byte).toBeGreaterThanOrEqual(40_000);
  }
});

test('a segment that is cut off anywhere in its last batch says at which byte', async () => {
  const { files, starts } = someSegment();
  for (const cut of [1, 100, 960]) {
    const { store, segment } = await stored({ ...files, log: files.log.subarray(0, files.log.length - cut) });
    await expect(segmentEnd(store, segment)).rejects.toMatchObject({
      kind: 'corrupt',
      code: 'segment-truncated',
      context: { segment: segment.key, byte: String(starts.at(-1)), nextOffset: '1597' },
    });
  }
  const empty = await stored({ log: new Uint8Array(0) });
  expect((await segmentEnd(empty.store, empty.segment)).lastOffset).toBe(999);
});

test('indexes, snapshots and checkpoints are read as they were written', () => {
  const { files } = someSegment();
  const index = decodeOffsetIndex(files.index!, 1000, PLACE);
  expect(index.length).toBeGreaterThan(30);
  expect(decodeOffsetIndex(new Uint8Array([...files.index!, ...new Uint8Array(80)]), 1000, PLACE)).toEqual(index);
  const times = decodeTimeIndex(files.timeindex!, 1000, PLACE);
  expect(times.at(-1)).toEqual({ timestampMs: 11_993, offset: 1599 });
  expect(decodeLeaderEpochCheckpoint(files.leader_epoch_checkpoint!, PLACE)).toEqual([
    { epoch: 0, startOffset: 0 },
    { epoch: 2, startOffset: 1300 },
  ]);
  // As seen from a broker.
  expect(
    Buffer.from(
      encodeLeaderEpochCheckpoint([
        { epoch: 0, startOffset: 0 },
        { epoch: 2, startOffset: 16000 },
      ]),
    ).toString(),
  ).toBe('0\n2\n0 0\n2 16000\n');
  const producers = [
    {
      producerId: 4000,
      producerEpoch: 3,
      lastSequence: 9,
      lastOffset: 1e10,
      offsetDelta: 9,
      timestampMs: 1_700_000_000_000,
      coordinatorEpoch: 0,
      currentTransactionFirstOffset: -1,
    },
  ];
  expect(decodeProducerSnapshot(encodeProducerSnapshot(producers), PLACE)).toEqual(producers);
  const aborted = [{ producerId: 7, firstOffset: 10, lastOffset: 20, lastStableOffset: 21 }];
  expect(decodeTransactionIndex(encodeTransactionIndex(aborted), PLACE)).toEqual(aborted);
  expect(abortedWithin(aborted, 20, 30)).toEqual(aborted);
  expect(abortedWithin(aborted, 21, 30)).toEqual([]);
});

test('broken side files are named', () => {
  const broken = [
    () => decodeOffsetIndex(new Uint8Array(7), 0, PLACE),
    () => decodeTimeIndex(new Uint8Array(7), 0, PLACE),
    () => decodeTransactionIndex(new Uint8Array(35), PLACE),
    () => decodeTransactionIndex(new Uint8Array(34).fill(1), PLACE),
    () => decodeProducerSnapshot(encodeProducerSnapshot([]).fill(1, 2, 3), PLACE),
    () => decodeLeaderEpochCheckpoint(Buffer.from('0\n2\n0 0\n'), PLACE),
    () => decodeLeaderEpochCheckpoint(Buffer.from('0\n1\nx y\n'), PLACE),
  ];
  for (const action of broken) expect(action).toThrow(expect.objectContaining({ code: 'index-malformed' }));
});
