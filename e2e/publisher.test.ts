import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS } from '@millrace/all-in-one';
import { parsePartitionFolder } from '@millrace/kafka-log';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { runCommand } from './peers/command.ts';
import { startIcebergRest } from './peers/iceberg-rest.ts';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { appendCopyOfFirstBatch } from './system/append-segment.ts';
import { type Ends, reports, waitForReports, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace, millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { startWhole, type Whole } from './system/whole.ts';

// One data folder and one outside catalog, Iceberg's own REST server, live through these tests in their order.
const RECORDS = 2000;
const TOPICS = DEMO_TOPICS.map(({ name }) => name);
const OTHER = 'other';
const PY_ICEBERG = READERS.find(({ name }) => name === 'PyIceberg')!;
let scratch: Scratch;
let python: string;
let other: { uri: string; stop: () => Promise<void> } | undefined;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('publisher');
});
afterAll(async () => {
  await whole?.stop();
  await other?.stop();
  await scratch.remove();
});

async function prepare(context: TestContext): Promise<void> {
  const peers = await requirePeers(context, 'python', 'iceberg-rest');
  reportOnFailure(context, () => whole);
  python = peers.python;
  other ??= await startIcebergRest(peers['iceberg-rest'], scratch.outDir);
  whole ??= await startWhole({ dataDir: scratch.dataDir, args: ['--records', String(RECORDS)] });
}

const expectedRows = (topic: string) => join(scratch.outDir, `${topic}.jsonl`);

/** What the log holds now, by the oracle; waits until the tables hold it too. */
async function catchUp(topics: readonly string[]): Promise<void> {
  const ends: Record<string, Ends> = {};
  for (const topic of topics) {
    const { logDir, schemaDir } = scratch;
    const oracle = await runOracle(python, { logDir, schemaDir, topic, out: expectedRows(topic) });
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
  }
  await waitUntilCaughtUp(whole!, ends, 120_000);
}

interface Publication {
  table: { namespace: string; name: string };
  pointer: string;
  seenPointer: string;
  drifted: boolean;
  error?: { message: string };
}

/** Until the other catalog, read back by Millrace, shows each table as our own catalog does. */
async function waitUntilPublished(topics: readonly string[]): Promise<void> {
  let last: Publication[] = [];
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(300)) {
    const all = await reports(scratch.dataDir);
    const listed = await millraceJson<{ publications: Publication[] }>(scratch.dataDir, 'catalogs', 'list');
    last = listed.publications;
    const shown = (topic: string) => last.find(({ table }) => table.name === all.get(topic)!.table.table!.name);
    if (topics.every((topic) => shown(topic)?.seenPointer === all.get(topic)!.iceberg!.metadataLocation)) return;
  }
  throw new Error(`not published: ${JSON.stringify(last, undefined, 1)}`);
}

/** PyIceberg, which knows nothing of our catalog, reads the table through the other one. */
async function expectThere(topic: string): Promise<void> {
  const table = addressOf((await reports(scratch.dataDir)).get(topic)!, other!.uri);
  const { outDir } = scratch;
  await expectTable({ reader: PY_ICEBERG, folder: python, table, expected: expectedRows(topic), outDir });
}

/** Runs an expression on PyIceberg's `catalog`, the other one. */
async function there<T>(expression: string): Promise<T> {
  const script = `import json, sys
from pyiceberg.catalog import load_catalog
catalog = load_catalog("other", type="rest", uri=sys.argv[1])
print(json.dumps(${expression}))`;
  const { stdout } = await runCommand(join(python, 'bin', 'python'), ['-c', script, other!.uri]);
  return JSON.parse(stdout) as T;
}

test('tables of an added catalog appear there, equal for who reads them there', async (context) => {
  await prepare(context);
  await waitForReports(whole!, 'the demo’s tables', 60_000, (seen) => TOPICS.every((topic) => seen.has(topic)));
  await catchUp(TOPICS);
  await millraceJson(scratch.dataDir, 'catalogs', 'add', OTHER, '--uri', other!.uri);
  await waitUntilPublished(TOPICS);
  expect((await there<string[][]>('catalog.list_tables("demo")')).sort()).toEqual(
    TOPICS.map((topic) => ['demo', topic]).sort(),
  );
  for (const topic of TOPICS) await expectThere(topic);
});

test('new data arrives there', async (context) => {
  await prepare(context);
  const topic = TOPICS[0]!;
  const folders = await readdir(scratch.logDir);
  const folder = folders.find((name) => parsePartitionFolder(name)?.topic === topic)!;
  await appendCopyOfFirstBatch(join(scratch.logDir, folder));
  await catchUp([topic]);
  await waitUntilPublished([topic]);
  await expectThere(topic);
});

test('a table that was dropped there is put back by publish, which tells of the drift', async (context) => {
  await prepare(context);
  const topic = TOPICS[0]!;
  await there(`catalog.drop_table(("demo", "${topic}"))`);
  const published = await millraceJson<Publication[]>(scratch.dataDir, 'catalogs', 'publish', OTHER);
  expect(published.map(({ table }) => table.name).sort()).toEqual([...TOPICS].sort());
  for (const publication of published) {
    expect(publication.error).toBeUndefined();
    expect(publication.seenPointer).toBe(publication.pointer);
    expect(publication.drifted, publication.table.name).toBe(publication.table.name === topic);
  }
  await expectThere(topic);
});

test('remove --withdraw takes the tables away there and leaves ours whole', async (context) => {
  await prepare(context);
  await millraceJson(scratch.dataDir, 'catalogs', 'remove', OTHER, '--withdraw');
  expect(await there<string[][]>('catalog.list_tables("demo")')).toEqual([]);
  const listed = await millraceJson<object>(scratch.dataDir, 'catalogs', 'list');
  expect(listed).toEqual({ integrations: [], publications: [] });
  const all = await reports(scratch.dataDir);
  const { outDir } = scratch;
  for (const topic of TOPICS) {
    const table = addressOf(all.get(topic)!, whole!.endpoints().catalogUri);
    await expectTable({ reader: PY_ICEBERG, folder: python, table, expected: expectedRows(topic), outDir });
    const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', `demo.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
  }
});
