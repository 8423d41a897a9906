import { MillraceError } from '@millrace/base';

// Kafka's LocalTieredStorage:
//   <topic>-<partition>-<topic id, 22 characters>/<base offset, 20 digits>-<segment id, 22 characters>.<suffix>
// Ids are UUIDs in unpadded url-safe base64, which may hold or start with "-" and "_": names are taken apart by length.

export const SEGMENT_SUFFIXES = [
  'log',
  'index',
  'timeindex',
  'txnindex',
  'snapshot',
  'leader_epoch_checkpoint',
] as const;
export type SegmentSuffix = (typeof SEGMENT_SUFFIXES)[number];

export interface PartitionFolder {
  topic: string;
  partition: number;
  topicId: string;
}

export interface SegmentFile {
  baseOffset: number;
  segmentId: string;
  suffix: SegmentSuffix;
}

/** A UUID's 16 bytes as Kafka's names show them. */
export function formatKafkaUuid(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new MillraceError('invalid', `a UUID has 16 bytes, not ${bytes.length}`);
  return Buffer.from(bytes).toString('base64url');
}

export const formatPartitionFolder = ({ topic, partition, topicId }: PartitionFolder): string =>
  `${topic}-${partition}-${topicId}`;

/** undefined when the name is not of this form. */
export function parsePartitionFolder(name: string): PartitionFolder | undefined {
  const match = /^([a-zA-Z0-9._-]{1,249})-(0|[1-9]\d{0,9})-([A-Za-z0-9_-]{22})$/.exec(name);
  const partition = Number(match?.[2]);
  return match === null || partition > 0x7fffffff ? undefined : { topic: match[1]!, partition, topicId: match[3]! };
}

export const formatSegmentFile = ({ baseOffset, segmentId, suffix }: SegmentFile): string =>
  `${String(baseOffset).padStart(20, '0')}-${segmentId}.${suffix}`;

/** undefined when the name is not of this form. */
export function parseSegmentFile(name: string): SegmentFile | undefined {
  const match = /^(\d{20})-([A-Za-z0-9_-]{22})\.([a-z_]+)$/.exec(name);
  const suffix = SEGMENT_SUFFIXES.find((known) => known === match?.[3]);
  const baseOffset = Number(match?.[1]);
  return match === null || suffix === undefined || !Number.isSafeInteger(baseOffset)
    ? undefined
    : { baseOffset, segmentId: match[2]!, suffix };
}
