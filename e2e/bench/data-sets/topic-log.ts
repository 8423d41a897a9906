import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CompressionCodec,
  createSegmentBuilder,
  encodeRecordBatch,
  formatKafkaUuid,
  formatPartitionFolder,
  type NewRecord,
} from '@millrace/kafka-log';
import { writeSegment } from '../../system/append-segment.ts';
import type { DataSet } from './data-set.ts';

const SEGMENT_BYTES = 64 << 20;

export interface TopicLog {
  dataSet: string;
  records: number;
  /** Bytes of keys and values, uncompressed and without Kafka's own. */
  rawBytes: number;
  /** The folder of partition 0, by codec. */
  folders: Partial<Record<CompressionCodec, string>>;
}

/** A partition's folder as Kafka's LocalTieredStorage names it; the topic's id follows from its name. */
export const partitionFolder = (logDir: string, topic: string, partition: number): string =>
  join(
    logDir,
    formatPartitionFolder({
      topic,
      partition,
      topicId: formatKafkaUuid(createHash('sha256').update(topic).digest().subarray(0, 16)),
    }),
  );

/** Writes a data set as a topic of one partition, once for each codec: `<dir>/<codec>/<partition folder>/<segments>`. */
export async function writeTopicLog(
  dir: string,
  dataSet: DataSet,
  records: number,
  codecs: readonly CompressionCodec[],
  onProgress: (records: number) => void = () => {},
): Promise<TopicLog> {
  const recordAt = dataSet.createRecords();
  const logs = await Promise.all(
    codecs.map(async (codec) => {
      const folder = partitionFolder(join(dir, codec), dataSet.name, 0);
      await mkdir(folder, { recursive: true });
      return { codec, folder, baseOffset: 0, builder: createSegmentBuilder({ baseOffset: 0 }) };
    }),
  );
  let rawBytes = 0;
  for (let from = 0; from < records; from += dataSet.batchRecords) {
    const batch: NewRecord[] = [];
    for (let i = from; i < Math.min(records, from + dataSet.batchRecords); i++) {
      const record = recordAt(i);
      rawBytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
      batch.push(record);
    }
    for (const log of logs) {
      log.builder.append(encodeRecordBatch({ baseOffset: from, records: batch, codec: log.codec }));
      if (log.builder.sizeBytes < SEGMENT_BYTES && from + batch.length < records) continue;
      await writeSegment(log.folder, log.baseOffset, log.builder.finish());
      log.baseOffset = from + batch.length;
      log.builder = createSegmentBuilder({ baseOffset: log.baseOffset });
    }
    onProgress(from + batch.length);
  }
  const folders = Object.fromEntries(logs.map(({ codec, folder }) => [codec, folder]));
  return { dataSet: dataSet.name, records, rawBytes, folders };
}
