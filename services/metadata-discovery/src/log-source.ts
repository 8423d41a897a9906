import { type Clock, createTurns } from '@millrace/base';
import {
  listTieredSegments,
  parsePartitionFolder,
  type TieredPartition,
  type TieredSegment,
} from '@millrace/kafka-log';
import type { ObjectStore } from '@millrace/object-store';
import { isWhole } from './chain.ts';

/** A topic as the log store shows it. A topic that has not changed since the last listing is the same object. */
export interface LogTopic {
  topic: string;
  /** More than one: an old topic's folders lie beside those of a new one with the same name. */
  topicIds: string[];
  /** By partition; segments by base offset. */
  partitions: Map<number, TieredSegment[]>;
}

export interface LogSource {
  /** Every topic in the store, by name. */
  list(signal: AbortSignal): Promise<Map<string, LogTopic>>;
}

/** Stamps of files and folders are coarse: what changed within this time may change again without showing it. */
const RACY_MS = 2_000;
/** A segment without its last files may be growing, which its folder's stamp does not show. */
const GROWING_MS = 30_000;
/** However it looks, every folder is listed anew after this long. */
const TRUST_MS = 600_000;
const FOLDERS_AT_A_TIME = 64;

interface Folder {
  stamp: number;
  listedMs: number;
  /** The stamp says whether anything has changed. */
  settled: boolean;
  partition: TieredPartition | undefined;
}

/**
 * Looks at the whole store again and again, at the price of what has changed: where a store keeps stamps of its folders,
 * only partitions with a new one are listed; elsewhere everything is, and compared.
 */
export function logSource(store: ObjectStore, clock: Clock): LogSource {
  const turns = createTurns(FOLDERS_AT_A_TIME);
  let folders = new Map<string, Folder>();
  let topics = new Map<string, LogTopic>();

  /** By folder name, each the same object as before when it holds the same. */
  async function partitionsByStamp(stamps: { name: string; stamp: number }[], signal: AbortSignal) {
    const now = clock.now();
    const next = new Map<string, Folder>();
    await Promise.all(
      stamps.map(async ({ name, stamp }) => {
        if (parsePartitionFolder(name) === undefined) return;
        const before = folders.get(name);
        const isKnown = before?.settled && before.stamp === stamp && now - before.listedMs < TRUST_MS;
        next.set(name, isKnown ? before : await turns(() => listFolder(name, stamp, before, signal)));
      }),
    );
    folders = next;
    return [...next.values()].flatMap(({ partition }) => (partition === undefined ? [] : [partition]));
  }

  async function listFolder(
    name: string,
    stamp: number,
    before: Folder | undefined,
    signal: AbortSignal,
  ): Promise<Folder> {
    signal.throwIfAborted();
    const listedMs = clock.now();
    const only = { get: store.get, list: () => store.list(`${name}/`, { signal }) };
    const [found] = await listTieredSegments(only, { signal });
    const partition = isSame(before?.partition, found) ? before?.partition : found;
    const settled = listedMs - stamp > RACY_MS && (partition?.segments ?? []).every((one) => isEnded(one, listedMs));
    return { stamp, listedMs, settled, partition };
  }

  /** Without stamps: everything is listed, and what is the same keeps its object. */
  async function partitionsByList(signal: AbortSignal): Promise<TieredPartition[]> {
    const next = new Map<string, Folder>();
    for (const found of await listTieredSegments(store, { signal })) {
      const before = folders.get(found.folder)?.partition;
      const partition = isSame(before, found) ? before! : found;
      next.set(found.folder, { stamp: 0, listedMs: 0, settled: false, partition });
    }
    folders = next;
    return [...next.values()].map(({ partition }) => partition!);
  }

  return {
    async list(signal) {
      const stamps = await store.folders?.(signal);
      const partitions =
        stamps === undefined ? await partitionsByList(signal) : await partitionsByStamp(stamps, signal);
      const next = new Map<string, LogTopic>();
      for (const { topic, topicId, partition, segments } of partitions) {
        let entry = next.get(topic);
        if (entry === undefined) next.set(topic, (entry = { topic, topicIds: [], partitions: new Map() }));
        if (!entry.topicIds.includes(topicId)) entry.topicIds.push(topicId);
        entry.partitions.set(partition, segments);
      }
      for (const [name, entry] of next) {
        const before = topics.get(name);
        if (before !== undefined && isSameTopic(before, entry)) next.set(name, before);
      }
      topics = next;
      return next;
    },
  };
}

const isEnded = (segment: TieredSegment, nowMs: number): boolean =>
  nowMs - segment.modifiedMs > (isWhole(segment) ? RACY_MS : GROWING_MS);

function isSame(before: TieredPartition | undefined, now: TieredPartition | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  return (
    before.segments.length === now.segments.length &&
    now.segments.every((segment, i) => {
      const other = before.segments[i]!;
      return (
        segment.key === other.key &&
        segment.sizeBytes === other.sizeBytes &&
        segment.modifiedMs === other.modifiedMs &&
        Object.keys(segment.files).length === Object.keys(other.files).length
      );
    })
  );
}

const isSameTopic = (before: LogTopic, now: LogTopic): boolean =>
  before.partitions.size === now.partitions.size &&
  before.topicIds.join() === now.topicIds.join() &&
  [...now.partitions].every(([partition, segments]) => before.partitions.get(partition) === segments);
