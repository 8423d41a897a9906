import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS } from '@millrace/all-in-one';
import { parsePartitionFolder } from '@millrace/kafka-log';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { runCommand } from './peers/command.ts';
import { runJava } from './peers/java.ts';
import { requirePeers } from './peers/peers.ts';
import { runOracle, runPython } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { appendCopyOfFirstBatch } from './system/append-segment.ts';
import { type Ends, reports, waitForReports, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace, millraceJson } from './system/command-line.ts';
import { addressOf, expectTable, hasFormat } from './system/equal-tables.ts';
import { liveDataFiles, storedDataFiles } from './system/live-files.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { runWhole, startWhole, type Whole } from './system/whole.ts';

// One data folder lives through these tests, in their order, as it would with a user.
const RECORDS = 20_000;
const TOPICS = DEMO_TOPICS.map(({ name }) => name);
let scratch: Scratch;
let whole: Whole | undefined;
let firstVersions: Map<string, bigint>;
const ends: Record<string, Ends> = {};

beforeAll(async () => {
  scratch = await createScratch('demo');
});
afterAll(async () => {
  await whole?.stop();
  await scratch.remove();
});

const expectedRows = (topic: string) => join(scratch.outDir, `${topic}.jsonl`);

/** What the log holds now, by the oracle. */
async function askOracle(python: string): Promise<void> {
  for (const topic of TOPICS) {
    const { logDir, schemaDir } = scratch;
    const oracle = await runOracle(python, { logDir, schemaDir, topic, out: expectedRows(topic) });
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
  }
}

/** Every table, in every format that it has, by every reader, equals the oracle. */
async function expectAllEqual(context: TestContext, topics = TOPICS, readers = READERS): Promise<void> {
  const peers = await requirePeers(context, 'python', 'delta-kernel');
  const all = await reports(scratch.dataDir);
  const { catalogUri } = whole!.endpoints();
  for (const topic of topics) {
    for (const reader of readers) {
      const report = all.get(topic)!;
      if (!hasFormat(report, reader)) continue;
      await expectTable({
        reader,
        folder: peers[reader.peer],
        table: addressOf(report, catalogUri),
        expected: expectedRows(topic),
        outDir: scratch.outDir,
      });
    }
  }
}

async function expectVerified(): Promise<void> {
  for (const topic of TOPICS) {
    const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', `demo.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
  }
}

test('npm start -- --exit-when-caught-up ends with exit code 0 within two minutes', async () => {
  const args = ['--exit-when-caught-up', '--records', String(RECORDS)];
  const run = await runWhole({ dataDir: scratch.dataDir, args, timeoutMs: 240_000 });
  expect(run.code, run.report).toBe(0);
  expect(run.durationMs).toBeLessThan(120_000);
  for (const topic of TOPICS) expect(run.output).toContain(`demo.${topic}`);
  expect(run.output).toMatch(/Iceberg REST catalog: http:\/\/127\.0\.0\.1:\d+/);
  for (const engine of ['DuckDB', 'PyIceberg', 'Spark']) expect(run.output).toContain(engine);
  console.log(`caught up in ${run.durationMs} ms`);
});

test('kafka-python reads every record of the demo segments', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const topics = await runPython<Record<string, { records: number; segments: number; codecs: Record<string, number> }>>(
    python,
    'check_segments.py',
    [scratch.logDir],
  );
  expect(Object.keys(topics).sort()).toEqual([...TOPICS].sort());
  const codecs = new Set<string>();
  for (const { records, codecs: used } of Object.values(topics)) {
    expect(records).toBe(RECORDS);
    for (const codec of Object.keys(used)) codecs.add(codec);
  }
  expect([...codecs].sort()).toEqual(['gzip', 'lz4', 'none', 'snappy', 'zstd']);
});

test('the broker’s own classes accept the demo segments and their indexes', async (context) => {
  const { kafka } = await requirePeers(context, 'kafka');
  const { stdout } = await runJava(kafka, 'CheckSegments', [scratch.logDir]);
  expect(Number(stdout.split(' ')[1])).toBe(RECORDS * TOPICS.length);
});

