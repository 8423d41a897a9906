import { cp, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS, generateDemo } from '@millrace/all-in-one';
import { SERVICE_NAMES } from '@millrace/cli';
import { parsePartitionFolder, parseSegmentFile } from '@millrace/kafka-log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace, millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { liveDataFiles, storedDataFiles } from './system/live-files.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { launchWhole, startWhole, type Whole } from './system/whole.ts';

// MILLRACE_SEED repeats a run's choices (not its timing).
const SEED = Number(process.env['MILLRACE_SEED'] ?? Date.now() % 1_000_000);
const KILLS = 20;
const RECORDS_PER_TOPIC = 66_700;
const TOPICS = DEMO_TOPICS.map(({ name }) => name);
/** The flow lasts about this long, so that something is always under way when the axe falls. */
const FLOW_MS = 90_000;
let scratch: Scratch;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('crash');
});
afterAll(async () => {
  await whole?.kill();
  await scratch.remove();
});

/** A linear congruential generator is random enough for moments. */
function createDice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Segments of a staging folder, those of all partitions in turn; each is [folder, names of its files, the log last]. */
async function stagedSegments(stagingDir: string): Promise<[folder: string, files: string[]][]> {
  const queues: [string, string[]][][] = [];
  for (const folder of (await readdir(stagingDir)).filter((name) => parsePartitionFolder(name))) {
    const byBase = new Map<number, string[]>();
    for (const name of await readdir(join(stagingDir, folder))) {
      const { baseOffset, suffix } = parseSegmentFile(name)!;
      const names = byBase.get(baseOffset) ?? [];
      if (suffix === 'log') names.push(name);
      else names.unshift(name);
      byBase.set(baseOffset, names);
    }
    queues.push([...byBase].sort(([a], [b]) => a - b).map(([, names]) => [folder, names]));
  }
  const turns = Math.max(...queues.map((queue) => queue.length));
  return Array.from({ length: turns }, (_, turn) => queues.flatMap((queue) => queue.slice(turn, turn + 1))).flat();
}

test(`kill -9 at ${KILLS} random moments while 200,000 records flow: no row twice, none missing (seed ${SEED})`, async (context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  console.log(`seed ${SEED}; MILLRACE_SEED=${SEED} repeats it`);
  const dice = createDice(SEED);
  const { dataDir, logDir, schemaDir, outDir } = scratch;
  const stagingDir = join(outDir, 'staging');
  await generateDemo({
    logDir: stagingDir,
    schemaDir: join(outDir, 'schemas'),
    recordsPerTopic: RECORDS_PER_TOPIC,
    segmentBytes: 200_000,
  });
  await cp(join(outDir, 'schemas'), schemaDir, { recursive: true });

  const segments = await stagedSegments(stagingDir);
  const flow = new AbortController();
  const flowing = (async () => {
    for (const [folder, files] of segments) {
      await mkdir(join(logDir, folder), { recursive: true });
      for (const name of files) await rename(join(stagingDir, folder, name), join(logDir, folder, name));
      // Once the killing is over, the rest comes at once.
      if (!flow.signal.aborted)
        await sleep(FLOW_MS / segments.length, undefined, { signal: flow.signal }).catch(() => {});
    }
  })();

  const options = { dataDir, args: ['--records', '0', '--separate'], env: { MILLRACE_COMMIT_INTERVAL_MS: '1000' } };
  const killed: string[] = [];
  // Each of the seven at least once, in a random order.
  const turns = [...SERVICE_NAMES].map((name) => ({ name, at: dice(1e9) })).sort((a, b) => a.at - b.at);
  for (let kill = 0; kill < KILLS; kill++) {
    if (kill % 2 === 0) {
      // The whole, now and then while it is still starting.
      if (whole === undefined) whole = dice(3) === 0 ? launchWhole(options) : await startWhole(options);
      await sleep(200 + dice(3500));
      await whole.kill();
      whole = undefined;
      killed.push('all');
    } else {
      whole ??= await startWhole(options);
      await sleep(200 + dice(3500));
      const name = turns[(kill >> 1) % turns.length]!.name;
      const pids = whole.endpoints().pids[name] ?? [];
      expect(pids.length, `${name} has a process`).toBeGreaterThan(0);
      process.kill(pids[dice(pids.length)]!, 'SIGKILL');
      killed.push(name);
      // What its supervisor starts again works for a moment before the whole goes.
      await sleep(dice(2000));
    }
  }
  console.log(`killed: ${killed.join(', ')}`);
  flow.abort();
  await flowing;

  const ends: Record<string, Ends> = {};
  for (const topic of TOPICS) {
    const oracle = await runOracle(python, { logDir, schemaDir, topic, out: join(outDir, `${topic}.jsonl`) });
    expect(oracle.rows).toBe(RECORDS_PER_TOPIC);
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
  }
  whole ??= await startWhole(options);
  const all = await waitUntilCaughtUp(whole, ends, 240_000);
  for (const topic of TOPICS) {
    const { code, stdout, stderr } = await millrace(dataDir, 'verify', `demo.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
    const table = addressOf(all.get(topic)!, whole.endpoints().catalogUri);
    for (const reader of READERS.filter(({ name }) => name.startsWith('DuckDB'))) {
      await expectTable({ reader, folder: python, table, expected: join(outDir, `${topic}.jsonl`), outDir });
    }
    await millraceJson(dataDir, 'maintenance', 'run', `demo.${topic}`, 'expire', '--retention', '0s', '--keep', '1');
    await millraceJson(dataDir, 'maintenance', 'run', `demo.${topic}`, 'sweep', '--grace', '0s');
    expect(await storedDataFiles(table.location), topic).toEqual(await liveDataFiles(dataDir, 'demo', topic));
    for (const reader of READERS.filter(({ name }) => name.startsWith('DuckDB'))) {
      await expectTable({ reader, folder: python, table, expected: join(outDir, `${topic}.jsonl`), outDir });
    }
  }
});
