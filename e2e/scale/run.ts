import { setTimeout as sleep } from 'node:timers/promises';
import { openSession } from '@millrace/cli';
import { VersionKind } from '@millrace/proto/metadata_discovery';
import { jainIndex, type Spread, spreadOf } from './fairness.ts';
import { createFleet, type Fleet } from './fleet.ts';
import { type Arrival, freshnessOf, unfinished } from './freshness.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { type MemoryReport, type Sampling, startSampling } from './sampling.ts';
import { type Verified, verifyTables } from './verification.ts';
import { type PlannedSegment, planWorkload, type Workload } from './workload.ts';
import { createLogWriter, type LogWriter, writeSchemas } from './write-log.ts';

export const NAMESPACE = 'scale';

export interface Phase {
  seconds: number;
  /** CPU seconds by service. */
  cpu: Record<string, number>;
}

export interface ScaleReport {
  options: Options;
  topics: number;
  hotTopics: number;
  segments: number;
  /** From the first process to the last that answers. */
  startSeconds: number;
  catchUp: Phase & { records: number; spread: Spread };
  arrivals: Phase & {
    /** Seconds from visible to committed in both formats. */
    thin: Spread;
    hot: Spread;
    jain: number;
    lateWrites: number;
  };
  drain: Phase;
  idle: Phase & { looks: number; cpuMsPerTopicLook: number; lookMs: Spread; shareOfCore: number };
  restart: { discoverySeconds: number; cpuSeconds: number };
  memory: Record<string, MemoryReport>;
  commits: number;
  cpuMsPerCommit: Record<string, number>;
  verified: Verified;
}

const SETTLE_MS = 3_000;
const IDLE_MS = 40_000;
const LOOKED = 'looked at the log store';
const PATIENCE_MS = 3_600_000;

