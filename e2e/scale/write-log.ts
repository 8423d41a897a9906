import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSegmentBuilder, encodeRecordBatch, type NewRecord } from '@millrace/kafka-log';
import { schemaFile } from '../bench/data-sets/data-set.ts';
import { tiny } from '../bench/data-sets/tiny.ts';
import { partitionFolder } from '../bench/data-sets/topic-log.ts';
import { writeSegment } from '../system/append-segment.ts';
import { type PlannedSegment, POOL_RECORDS } from './workload.ts';

export interface LogWriter {
  /** Makes the segment visible; resolves when its log has its name. */
  write(segment: PlannedSegment): Promise<void>;
  /** The pool's records for another program: a 4-byte big-endian length before each. */
  poolBytes(): Uint8Array;
}

/**
 * Writes planned segments. A batch is encoded once for its place in the pool and its size; every further one is the same
 * bytes at another offset (the base offset stands outside the CRC), so that millions of records take seconds.
 */
export function createLogWriter(logDir: string): LogWriter {
  const recordAt = tiny.createRecords();
  const pool: NewRecord[] = Array.from({ length: POOL_RECORDS }, (_, i) => recordAt(i));
  const encoded = new Map<string, Uint8Array>();
  const folders = new Set<string>();

  function batchAt(poolStart: number, count: number, baseOffset: number): Uint8Array {
    const key = `${poolStart}+${count}`;
    let bytes = encoded.get(key);
    if (bytes === undefined) {
      bytes = encodeRecordBatch({
        baseOffset: 0,
        records: pool.slice(poolStart, poolStart + count),
        codec: 'zstd',
        leaderEpoch: 0,
      });
      encoded.set(key, bytes);
    }
    const copy = Buffer.from(bytes);
    copy.writeBigInt64BE(BigInt(baseOffset), 0);
    return copy;
  }

  return {
    async write({ topic, partition, baseOffset, batches }) {
      const folder = partitionFolder(logDir, topic, partition);
      if (!folders.has(folder)) await mkdir(folder, { recursive: true });
      folders.add(folder);
      const leaderEpochs = [{ epoch: 0, startOffset: 0 }];
      const builder = createSegmentBuilder({ baseOffset, leaderEpochs });
      let offset = baseOffset;
      for (const { poolStart, count } of batches) {
        builder.append(batchAt(poolStart, count, offset));
        offset += count;
      }
      await writeSegment(folder, baseOffset, builder.finish());
    },
    poolBytes() {
      const parts = pool.flatMap(({ value }) => {
        const length = Buffer.alloc(4);
        length.writeInt32BE(value!.length);
        return [length, value!];
      });
      return Buffer.concat(parts);
    },
  };
}

/** The same schema for every topic, as a folder of subjects has it. */
export async function writeSchemas(schemaDir: string, topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    const folder = join(schemaDir, `${topic}-value`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, schemaFile(tiny)), tiny.schemaText);
  }
}
