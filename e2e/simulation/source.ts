import {
  createSegmentBuilder,
  encodeRecordBatch,
  formatKafkaUuid,
  formatPartitionFolder,
  formatSegmentFile,
} from '@millrace/kafka-log';
import { type Objects, putObject } from './store.ts';
import { world } from './world.ts';

export const TOPIC = 'orders';
export const LOG_URI = 's3://sim/log';

/** A topic's log in Kafka's tiered-storage layout, and what stands in it. */
export interface Source {
  /** Offsets of records by partition, ascending; what lies between has none. */
  records: number[][];
  /** One past the last offset, by partition. */
  ends: number[];
  /** Rolls a segment of a partition: real record batches, with gaps as compaction and control records leave them. */
  roll(partition: number): void;
}

const TOPIC_ID = formatKafkaUuid(Buffer.from('simulated topic!'));

export function createSource(objects: Objects, partitions: number): Source {
  const source: Source = {
    records: Array.from({ length: partitions }, () => []),
    ends: Array.from({ length: partitions }, () => 0),
    roll(partition) {
      const w = world();
      const baseOffset = source.ends[partition]!;
      const builder = createSegmentBuilder({ baseOffset });
      let next = baseOffset;
      for (let batches = w.between(1, 3); batches > 0; batches--) {
        const count = w.between(0, 8);
        const records = Array.from({ length: count }, (_, i) => ({ timestampMs: w.now + i, value: VALUE }));
        // A batch whose records are gone keeps its offsets.
        const lastOffset = next + Math.max(count, 1) - 1 + w.between(0, 2);
        builder.append(encodeRecordBatch({ baseOffset: next, records, lastOffset }));
        for (let i = 0; i < count; i++) source.records[partition]!.push(next + i);
        next = lastOffset + 1;
      }
      source.ends[partition] = next;
      const folder = formatPartitionFolder({ topic: TOPIC, partition, topicId: TOPIC_ID });
      const segmentId = formatKafkaUuid(Buffer.from(`segment ${partition} ${baseOffset}`.padEnd(16).slice(0, 16)));
      const { log, ...others } = builder.finish();
      for (const [suffix, bytes] of [...Object.entries(others), ['log', log] as const]) {
        const file = formatSegmentFile({ baseOffset, segmentId, suffix: suffix as 'log' });
        putObject(objects, `${LOG_URI}/${folder}/${file}`, bytes);
      }
    },
  };
  return source;
}

const VALUE = Buffer.from('x'.repeat(60));

/** The offsets of records in [from, to). */
export const recordsBetween = (source: Source, partition: number, from: number, to: number): number[] =>
  source.records[partition]!.filter((offset) => offset >= from && offset < to);