/** One whole run; throws when the deployment does not come to an end. */
export async function runScale(
  options: Options,
  root: string,
  python: string,
  progress: Progress,
): Promise<ScaleReport> {
  const workload = planWorkload(options);
  const fleet = await createFleet({
    root,
    converters: options.converters,
    database: options.database,
    settings: settingsOf(options),
    profile: options.profile,
  });
  let sampling: Sampling | undefined;
  try {
    const writer = createLogWriter(fleet.logDir);
    await writeSchemas(fleet.schemaDir, workload.topics);
    const first = workload.segments.filter(({ atMs }) => atMs === undefined);
    await writeAll(writer, first, progress);

    const startedMs = Date.now();
    await fleet.start();
    const startSeconds = (Date.now() - startedMs) / 1000;
    sampling = startSampling(fleet);
    const measure = phases(sampling);

    const initial = first.map((segment) => arrivalOf(segment, startedMs));
    await caughtUp(fleet, workload, endsOf(first), progress, 'Catch-up');
    const catchUp = measure();

    const beganMs = Date.now();
    const { arrivals, lateWrites } = await arrive(workload, writer, progress);
    const arriving = measure();
    await caughtUp(fleet, workload, endsOf(workload.segments), progress, 'Drain');
    const drain = measure();
    const drainedMs = Date.now();

    await sleep(SETTLE_MS);
    measure();
    const quietMs = Date.now();
    progress.start('Idle', IDLE_MS / 1000, 's');
    for (let s = 1; s <= IDLE_MS / 1000; s++) {
      await sleep(1000);
      progress.update(s);
    }
    progress.end();
    const idle = measure();
    const idleUntilMs = Date.now();

    const commits = await countCommits(fleet, workload);
    const totals = new Map(sampling.cpu());
    const restart = await restartDiscovery(fleet, sampling, workload.topics.length);
    const warehouse = `${fleet.warehouseDir}/${NAMESPACE}`;
    const firstFreshness = await freshnessOf(warehouse, initial);
    const freshness = await freshnessOf(warehouse, arrivals);
    const looks = (await fleet.logLines('metadata-discovery', LOOKED))
      .map((line) => ({ atMs: Date.parse(String(line['time'])), ms: Number(line['ms']) }))
      .filter(({ atMs }) => atMs >= quietMs && atMs <= idleUntilMs);
    const verified = await verifyTables(python, {
      workload,
      root,
      warehouse,
      catalogUri: fleet.catalogUri,
      poolBytes: writer.poolBytes(),
    });
    const seconds = (isHot: boolean) =>
      freshness
        .filter(({ arrival }) => workload.hot.has(arrival.topic) === isHot)
        .map(({ ms }) => (ms ?? Number.POSITIVE_INFINITY) / 1000);
    const idleCpu = sum(idle.cpu);
    const discoveryIdle = idle.cpu['metadata-discovery'] ?? 0;
    return {
      options,
      topics: workload.topics.length,
      hotTopics: workload.hot.size,
      segments: workload.segments.length,
      startSeconds,
      catchUp: {
        ...catchUp,
        records: first.reduce((total, { baseOffset, endOffset }) => total + endOffset - baseOffset, 0),
        spread: spreadOf(firstFreshness.map(({ ms }) => (ms ?? Number.POSITIVE_INFINITY) / 1000)),
      },
      arrivals: {
        ...arriving,
        thin: spreadOf(seconds(false)),
        hot: spreadOf(seconds(true)),
        // What each topic got: how fast, so the inverse of how long.
        jain: jainIndex(meanByTopic(freshness.filter(({ arrival }) => !workload.hot.has(arrival.topic)))),
        lateWrites,
      },
      drain,
      idle: {
        ...idle,
        looks: looks.length,
        cpuMsPerTopicLook: looks.length === 0 ? 0 : (discoveryIdle * 1000) / looks.length / workload.topics.length,
        lookMs: spreadOf(looks.map(({ ms }) => ms)),
        shareOfCore: idleCpu / idle.seconds,
      },
      restart,
      memory: Object.fromEntries(sampling.memory(beganMs + (drainedMs - beganMs) / 3, drainedMs)),
      commits,
      cpuMsPerCommit: Object.fromEntries(
        ['metadata-discovery', 'iceberg-rest-catalog', 'delta-committer'].map((name) => [
          name,
          (1000 * (totals.get(name) ?? 0)) / commits,
        ]),
      ),
      verified,
    };
  } finally {
    sampling?.stop();
    await fleet.stop();
  }
}

export const settingsOf = ({ commitIntervalMs, splitBytes }: Pick<Options, 'commitIntervalMs' | 'splitBytes'>) => ({
  'metadata-discovery': {
    logLevel: 'debug',
    splitBytes,
    topics: [{ pattern: 'scale-.*', namespace: NAMESPACE, commitIntervalMs }],
  },
});

const sum = (parts: Record<string, number>): number => Object.values(parts).reduce((total, part) => total + part, 0);

/** Each call ends a phase that began with the one before it. */
function phases(sampling: Sampling): () => Phase {
  let [atMs, before] = [Date.now(), sampling.cpu()];
  return () => {
    const [nowMs, now] = [Date.now(), sampling.cpu()];
    const cpu = Object.fromEntries([...now].map(([name, seconds]) => [name, seconds - (before.get(name) ?? 0)]));
    const phase = { seconds: (nowMs - atMs) / 1000, cpu };
    [atMs, before] = [nowMs, now];
    return phase;
  };
}

export async function writeAll(
  writer: LogWriter,
  segments: readonly PlannedSegment[],
  progress: Progress,
): Promise<void> {
  progress.start('Log', segments.length, 'segments');
  for (const [i, segment] of segments.entries()) {
    await writer.write(segment);
    progress.update(i + 1);
  }
  progress.end();
}

