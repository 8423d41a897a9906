import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSegmentBuilder, encodeRecordBatch, formatKafkaUuid, formatPartitionFolder } from '@millrace/kafka-log';
import { writeSegment } from './append-segment.ts';

/** Confluent's framing: a zero byte, the schema's id, the encoded value. */
export function framed(schemaId: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(schemaId, 1);
  return Buffer.concat([head, body]);
}

export const partitionDir = (logDir: string, topic: string): string =>
  join(
    logDir,
    formatPartitionFolder({
      topic,
      partition: 0,
      topicId: formatKafkaUuid(createHash('sha256').update(topic).digest().subarray(0, 16)),
    }),
  );

/**
 * Writes a topic of one partition: `segments` of batches of values (key none, one record a value). `damage` may change a
 * segment's log before it is written.
 */
export async function writeTopic(
  logDir: string,
  topic: string,
  segments: (Uint8Array | null)[][][],
  damage?: (segment: number, log: Uint8Array, batchPositions: number[]) => Uint8Array,
): Promise<void> {
  const folder = partitionDir(logDir, topic);
  await mkdir(folder, { recursive: true });
  let offset = 0;
  for (const [at, batches] of segments.entries()) {
    const baseOffset = offset;
    const builder = createSegmentBuilder({ baseOffset });
    const positions: number[] = [];
    for (const values of batches) {
      positions.push(builder.sizeBytes);
      const records = values.map((value, i) => ({ timestampMs: 1_780_000_000_000 + offset + i, value }));
      builder.append(encodeRecordBatch({ baseOffset: offset, records, codec: 'zstd' }));
      offset += values.length;
    }
    const files = builder.finish();
    await writeSegment(folder, baseOffset, { ...files, log: damage?.(at, files.log, positions) ?? files.log });
  }
}

/** A subject's schema file, as a registry folder has it. */
export async function writeSchema(schemaDir: string, topic: string, version: number, id: number, schema: unknown) {
  const folder = join(schemaDir, `${topic}-value`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${version}-${id}.avsc`), JSON.stringify(schema));
}
