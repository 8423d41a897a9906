import type { DataFile } from '@millrace/proto/common';
import type { PolicyValues } from './policy.ts';

/** A rewrite's request and answer name every file; this keeps them far below a message's limit. */
const MAX_FILES_A_GROUP = 1_000;

/**
 * Which files to rewrite together, each group in the order in which its rows are to lie: the small ones of the table
 * in offset order, cut where a group would pass the target size. None when fewer than `compactMinFiles` are small.
 * A result is never small again unless it is the last of its table, so repeated runs come to an end.
 */
export function planCompaction(
  files: readonly DataFile[],
  policy: Pick<PolicyValues, 'compactSmallFileBytes' | 'compactTargetFileBytes' | 'compactMinFiles'>,
): DataFile[][] {
  const target = BigInt(policy.compactTargetFileBytes);
  const limit = BigInt(policy.compactSmallFileBytes);
  const small = files.filter(({ sizeBytes }) => sizeBytes < (limit < target ? limit : (target * 3n) / 4n));
  if (small.length < policy.compactMinFiles) return [];
  const groups: DataFile[][] = [];
  let bytes = 0n;
  for (const file of orderByOffsets(small)) {
    const group = groups.at(-1);
    if (group === undefined || bytes + file.sizeBytes > target || group.length === MAX_FILES_A_GROUP) {
      groups.push([file]);
      bytes = file.sizeBytes;
    } else {
      group.push(file);
      bytes += file.sizeBytes;
    }
  }
  return groups.filter((group) => group.length > 1);
}

/**
 * An order in which every partition's rows lie by offset. A file written at ingest holds one partition, a rewritten one
 * several, so this is a topological order: a file comes after those that hold earlier offsets of a partition of its.
 * Among files that are free to come, lower partitions and offsets first. Where ranges contradict each other (rewrites
 * of another order), the lowest of the rest goes first.
 */
export function orderByOffsets(files: readonly DataFile[]): DataFile[] {
  const waitsFor = files.map(() => 0);
  const followers = files.map((): number[] => []);
  const ranges = files
    .flatMap((file, index) => file.offsets.map((range) => ({ ...range, index })))
    .sort((a, b) => a.partition - b.partition || compare(a.startOffset, b.startOffset) || a.index - b.index);
  for (const [i, range] of ranges.entries()) {
    const before = ranges[i - 1];
    if (before?.partition !== range.partition || before.index === range.index) continue;
    followers[before.index]!.push(range.index);
    waitsFor[range.index]!++;
  }
  const rank = files.map(() => ranges.length);
  for (const [i, { index }] of ranges.entries()) rank[index] = Math.min(rank[index]!, i);
  const byRank = files.map((_, index) => index).sort((a, b) => rank[a]! - rank[b]! || a - b);
  for (const [position, index] of byRank.entries()) rank[index] = position;
  const ready = byRank.filter((index) => waitsFor[index] === 0);
  const order: DataFile[] = [];
  const placed = new Set<number>();
  let lowest = 0;
  while (order.length < files.length) {
    while (placed.has(byRank[lowest]!)) lowest++;
    const index = ready.shift() ?? byRank[lowest]!;
    if (placed.has(index)) continue;
    placed.add(index);
    order.push(files[index]!);
    for (const follower of followers[index]!) {
      if (--waitsFor[follower]! === 0) ready.splice(positionOf(ready, rank, rank[follower]!), 0, follower);
    }
  }
  return order;
}

/** Where an entry of this rank belongs among entries that lie by rank. */
function positionOf(ready: number[], rank: number[], of: number): number {
  let [low, high] = [0, ready.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rank[ready[middle]!]! < of) low = middle + 1;
    else high = middle;
  }
  return low;
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
