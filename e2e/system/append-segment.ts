import { createHash } from 'node:crypto';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  batchSizeAt,
  createSegmentBuilder,
  formatKafkaUuid,
  formatSegmentFile,
  readBatchHeader,
  type SegmentSuffix,
} from '@millrace/kafka-log';

/**
 * Adds a segment to a partition's folder: the first batch of its log once more, at the next offset (base offset and
 * leader epoch stand outside the CRC).
 */
export async function appendCopyOfFirstBatch(folder: string): Promise<void> {
  const logs = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
  const first = await readFile(join(folder, logs[0]!));
  const last = await readFile(join(folder, logs.at(-1)!));
  let lastHeader = readBatchHeader(last, 0, { segment: logs.at(-1)!, startByte: 0 });
  for (let at = 0; at < last.length; at += batchSizeAt(last, at)!) {
    lastHeader = readBatchHeader(last, at, { segment: logs.at(-1)!, startByte: at });
  }
  const baseOffset = lastHeader.lastOffset + 1;
  const batch = Buffer.from(first.subarray(0, batchSizeAt(first, 0)));
  batch.writeBigInt64BE(BigInt(baseOffset), 0);
  batch.writeInt32BE(lastHeader.leaderEpoch, 12);
  const builder = createSegmentBuilder({
    baseOffset,
    leaderEpochs: [{ epoch: lastHeader.leaderEpoch, startOffset: 0 }],
  });
  builder.append(batch);
  await writeSegment(folder, baseOffset, builder.finish());
}

/** Writes a segment's files as tiered storage has them; the log appears last and whole. Its id follows from its place. */
export async function writeSegment(
  folder: string,
  baseOffset: number,
  files: Partial<Record<SegmentSuffix, Uint8Array>> & { log: Uint8Array },
): Promise<void> {
  const name = `${basename(folder)}/${baseOffset}`;
  const segmentId = formatKafkaUuid(createHash('sha256').update(name).digest().subarray(0, 16));
  const { log, ...others } = files;
  for (const [suffix, bytes] of [...Object.entries(others), ['log', log] as const]) {
    const path = join(folder, formatSegmentFile({ baseOffset, segmentId, suffix: suffix as SegmentSuffix }));
    await writeFile(`${path}.tmp`, bytes);
    await rename(`${path}.tmp`, path);
  }
}
