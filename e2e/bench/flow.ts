import { createHash } from 'node:crypto';
import { link, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listTables, openSession, reportTable, type Session, type TableReport } from '@millrace/cli';
import { formatKafkaUuid, formatSegmentFile, parseSegmentFile } from '@millrace/kafka-log';
import { isCaughtUp } from '../system/catch-up.ts';
import { millraceJson } from '../system/command-line.ts';
import { startWhole, type Whole } from '../system/whole.ts';
import { type DataSet, SCHEMA_ID } from './data-sets/data-set.ts';
import { partitionFolder, type TopicLog } from './data-sets/topic-log.ts';
import type { Round } from './measured/round.ts';
import type { MeasuredProcess } from './measured-process.ts';
import { cpuSecondsOf, peakRssMegabytes, processTree } from './process-cpu.ts';

export interface FlowOptions {
  dataSet: DataSet;
  log: TopicLog;
  codec: 'zstd';
  /** For every process of the whole. */
  env?: Record<string, string>;
  /** Told when a round's segments appear, and when both formats have them. */
  onRound?: (n: number, begin: bigint, end: bigint) => void;
}

/** The whole of Millrace while a topic grows. */
export interface Flow extends MeasuredProcess {
  endpoints: Whole['endpoints'];
}

const POLL_MS = 500;
const ROUND_MS = 600_000;

/**
 * `npm start -- --separate`: all seven services, each a process of its own, one converter. Every round a further
 * partition of the topic appears, all its segments at once; the round ends when both formats have committed its rows. Its
 * CPU time is that of all processes between the two, from /proc; its parts are the services.
 */
export async function startFlow({ dataSet, log, codec, env = {}, onRound }: FlowOptions): Promise<Flow> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-bench-flow-'));
  const [logDir, schemaDir, staging] = [join(root, 'log'), join(root, 'schemas'), join(root, 'staging')];
  const dataDir = join(root, 'data');
  const { name } = dataSet;
  await mkdir(join(schemaDir, `${name}-value`), { recursive: true });
  await writeFile(join(schemaDir, `${name}-value`, `1-${SCHEMA_ID}.avsc`), dataSet.schemaText);
  for (const folder of [logDir, staging]) await mkdir(folder, { recursive: true });
  let rounds = 0;
  const appear = async () => {
    const at = partitionFolder(logDir, name, rounds);
    await linkSegments(log.folders[codec]!, join(staging, String(rounds)));
    await rename(join(staging, String(rounds)), at);
  };
  const args = ['--separate', '--converters', '1', '--log', logDir, '--schemas', schemaDir];
  const whole = await startWhole({ dataDir, args, env });
  let session: Session | undefined;
  const end = async () => {
    session?.close();
    await whole.stop();
    await rm(root, { recursive: true, force: true });
  };
  try {
    session = openSession({ dataDir });
    const ends: Record<number, number> = {};
    const caughtUp = () => waitUntilCommitted(whole, session!, ends);
    const location = join(dataDir, 'warehouse', 'bench', name, 'data');
    return {
      endpoints: () => whole.endpoints(),
      async round() {
        const { pid } = whole.endpoints();
        const tree = processTree(pid);
        const before = cpuSecondsOf(tree);
        const sizeBefore = await folderBytes(location);
        const begin = process.hrtime.bigint();
        await appear();
        if (rounds === 0)
          await millraceJson(dataDir, 'topics', 'enable', name, '--table', `bench.${name}`, '--commit-interval', '1s');
        ends[rounds] = log.records;
        await caughtUp();
        const after = cpuSecondsOf(tree);
        onRound?.(rounds, begin, process.hrtime.bigint());
        rounds++;
        const services = new Map(
          Object.entries(whole.endpoints().pids).flatMap(([of, pids]) => pids.map((p) => [p, of])),
        );
        const parts: Record<string, number> = {};
        for (const [process, seconds] of after) {
          const part = services.get(process) ?? 'supervisor';
          parts[part] = (parts[part] ?? 0) + seconds - before.get(process)!;
        }
        const cpuSeconds = Object.values(parts).reduce((sum, seconds) => sum + seconds, 0);
        const bytesOut = (await folderBytes(location)) - sizeBefore;
        return { cpuSeconds, records: log.records, bytes: log.rawBytes, bytesOut, parts } satisfies Round;
      },
      peakRssMegabytes: () => peakRssMegabytes(whole.endpoints().pids['parquet-converter']![0]!),
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** The same segments under ids of their own: a segment's id is its own in the whole log. */
async function linkSegments(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const file of await readdir(from)) {
    const parsed = parseSegmentFile(file)!;
    const hash = createHash('sha256').update(`${to}/${parsed.baseOffset}`).digest().subarray(0, 16);
    await link(join(from, file), join(to, formatSegmentFile({ ...parsed, segmentId: formatKafkaUuid(hash) })));
  }
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function waitUntilCommitted(whole: Whole, session: Session, ends: Record<number, number>): Promise<void> {
  const deadline = Date.now() + ROUND_MS;
  let report: TableReport | undefined;
  while (Date.now() < deadline) {
    const [table] = await listTables(session);
    report = table === undefined ? undefined : await reportTable(session, table);
    if (isCaughtUp(report, ends)) return;
    if (report?.topic?.error !== undefined) break;
    await sleep(POLL_MS);
  }
  throw new Error(`the flow did not commit: ${report?.topic?.error?.message ?? 'too slow'}\n${await whole.report()}`);
}
