import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TopicState } from '@millrace/proto/metadata_discovery';
import avro from 'avsc';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from './peers/command.ts';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { isCaughtUp, reports, waitForReports, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace, millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { framed, partitionDir, writeSchema, writeTopic } from './system/small-topic.ts';
import { startWhole, type Whole } from './system/whole.ts';

// Each topic: 3 segments of 5 batches of 20 records; what is broken stands in the second segment's third batch.
const RECORDS = 300;
const BATCH = { first: 140, last: 159 };
const RECORD = 147;
const UNKNOWN_ID = 9999;
const POLICIES = ['suspend', 'skip', 'log'] as const;

interface Fault {
  name: string;
  /** Offsets that can't become rows. */
  lost: { first: number; last: number };
  /** What the message must say. */
  says: RegExp;
  value?: (intact: Buffer) => Buffer;
  damage?: (log: Uint8Array, batchPositions: number[]) => Uint8Array;
}

const FAULTS: Fault[] = [
  {
    name: 'corrupt',
    lost: BATCH,
    says: /CRC/,
    damage(log, positions) {
      const copy = Uint8Array.from(log);
      copy[positions[2]! + 90]! ^= 0x10;
      return copy;
    },
  },
  {
    name: 'truncated',
    lost: { first: BATCH.first, last: 199 },
    says: /cut off|truncated/,
    damage: (log, positions) => log.subarray(0, positions[2]! + 100),
  },
  {
    name: 'unknown-schema',
    lost: { first: RECORD, last: RECORD },
    says: new RegExp(String(UNKNOWN_ID)),
    value: (intact) => framed(UNKNOWN_ID, intact.subarray(5)),
  },
  {
    name: 'breaks-schema',
    lost: { first: RECORD, last: RECORD },
    says: /note|value|record/i,
    value: (intact) => intact.subarray(0, intact.length - 4),
  },
];

const SCHEMA: avro.Schema = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'level', type: 'double' },
    { name: 'note', type: 'string' },
  ],
};

let scratch: Scratch;
let intactLogDir: string;
let whole: Whole | undefined;
const topicOf = (fault: Fault, policy: string) => `${fault.name}-${policy}`;
const TOPICS = ['healthy', ...FAULTS.flatMap((fault) => POLICIES.map((policy) => topicOf(fault, policy)))];

beforeAll(async () => {
  scratch = await createScratch('errors');
  intactLogDir = join(scratch.outDir, 'intact');
  const type = avro.Type.forSchema(SCHEMA);
  const build = async (logDir: string, topic: string, schemaId: number, fault?: Fault) => {
    const value = (offset: number) => {
      const intact = framed(schemaId, type.toBuffer({ id: offset, level: offset / 8, note: `reading ${offset}` }));
      return offset === RECORD && fault?.value ? fault.value(intact) : intact;
    };
    const segments = [0, 1, 2].map((segment) =>
      [0, 1, 2, 3, 4].map((batch) => Array.from({ length: 20 }, (_, i) => value(segment * 100 + batch * 20 + i))),
    );
    await writeTopic(logDir, topic, segments, (at, log, positions) =>
      at === 1 && fault?.damage ? fault.damage(log, positions) : log,
    );
  };
  for (const [at, topic] of TOPICS.entries()) {
    const fault = FAULTS.find(({ name }) => topic.startsWith(name));
    await writeSchema(scratch.schemaDir, topic, 1, at + 1, SCHEMA);
    await build(intactLogDir, topic, at + 1);
    await build(scratch.logDir, topic, at + 1, fault);
  }
  whole = await startWhole({ dataDir: scratch.dataDir, args: ['--records', '0'] });
  for (const topic of TOPICS) {
    const policy = POLICIES.find((name) => topic.endsWith(name)) ?? 'suspend';
    const args = ['--table', `errors.${topic}`, '--on-error', policy, '--commit-interval', '1s'];
    await millraceJson(scratch.dataDir, 'topics', 'enable', topic, ...args);
  }
});
afterAll(async () => {
  await whole?.stop();
  await scratch.remove();
});

/** The table equals the intact log without these offsets (and below `before`), by both DuckDB readers. */
async function expectRows(
  python: string,
  topic: string,
  options: { lost?: { first: number; last: number }; before?: number; logDir?: string },
): Promise<void> {
  const { schemaDir, outDir } = scratch;
  const { first = 0, last = -1 } = options.lost ?? {};
  const expected = join(outDir, `${topic}.jsonl`);
  await runOracle(python, {
    logDir: options.logDir ?? intactLogDir,
    schemaDir,
    topic,
    out: expected,
    without: Array.from({ length: last - first + 1 }, (_, i) => [0, first + i]),
    ...(options.before === undefined ? {} : { before: { 0: options.before } }),
  });
  const table = addressOf((await reports(scratch.dataDir)).get(topic)!, whole!.endpoints().catalogUri);
  for (const reader of READERS.filter(({ name }) => name.startsWith('DuckDB'))) {
    await expectTable({ reader, folder: python, table, expected, outDir });
  }
  const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', `errors.${topic}`, '--rows');
  expect(code, stdout + stderr).toBe(0);
}