test('a second start goes on where the first stopped: nothing is read or written again', async (context) => {
  reportOnFailure(context, () => whole);
  whole = await startWhole({ dataDir: scratch.dataDir, args: ['--records', String(RECORDS)] });
  const all = await waitForReports(whole, 'three tables', 60_000, (seen) => TOPICS.every((topic) => seen.has(topic)));
  firstVersions = new Map([...all].map(([topic, { table }]) => [topic, table.version]));
  const before = await Promise.all(TOPICS.map((topic) => storedDataFiles(addressOf(all.get(topic)!, '').location)));
  await sleep(3000);
  const later = await reports(scratch.dataDir);
  for (const [at, topic] of TOPICS.entries()) {
    expect(later.get(topic)!.table.version).toBe(firstVersions.get(topic));
    expect(Number(later.get(topic)!.topic!.recordCount)).toBe(RECORDS);
    expect(await storedDataFiles(addressOf(later.get(topic)!, '').location)).toEqual(before[at]);
  }
});

test.for(READERS.flatMap((reader) => TOPICS.map((topic) => ({ reader, topic }))))(
  '$reader.name reads $topic equal to the independent decode',
  async ({ reader, topic }, context) => {
    reportOnFailure(context, () => whole);
    const peers = await requirePeers(context, 'python', reader.peer);
    if (ends[topic] === undefined) await askOracle(peers.python);
    const table = addressOf((await reports(scratch.dataDir)).get(topic)!, whole!.endpoints().catalogUri);
    const { rows } = await expectTable({
      reader,
      folder: peers[reader.peer],
      table,
      expected: expectedRows(topic),
      outDir: scratch.outDir,
    });
    expect(rows).toBe(RECORDS);
  },
);

test('the PyIceberg line that npm start prints works as it is', async (context) => {
  const { python } = await requirePeers(context, 'python');
  await waitForReports(whole!, 'the lines to paste', 30_000, () => whole!.output().includes('load_catalog('));
  const [imported, expression] = whole!
    .output()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes('load_catalog'));
  const { stdout } = await runCommand(join(python, 'bin', 'python'), [
    '-c',
    `${imported}\nprint(${expression}.num_rows)`,
  ]);
  expect(Number(stdout)).toBe(RECORDS);
});

test('the catalog tells of ledger version and offsets in its snapshots, and Delta in its commits', async () => {
  const all = await reports(scratch.dataDir);
  for (const topic of TOPICS) {
    const { iceberg, delta, table } = all.get(topic)!;
    expect(iceberg!.ledgerVersion).toBe(table.version);
    expect(delta!.ledgerVersion).toBe(table.version);
    expect([delta!.minReaderVersion, delta!.minWriterVersion]).toEqual([1, 2]);
  }
});

test('millrace verify proves every table, row by row', async (context) => {
  reportOnFailure(context, () => whole);
  await expectVerified();
});

test('switching Delta off and on again is a metadata commit: no data file changes, Iceberg is untouched', async (context) => {
  reportOnFailure(context, () => whole);
  const { location } = addressOf((await reports(scratch.dataDir)).get('clicks')!, '');
  const stamp = async () =>
    Promise.all(
      (await storedDataFiles(location)).map(async (path) => [path, (await stat(join(location, path))).mtimeMs]),
    );
  const files = await stamp();
  const snapshot = (await reports(scratch.dataDir)).get('clicks')!.iceberg!.snapshotId;

  await millraceJson(scratch.dataDir, 'topics', 'disable', 'clicks', '--format', 'delta');
  const off = await waitForReports(whole!, 'Delta off', 30_000, (all) => all.get('clicks')!.delta?.enabled === false);
  expect(off.get('clicks')!.iceberg!.enabled).toBe(true);
  await expectAllEqual(context, ['clicks']);
  const table = addressOf(off.get('clicks')!, whole!.endpoints().catalogUri);
  const { python } = await requirePeers(context, 'python');
  const deltalake = READERS.find(({ name }) => name === 'deltalake')!;
  // Its log stays readable as of that commit.
  await expectTable({
    reader: deltalake,
    folder: python,
    table,
    expected: expectedRows('clicks'),
    outDir: scratch.outDir,
  });

  await millraceJson(scratch.dataDir, 'topics', 'update', 'clicks', '--formats', 'iceberg,delta');
  await waitForReports(whole!, 'Delta on', 30_000, (all) => {
    const { delta, table: ledger } = all.get('clicks')!;
    return delta?.enabled === true && delta.ledgerVersion >= ledger.version;
  });
  await expectAllEqual(context, ['clicks']);
  expect(await stamp()).toEqual(files);
  expect((await reports(scratch.dataDir)).get('clicks')!.iceberg!.snapshotId).toBe(snapshot);
});

