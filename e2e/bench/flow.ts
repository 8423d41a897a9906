import { createHash } from 'node:crypto';
import { link, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listTables, openSession, reportTable, type Session, type TableReport } from '@millrace/cli';
import { formatKafkaUuid, formatSegmentFile, parseSegmentFile } from '@millrace/kafka-log';
import { isCaughtUp } from '../system/catch-up.ts';
import { millraceJson } from '../system/command-line.ts';
import { startWhole, type Whole } from '../system/whole.ts';
import { conversionShare } from './conversion-share.ts';
import { type DataSet, schemaFile } from './data-sets/data-set.ts';
import { partitionFolder, type TopicLog } from './data-sets/topic-log.ts';
import type { Round } from './measured/round.ts';
import type { MeasuredProcess } from './measured-process.ts';
import { cpuSecondsOf, peakRssMegabytes, processTree } from './process-cpu.ts';
import { PROFILABLE, profileProcess } from './process-profile.ts';
import { median } from './result.ts';

export interface FlowOptions {
  dataSet: DataSet;
  log: TopicLog;
  codec: 'zstd';
  /** A folder for its log, schemas and data; it is removed at the end. */
  root: string;
  /** For `npm start`. */
  env?: Record<string, string>;
}

const LOOK_MS = 50;
const ASK_MS = 2000;
/** Of the last rounds, which are warm. */
const SHARE_ROUNDS = 5;
const ROUND_MS = 600_000;

/**
 * `npm start -- --separate`: all seven services, each a process of its own, one converter. Every round a further
 * partition of the topic appears, all its segments at once; the round ends when both formats have committed its rows. Its
 * CPU time is that of all processes between the two, from /proc; its parts are the services. A profiled round at the end
 * tells what of the converter's time is not the conversion itself: with all other processes that is "orchestration".
 */
export async function startFlow({ dataSet, log, codec, root, env = {} }: FlowOptions): Promise<MeasuredProcess> {
  const [logDir, schemaDir, staging] = [join(root, 'log'), join(root, 'schemas'), join(root, 'staging')];
  const dataDir = join(root, 'data');
  const { name } = dataSet;
  await mkdir(join(schemaDir, `${name}-value`), { recursive: true });
  await writeFile(join(schemaDir, `${name}-value`, schemaFile(dataSet)), dataSet.schemaText);
  for (const folder of [logDir, staging]) await mkdir(folder, { recursive: true });
  let rounds = 0;
  const appear = async () => {
    const at = partitionFolder(logDir, name, rounds);
    await linkSegments(log.folders[codec]!, join(staging, String(rounds)));
    await rename(join(staging, String(rounds)), at);
  };
  const args = ['--separate', '--converters', '1', '--log', logDir, '--schemas', schemaDir];
  const whole = await startWhole({ dataDir, args, env: { NODE_OPTIONS: PROFILABLE, ...env } });
  let session: Session | undefined;
  const end = async () => {
    session?.close();
    await whole.stop();
    await rm(root, { recursive: true, force: true });
  };
  try {
    session = openSession({ dataDir });
    const ends: Record<number, number> = {};
    const location = join(dataDir, 'warehouse', 'bench', name);
    const dataBytes = () => folderBytes(join(location, 'data'));
    const converterShares: number[] = [];
    const converter = () => whole.endpoints().pids['parquet-converter']![0]!;
    const round = async (): Promise<Round> => {
      const tree = processTree(whole.endpoints().pid);
      const before = cpuSecondsOf(tree);
      const bytesBefore = await dataBytes();
      await appear();
      if (rounds === 0)
        await millraceJson(dataDir, 'topics', 'enable', name, '--table', `bench.${name}`, '--commit-interval', '1s');
      ends[rounds++] = log.records;
      await waitUntilCommitted(whole, session!, location, ends);
      const parts = cpuByService(whole, before, cpuSecondsOf(tree));
      const cpuSeconds = Object.values(parts).reduce((sum, seconds) => sum + seconds, 0);
      const bytesOut = (await dataBytes()) - bytesBefore;
      return { cpuSeconds, records: log.records, bytes: log.rawBytes, bytesOut, parts };
    };
    return {
      async round() {
        const result = await round();
        converterShares.push(result.parts!['parquet-converter']! / result.cpuSeconds);
        return result;
      },
      async shares() {
        const profile = await profileProcess(converter(), join(dataDir, 'run', 'millrace.log'), round);
        const converterShare = median(converterShares.slice(-SHARE_ROUNDS));
        return { orchestration: 1 - converterShare * conversionShare(profile) };
      },
      peakRssMegabytes: () => peakRssMegabytes(converter()),
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function cpuByService(
  whole: Whole,
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): Record<string, number> {
  const services = Object.entries(whole.endpoints().pids);
  const parts: Record<string, number> = {};
  for (const [pid, seconds] of after) {
    const part = services.find(([, pids]) => pids.includes(pid))?.[0] ?? 'supervisor';
    parts[part] = (parts[part] ?? 0) + seconds - before.get(pid)!;
  }
  return parts;
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

/**
 * Until the ledger and both formats have every offset below the ends. The services are asked only when one of the formats
 * has new files, or after a while: their answers cost CPU time too.
 */
async function waitUntilCommitted(
  whole: Whole,
  session: Session,
  location: string,
  ends: Record<number, number>,
): Promise<void> {
  const deadline = Date.now() + ROUND_MS;
  let report: TableReport | undefined;
  let [seen, askedMs] = ['', 0];
  while (Date.now() < deadline) {
    const [delta, iceberg] = await Promise.all(
      ['_delta_log', '_iceberg'].map(async (name) => (await readdir(join(location, name)).catch(() => [])).length),
    );
    const now = `${delta} ${iceberg}`;
    if (now !== seen || Date.now() - askedMs > ASK_MS) {
      [seen, askedMs] = [now, Date.now()];
      const [table] = await listTables(session);
      report = table === undefined ? undefined : await reportTable(session, table);
      if (isCaughtUp(report, ends)) return;
      if (report?.topic?.error !== undefined) break;
    }
    await sleep(LOOK_MS);
  }
  throw new Error(`the flow did not commit: ${report?.topic?.error?.message ?? 'too slow'}\n${await whole.report()}`);
}
