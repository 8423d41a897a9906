import type { LogStore } from './log-store.ts';
import { type PartitionFolder, parsePartitionFolder, parseSegmentFile, type SegmentSuffix } from './tiered-layout.ts';

export interface TieredSegment {
  /** The `.log` object. */
  key: string;
  baseOffset: number;
  segmentId: string;
  sizeBytes: number;
  modifiedMs: number;
  /** Keys of the other files that are there, by suffix. */
  files: Partial<Record<SegmentSuffix, string>>;
}

export interface TieredPartition extends PartitionFolder {
  folder: string;
  /** By base offset, then modification time. Two may have the same base offset (a leader that was replaced). */
  segments: TieredSegment[];
}

/**
 * Partitions with their segments, in the order of their folders' names. Files whose `.log` is not there (yet), and names
 * of other forms, are passed over. A segment may still be growing when its copy is under way: names do not tell.
 */
export async function listTieredSegments(
  store: LogStore,
  options: { topic?: string; signal?: AbortSignal } = {},
): Promise<TieredPartition[]> {
  const partitions = new Map<string, TieredPartition>();
  const segments = new Map<string, TieredSegment>();
  const prefix = options.topic === undefined ? '' : `${options.topic}-`;
  for await (const object of store.list(prefix, options.signal ? { signal: options.signal } : {})) {
    const slash = object.key.indexOf('/');
    const folder = object.key.slice(0, Math.max(slash, 0));
    const place = parsePartitionFolder(folder);
    const file = parseSegmentFile(object.key.slice(slash + 1));
    if (!place || !file || (options.topic !== undefined && place.topic !== options.topic)) continue;
    const id = `${folder}/${file.segmentId}`;
    let segment = segments.get(id);
    if (segment === undefined) {
      segment = { key: '', ...file, sizeBytes: 0, modifiedMs: 0, files: {} };
      delete (segment as Partial<typeof file>).suffix;
      segments.set(id, segment);
      let partition = partitions.get(folder);
      if (!partition) partitions.set(folder, (partition = { ...place, folder, segments: [] }));
      partition.segments.push(segment);
    }
    segment.files[file.suffix] = object.key;
    if (file.suffix === 'log') {
      segment.key = object.key;
      segment.sizeBytes = object.sizeBytes;
      segment.modifiedMs = object.modifiedMs;
    }
  }
  for (const partition of partitions.values()) {
    partition.segments = partition.segments
      .filter((segment) => segment.files.log !== undefined)
      .sort((a, b) => a.baseOffset - b.baseOffset || a.modifiedMs - b.modifiedMs);
  }
  return [...partitions.values()].filter((partition) => partition.segments.length > 0);
}