test('switching Iceberg off and on again leaves Delta untouched', async (context) => {
  reportOnFailure(context, () => whole);
  const delta = (await reports(scratch.dataDir)).get('payments')!.delta!;
  await millraceJson(scratch.dataDir, 'topics', 'disable', 'payments', '--format', 'iceberg');
  await waitForReports(whole!, 'Iceberg off', 30_000, (all) => all.get('payments')!.iceberg?.enabled === false);
  await expectAllEqual(context, ['payments']);
  await millraceJson(scratch.dataDir, 'topics', 'update', 'payments', '--formats', 'iceberg,delta');
  const on = await waitForReports(whole!, 'Iceberg on', 30_000, (all) => {
    const { iceberg, table } = all.get('payments')!;
    return iceberg?.enabled === true && iceberg.ledgerVersion >= table.version;
  });
  await expectAllEqual(context, ['payments']);
  expect(on.get('payments')!.delta!.fileCount).toBe(delta.fileCount);
});

test('compaction, expiry and sweep keep every value and leave no file behind', async (context) => {
  reportOnFailure(context, () => whole);
  for (const topic of TOPICS) {
    const name = `demo.${topic}`;
    const before = (await reports(scratch.dataDir)).get(topic)!.topic!;
    const compact = ['--min-files', '2', '--small-file', '1G', '--target-file', '1G'];
    await millraceJson(scratch.dataDir, 'maintenance', 'run', name, 'compact', ...compact);
    const after = (await reports(scratch.dataDir)).get(topic)!.topic!;
    expect(after.fileCount, name).toBeLessThan(before.fileCount);
    expect(after.recordCount).toBe(before.recordCount);
  }
  await waitUntilCaughtUp(whole!, ends, 30_000);
  const quickest = READERS.filter(({ name }) => name.startsWith('DuckDB'));
  await expectAllEqual(context, TOPICS, quickest);
  for (const topic of TOPICS) {
    const name = `demo.${topic}`;
    await millraceJson(scratch.dataDir, 'maintenance', 'run', name, 'expire', '--retention', '0s', '--keep', '1');
    await millraceJson(scratch.dataDir, 'maintenance', 'run', name, 'sweep', '--grace', '0s');
    const { location } = addressOf((await reports(scratch.dataDir)).get(topic)!, '');
    expect(await storedDataFiles(location)).toEqual(await liveDataFiles(scratch.dataDir, 'demo', topic));
  }
  await expectAllEqual(context);
  await expectVerified();
});

test('a segment that comes later is followed, also one that came while nothing ran', async (context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  const folders = (await readdir(scratch.logDir))
    .filter((name) => parsePartitionFolder(name)?.topic === 'orders')
    .sort();
  await appendCopyOfFirstBatch(join(scratch.logDir, folders[0]!));
  await askOracle(python);
  await waitUntilCaughtUp(whole!, { orders: ends['orders']! }, 60_000);

  expect(await whole!.stop()).toBe(0);
  whole = undefined;
  await appendCopyOfFirstBatch(join(scratch.logDir, folders[1]!));
  await askOracle(python);
  const args = ['--exit-when-caught-up', '--records', String(RECORDS)];
  const run = await runWhole({ dataDir: scratch.dataDir, args, timeoutMs: 120_000 });
  expect(run.code, run.report).toBe(0);

  whole = await startWhole({ dataDir: scratch.dataDir, args: ['--records', String(RECORDS)] });
  await waitUntilCaughtUp(whole, ends, 60_000);
  await expectAllEqual(context);
  await expectVerified();
});

test('verify works on the stored tables alone when nothing runs', async () => {
  expect(await whole!.stop()).toBe(0);
  whole = undefined;
  const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', 'demo.orders', '--rows');
  expect(code, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/ledger was not asked/i);
});