/** Writes what arrives at its time; the order is that of the times. */
async function arrive(workload: Workload, writer: LogWriter, progress: Progress) {
  const later = workload.segments.filter(({ atMs }) => atMs !== undefined).sort((a, b) => a.atMs! - b.atMs!);
  const arrivals: Arrival[] = [];
  const beganMs = Date.now();
  let lateWrites = 0;
  progress.start('Arrivals', later.length, 'segments');
  for (const segment of later) {
    const waitMs = beganMs + segment.atMs! - Date.now();
    if (waitMs > 0) await sleep(waitMs);
    else if (waitMs < -1_000) lateWrites++;
    await writer.write(segment);
    arrivals.push(arrivalOf(segment, Date.now()));
    progress.update(arrivals.length);
  }
  progress.end();
  return { arrivals, lateWrites };
}

const arrivalOf = ({ topic, partition, endOffset }: PlannedSegment, visibleMs: number): Arrival => ({
  topic,
  partition,
  endOffset,
  visibleMs,
});

export function endsOf(segments: readonly PlannedSegment[]): Map<string, Map<number, number>> {
  const ends = new Map<string, Map<number, number>>();
  for (const { topic, partition, endOffset } of segments) {
    const own = ends.get(topic) ?? new Map<number, number>();
    ends.set(topic, own.set(partition, Math.max(own.get(partition) ?? 0, endOffset)));
  }
  return ends;
}

/** Until every table shows everything in both formats, by its own files. */
export async function caughtUp(
  fleet: Fleet,
  { topics }: Workload,
  ends: ReadonlyMap<string, ReadonlyMap<number, number>>,
  progress: Progress,
  title: string,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let left: Set<string> = new Set(topics);
  progress.start(title, topics.length, 'tables');
  for (;;) {
    const lookedMs = Date.now();
    left = await unfinished(`${fleet.warehouseDir}/${NAMESPACE}`, left, ends);
    progress.update(topics.length - left.size);
    if (left.size === 0) break;
    if (Date.now() > deadline) throw new Error(`${left.size} tables did not catch up, ${[...left][0]} for one`);
    // Looking takes a tenth of the time at the most: the CPU is the services'.
    await sleep(Math.max(1_000, 9 * (Date.now() - lookedMs)));
  }
  progress.end();
}

const meanByTopic = (freshness: { arrival: Arrival; ms: number | undefined }[]): number[] =>
  [...Map.groupBy(freshness, ({ arrival }) => arrival.topic).values()].map(
    (all) => 1 / (all.reduce((total, { ms }) => total + (ms ?? Number.POSITIVE_INFINITY), 0) / all.length),
  );

/** Versions that added data, of all tables. */
async function countCommits(fleet: Fleet, { topics }: Workload): Promise<number> {
  const session = openSession({ dataDir: fleet.dataDir });
  try {
    let commits = 0;
    for (const name of topics) {
      const table = { namespace: NAMESPACE, name };
      const { versions } = await session.ledger().listVersions({ table, pageSize: 1000, withoutFiles: true });
      commits += versions.filter(({ kind }) => kind === VersionKind.APPEND).length;
    }
    return commits;
  } finally {
    session.close();
  }
}

/** metadata-discovery ends and starts again: how long until it has looked at everything, and what that takes. */
async function restartDiscovery(fleet: Fleet, sampling: Sampling, topics: number) {
  await fleet.stopService('metadata-discovery');
  const seen = (await fleet.logLines('metadata-discovery', LOOKED)).length;
  const startedMs = Date.now();
  await fleet.startService('metadata-discovery');
  while ((await fleet.logLines('metadata-discovery', LOOKED)).length === seen) {
    if (Date.now() - startedMs > 600_000)
      throw new Error(`no look at ${topics} topics within ten minutes of a restart`);
    await sleep(200);
  }
  return {
    discoverySeconds: (Date.now() - startedMs) / 1000,
    cpuSeconds: sampling.cpu().get('metadata-discovery') ?? 0,
  };
}
