import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A segment that became visible at a time. */
export interface Arrival {
  topic: string;
  partition: number;
  endOffset: number;
  visibleMs: number;
}

export type Format = 'iceberg' | 'delta';

interface Commit {
  atMs: number;
  /** One past the last offset, by partition. */
  ends: Map<number, number>;
}

const POSITIONS = 'millrace.positions';

/**
 * When each table's commits came into being, by the files of the tables themselves: what a commit covers stands in it,
 * and it was made when its file was. Nobody is asked, so looking costs the services nothing.
 */
async function commitsOf(table: string, format: Format): Promise<Commit[]> {
  const names = await commitFiles(table, format);
  return Promise.all(names.map((path) => readCommit(path, format)));
}

/** Oldest first: their names begin with their number. */
async function commitFiles(table: string, format: Format): Promise<string[]> {
  const folder = join(table, format === 'delta' ? '_delta_log' : '_iceberg');
  const isCommit = format === 'delta' ? /^\d{20}\.json$/ : /^\d+-.*\.metadata\.json$/;
  const names = (await readdir(folder).catch(() => [])).filter((name) => isCommit.test(name));
  return names.sort().map((name) => join(folder, name));
}

async function readCommit(path: string, format: Format): Promise<Commit> {
  const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
  const positions = (format === 'delta' ? deltaPositions(text) : icebergPositions(text)) ?? '{}';
  const ends = Object.entries(JSON.parse(positions) as Record<string, [number, number]>);
  return { atMs: mtimeMs, ends: new Map(ends.map(([partition, [, end]]) => [Number(partition), end])) };
}

function deltaPositions(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const commitInfo = line.startsWith('{"commitInfo"') ? JSON.parse(line).commitInfo : undefined;
    if (commitInfo !== undefined) return commitInfo[POSITIONS];
  }
  return undefined;
}

function icebergPositions(text: string): string | undefined {
  const metadata = JSON.parse(text);
  const current = metadata['current-snapshot-id'];
  return metadata.snapshots?.find((snapshot: Record<string, unknown>) => snapshot['snapshot-id'] === current)
    ?.summary?.[POSITIONS];
}

export interface Freshness {
  arrival: Arrival;
  /** Milliseconds from visible to committed in the later of the two formats; undefined: not committed. */
  ms: number | undefined;
}

/** How long each arrival took until both formats showed it. */
export async function freshnessOf(warehouse: string, arrivals: readonly Arrival[]): Promise<Freshness[]> {
  const byTopic = Map.groupBy(arrivals, ({ topic }) => topic);
  const found: Freshness[] = [];
  for (const [topic, own] of byTopic) {
    const tables = await Promise.all(
      (['iceberg', 'delta'] as const).map((format) => commitsOf(join(warehouse, topic), format)),
    );
    for (const arrival of own) {
      const times = tables.map(
        (commits) => commits.find(({ ends }) => (ends.get(arrival.partition) ?? 0) >= arrival.endOffset)?.atMs,
      );
      const committedMs = times.every((time) => time !== undefined) ? Math.max(...(times as number[])) : undefined;
      found.push({ arrival, ms: committedMs === undefined ? undefined : Math.max(committedMs - arrival.visibleMs, 0) });
    }
  }
  return found;
}

/** Topics whose tables do not show every offset in both formats yet. */
export async function unfinished(
  warehouse: string,
  topics: ReadonlySet<string>,
  ends: ReadonlyMap<string, ReadonlyMap<number, number>>,
): Promise<Set<string>> {
  const left = new Set<string>();
  for (const topic of topics) {
    for (const format of ['delta', 'iceberg'] as const) {
      const newest = (await commitFiles(join(warehouse, topic), format)).at(-1);
      const shown = newest === undefined ? undefined : (await readCommit(newest, format)).ends;
      if ([...ends.get(topic)!].some(([partition, end]) => (shown?.get(partition) ?? 0) < end)) left.add(topic);
    }
  }
  return left;
}
