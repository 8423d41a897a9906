import { createHash } from 'node:crypto';
import { access, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  COMPRESSION_CODECS,
  createSegmentBuilder,
  encodeRecordBatch,
  formatKafkaUuid,
  formatPartitionFolder,
  formatSegmentFile,
  type SegmentSuffix,
} from '@millrace/kafka-log';
import type { DemoRecord, DemoTopic } from './demo-topic.ts';

const BATCH_RECORDS = 200;

export interface PartitionWriter {
  append(record: DemoRecord): Promise<void>;
  /** Writes what is left as the last segment. */
  close(): Promise<void>;
}

/**
 * Writes one partition as closed segments of about `segmentBytes` of records each (before compression, so that where a
 * segment ends depends on the records alone). A segment becomes visible whole: its `.log` is renamed into place last.
 * Names come from topic, partition and offset; a segment that is there already is left as it is.
 */
export function createPartitionWriter(options: {
  logDir: string;
  topic: DemoTopic;
  partition: number;
  segmentBytes: number;
  onSegment(bytes: number): void;
}): PartitionWriter {
  const { logDir, topic, partition, segmentBytes, onSegment } = options;
  const topicId = deterministicUuid(topic.name);
  const folder = join(logDir, formatPartitionFolder({ topic: topic.name, partition, topicId }));
  let nextOffset = 0;
  let segmentNumber = 0;
  let baseOffset = 0;
  let builder = createSegmentBuilder({ baseOffset });
  let batch: DemoRecord[] = [];
  let rawBytes = 0;

  function closeBatch(): void {
    if (batch.length === 0) return;
    const codec = COMPRESSION_CODECS[(topic.codecOffset + partition + segmentNumber) % COMPRESSION_CODECS.length]!;
    const last = batch.at(-1)!;
    builder.append(
      encodeRecordBatch({
        baseOffset: nextOffset,
        records: batch,
        codec,
        // As if the leader had changed once, at the second segment.
        leaderEpoch: segmentNumber === 0 ? 0 : 1,
        ...(topic.logAppendTime ? { appendTimeMs: last.timestampMs + 3 } : {}),
      }),
    );
    nextOffset += batch.length;
    batch = [];
  }

  async function closeSegment(): Promise<void> {
    closeBatch();
    if (nextOffset === baseOffset) return;
    const segmentId = deterministicUuid(`${topic.name}/${partition}/${baseOffset}`);
    const pathOf = (suffix: SegmentSuffix) => join(folder, formatSegmentFile({ baseOffset, segmentId, suffix }));
    if (!(await exists(pathOf('log')))) {
      await mkdir(folder, { recursive: true });
      const { log, ...others } = builder.finish();
      for (const [suffix, bytes] of Object.entries(others)) await writeWhole(pathOf(suffix as SegmentSuffix), bytes);
      await writeWhole(pathOf('log'), log);
    }
    onSegment(builder.sizeBytes);
    segmentNumber++;
    baseOffset = nextOffset;
    rawBytes = 0;
    const leaderEpochs = [
      { epoch: 0, startOffset: 0 },
      ...(segmentNumber > 1 ? [{ epoch: 1, startOffset: secondSegmentOffset }] : []),
    ];
    if (segmentNumber === 1) secondSegmentOffset = baseOffset;
    builder = createSegmentBuilder({ baseOffset, leaderEpochs });
  }
  let secondSegmentOffset = 0;

  return {
    async append(record) {
      batch.push(record);
      rawBytes += (record.value?.length ?? 0) + (record.key?.length ?? 0) + 16;
      if (rawBytes >= segmentBytes) return closeSegment();
      if (batch.length >= BATCH_RECORDS) closeBatch();
    },
    close: closeSegment,
  };
}

/** Sixteen bytes that the name decides, in the form of Kafka's UUIDs. */
const deterministicUuid = (name: string): string =>
  formatKafkaUuid(createHash('sha256').update(`millrace demo ${name}`).digest().subarray(0, 16));

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Under another name first: whoever watches the folder never sees a part of the file. */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  await writeFile(`${path}.tmp`, bytes);
  await rename(`${path}.tmp`, path);
}
