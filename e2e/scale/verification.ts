import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../peers/command.ts';
import type { Workload } from './workload.ts';

export interface Verified {
  tables: number;
  rows: number;
  /** Tables whose every row was compared, in both formats. */
  sampled: number;
  sampledRows: number;
  /** What is wrong; empty: all is well. */
  differences: string[];
  seconds: number;
}

const TABLES_COMPARED = 20;

/**
 * Readers that are not ours look at every table: how many rows it has by delta-rs, and that PyIceberg plans the very same
 * files; of a sample, one hot topic at least, pyarrow compares every row with what was written.
 */
export async function verifyTables(
  python: string,
  { workload, root, warehouse, catalogUri, poolBytes }: VerifyOptions,
): Promise<Verified> {
  const folder = join(root, 'expected');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'pool.bin'), poolBytes);
  const { topics, hot, segments } = workload;
  const step = Math.max(1, Math.floor(topics.length / TABLES_COMPARED));
  const sampled = topics.filter((topic, i) => i % step === 0 || topic === [...hot][0]);
  const byTopic = Map.groupBy(segments, ({ topic }) => topic);
  const expected = topics.map((topic) => ({
    topic,
    rows: byTopic.get(topic)!.reduce((sum, { baseOffset, endOffset }) => sum + endOffset - baseOffset, 0),
    ...(sampled.includes(topic)
      ? {
          batches: byTopic.get(topic)!.flatMap(({ partition, baseOffset, batches }) => {
            let offset = baseOffset;
            return batches.map(({ poolStart, count }) => {
              const at = offset;
              offset += count;
              return [partition, at, poolStart, count];
            });
          }),
        }
      : {}),
  }));
  await writeFile(join(folder, 'tables.json'), JSON.stringify(expected));
  const startedMs = Date.now();
  const { stdout } = await runCommand(
    python,
    [join(import.meta.dirname, 'python', 'verify_tables.py'), folder, warehouse, catalogUri],
    { env: { PYTHONDONTWRITEBYTECODE: '1' }, timeoutMs: 1_800_000 },
  );
  return { ...(JSON.parse(stdout) as Omit<Verified, 'seconds'>), seconds: (Date.now() - startedMs) / 1000 };
}

export interface VerifyOptions {
  workload: Workload;
  root: string;
  /** The folder of the namespace. */
  warehouse: string;
  catalogUri: string;
  poolBytes: Uint8Array;
}
