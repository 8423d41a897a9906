import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { clicks } from './clicks.ts';
import type { DemoSchema, DemoTopic } from './demo-topic.ts';
import { orders } from './orders.ts';
import { createPartitionWriter, writeWhole } from './partition-writer.ts';
import { payments } from './payments.ts';
import { createRandom } from './random.ts';

/** The demo's topics, by the names of their tables. */
export const DEMO_TOPICS: readonly DemoTopic[] = [orders, payments, clicks];

const MARKER = '.demo.json';
const YIELD_RECORDS = 100;

export interface DemoOptions {
  /** Folder in Kafka's tiered-storage layout. */
  logDir: string;
  /** Folder of schemas: `<subject>/<version>-<id>.avsc`. */
  schemaDir: string;
  /** For each topic; 0 makes none. */
  recordsPerTopic: number;
  /** Of records in a segment, before compression; default: about ten segments a partition, 64 KB to 4 MB. */
  segmentBytes?: number;
  onProgress?(progress: DemoProgress): void;
  signal?: AbortSignal;
}

export interface DemoProgress {
  /** Of all topics together. */
  records: number;
  totalRecords: number;
  segments: number;
  /** Of closed segments. */
  bytes: number;
}

export interface DemoResult extends DemoProgress {
  /** True: an earlier run had made it, nothing was written. */
  kept: boolean;
}

interface Marker {
  recordsPerTopic: number;
  complete: boolean;
  segments?: number;
  bytes?: number;
}

/**
 * Makes the demo's log and schemas: the same bytes every time. What is complete is kept as it is; what an earlier run left
 * half-made is finished with the number of records that it began with. Memory stays bounded by one segment a partition.
 */
export async function generateDemo(options: DemoOptions): Promise<DemoResult> {
  const { logDir, schemaDir } = options;
  const markerPath = join(logDir, MARKER);
  const marker = await readMarker(markerPath);
  const count = marker?.recordsPerTopic ?? options.recordsPerTopic;
  const totalRecords = count * DEMO_TOPICS.length;
  if (marker?.complete) {
    const { segments = 0, bytes = 0 } = marker;
    return { records: totalRecords, totalRecords, segments, bytes, kept: true };
  }
  const progress: DemoProgress = { records: 0, totalRecords, segments: 0, bytes: 0 };
  if (count === 0) return { ...progress, kept: false };
  await mkdir(logDir, { recursive: true });
  await writeWhole(markerPath, JSON.stringify({ recordsPerTopic: count, complete: false } satisfies Marker));

  const segmentBytes = options.segmentBytes ?? Math.min(4 << 20, Math.max(64 << 10, count * 8));
  const onSegment = (bytes: number) => {
    progress.segments++;
    progress.bytes += bytes;
  };
  const writers = DEMO_TOPICS.map((topic) =>
    Array.from({ length: topic.partitions }, (_, partition) =>
      createPartitionWriter({ logDir, topic, partition, segmentBytes, onSegment }),
    ),
  );
  const registered = new Set<DemoSchema>();
  for (let index = 0; index < count; index++) {
    for (const [at, topic] of DEMO_TOPICS.entries()) {
      // A schema is there before the first segment that needs it.
      for (const schema of topic.schemas(index, count)) {
        if (!registered.has(schema)) await writeSchema(schemaDir, schema);
        registered.add(schema);
      }
      const record = topic.record(index, count, createRandom(Math.imul(index + 1, 0x9e3779b1) ^ (at << 28)));
      await writers[at]![record.partition]!.append(record);
      progress.records++;
    }
    if (index % YIELD_RECORDS === 0) {
      options.signal?.throwIfAborted();
      options.onProgress?.({ ...progress });
      await setImmediate();
    }
  }
  for (const writer of writers.flat()) await writer.close();
  const { segments, bytes } = progress;
  await writeWhole(
    markerPath,
    JSON.stringify({ recordsPerTopic: count, complete: true, segments, bytes } satisfies Marker),
  );
  options.onProgress?.({ ...progress });
  return { ...progress, kept: false };
}

async function writeSchema(schemaDir: string, schema: DemoSchema): Promise<void> {
  const folder = join(schemaDir, schema.subject);
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, `${schema.version}-${schema.id}.avsc`), schema.text);
}

async function readMarker(path: string): Promise<Marker | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Marker;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