test('a healthy topic goes on whatever happens to the others', async (context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  await waitUntilCaughtUp(whole!, { healthy: { 0: RECORDS } }, 60_000);
  await expectRows(python, 'healthy', {});
});

test.for(FAULTS)('$name, policy skip: the rest is there, what is left out is counted', async (fault, context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  const topic = topicOf(fault, 'skip');
  const all = await waitUntilCaughtUp(whole!, { [topic]: { 0: RECORDS } }, 90_000);
  expect(Number(all.get(topic)!.topic!.skippedCount)).toBe(fault.lost.last - fault.lost.first + 1);
  await expectRows(python, topic, { lost: fault.lost });
});

test.for(FAULTS)(
  '$name, policy log: a dead letter says topic, partition, offset, code and reason',
  async (fault, context) => {
    const { python } = await requirePeers(context, 'python');
    reportOnFailure(context, () => whole);
    const topic = topicOf(fault, 'log');
    const all = await waitUntilCaughtUp(whole!, { [topic]: { 0: RECORDS } }, 90_000);
    const report = all.get(topic)!;
    expect(Number(report.topic!.deadLetterCount)).toBeGreaterThan(0);
    await expectRows(python, topic, { lost: fault.lost });
    const folder = join(fileURLToPath(report.table.location), '_dead_letters');
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.parquet'));
    const letters = await readParquet(python, join(folder, files[0]!));
    expect(letters[0]).toMatchObject({ topic, partition: 0, offset: fault.lost.first });
    expect(letters[0]!['code']).toMatch(/^[a-z-]+$/);
    expect(letters[0]!['reason']).toMatch(fault.says);
  },
);

test.for(FAULTS)('$name, policy suspend: the table stops before it and says where and why', async (fault, context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  const topic = topicOf(fault, 'suspend');
  const all = await waitForReports(
    whole!,
    `the suspension of ${topic}`,
    90_000,
    (seen) =>
      seen.get(topic)?.topic?.state === TopicState.SUSPENDED &&
      isCaughtUp({ ...seen.get(topic)!, topic: { ...seen.get(topic)!.topic!, pendingSplits: 0 } }, {}),
  );
  const { error, partitions } = all.get(topic)!.topic!;
  console.log(`${topic}: ${error!.message}`);
  expect(error!.message).toMatch(fault.says);
  expect(error!.message).toContain(topic);
  expect(error!.message).toMatch(/partition 0/);
  expect(error!.message).toContain(String(fault.lost.first));
  const committed = Number(partitions[0]?.committedOffset ?? 0);
  expect(committed).toBeLessThanOrEqual(fault.lost.first);
  await expectRows(python, topic, { before: committed });
  const shown = await millrace(scratch.dataDir, 'topics', 'describe', topic);
  expect(shown.stdout).toContain(error!.message.slice(0, 40));
});

test('after the schema has come, a resumed topic has every row', async (context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  const topic = 'unknown-schema-suspend';
  await writeSchema(scratch.schemaDir, topic, 2, UNKNOWN_ID, SCHEMA);
  await millraceJson(scratch.dataDir, 'topics', 'resume', topic);
  await waitUntilCaughtUp(whole!, { [topic]: { 0: RECORDS } }, 60_000);
  await expectRows(python, topic, { logDir: scratch.logDir });
});

test('after the segment has been put right, a resumed topic has every row', async (context) => {
  const { python } = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  const topic = 'corrupt-suspend';
  await cp(partitionDir(intactLogDir, topic), partitionDir(scratch.logDir, topic), { recursive: true });
  await millraceJson(scratch.dataDir, 'topics', 'resume', topic);
  await waitUntilCaughtUp(whole!, { [topic]: { 0: RECORDS } }, 60_000);
  await expectRows(python, topic, {});
});

async function readParquet(python: string, file: string): Promise<Record<string, unknown>[]> {
  const script = `import json, sys, pyarrow.parquet as pq
print(json.dumps(pq.read_table(sys.argv[1]).to_pylist(), default=str))`;
  const { stdout } = await runCommand(join(python, 'bin', 'python'), ['-c', script, file]);
  return JSON.parse(stdout);
}
