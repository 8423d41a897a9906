import { createRandom } from '../bench/data-sets/random.ts';

/** Records of a batch: so many of the pool's, from `poolStart` on. */
export interface PlannedBatch {
  poolStart: number;
  count: number;
}

export interface PlannedSegment {
  topic: string;
  partition: number;
  baseOffset: number;
  /** Exclusive. */
  endOffset: number;
  batches: PlannedBatch[];
  /** Milliseconds after the arrivals began; undefined: there from the start. */
  atMs: number | undefined;
}

export interface Workload {
  topics: string[];
  hot: ReadonlySet<string>;
  segments: PlannedSegment[];
  records: number;
}

export interface WorkloadOptions {
  topics: number;
  partitions: number;
  records: number;
  arrivalSeconds: number;
  seed: number;
}

/** Different records that everything is made of. */
export const POOL_RECORDS = 50_000;
const BATCH_RECORDS = 5_000;
const HOT_SHARE = 0.75;
/** Segments in which the second half of a hot partition arrives. */
const HOT_WAVES = 10;

/**
 * Which records lie where, and when they arrive: the same for the same seed. One topic of a hundred is hot; half of a
 * hot partition is there from the start, and all of a thin one but the last records of one partition of its topic, which
 * arrive at one moment.
 */
export function planWorkload({ topics, partitions, records, arrivalSeconds, seed }: WorkloadOptions): Workload {
  const random = createRandom(seed);
  const names = Array.from({ length: topics }, (_, i) => `scale-${String(i).padStart(5, '0')}`);
  const hotCount = Math.max(1, Math.floor(topics / 100));
  // Spread over the names, so that no order of names favours them.
  const hot = new Set(Array.from({ length: hotCount }, (_, i) => names[Math.floor((i + 0.5) * (topics / hotCount))]!));
  const hotEach = topics === hotCount ? 0 : Math.floor((records * HOT_SHARE) / (hotCount * partitions));
  const thinCount = (topics - hotCount) * partitions;
  const rest = records - hotEach * hotCount * partitions;
  const segments: PlannedSegment[] = [];
  let thin = 0;
  for (const topic of names) {
    const momentMs = random(arrivalSeconds * 1000);
    const late = random(partitions);
    for (let partition = 0; partition < partitions; partition++) {
      const isHot = hot.has(topic);
      const count = isHot ? hotEach : Math.floor(rest / thinCount) + (thin++ < rest % thinCount ? 1 : 0);
      const first = isHot || partition === late ? Math.ceil(count / 2) : count;
      const waves = isHot ? HOT_WAVES : 1;
      let offset = 0;
      const add = (size: number, atMs: number | undefined) => {
        if (size === 0) return;
        segments.push(segment(topic, partition, offset, size, atMs, random));
        offset += size;
      };
      add(first, undefined);
      for (let wave = 0; wave < waves; wave++) {
        const until = first + Math.floor(((count - first) * (wave + 1)) / waves);
        add(until - offset, isHot ? Math.floor((wave * arrivalSeconds * 1000) / waves) : momentMs);
      }
    }
  }
  return { topics: names, hot, segments, records };
}

function segment(
  topic: string,
  partition: number,
  baseOffset: number,
  size: number,
  atMs: number | undefined,
  random: (below: number) => number,
): PlannedSegment {
  const batches: PlannedBatch[] = [];
  for (let left = size; left > 0; left -= BATCH_RECORDS) {
    const count = Math.min(left, BATCH_RECORDS);
    batches.push({ poolStart: random(POOL_RECORDS / BATCH_RECORDS) * BATCH_RECORDS, count });
  }
  return { topic, partition, baseOffset, endOffset: baseOffset + size, batches, atMs };
}
