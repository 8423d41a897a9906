import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { randomTopic } from './system/random-avro.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { framed, writeSchema, writeTopic } from './system/small-topic.ts';
import { startWhole, type Whole } from './system/whole.ts';

// MILLRACE_SEED=n tries other schemas; CI takes the same ones every time.
const SEED = Number(process.env['MILLRACE_SEED'] ?? 20_261_122);
const TOPICS = 24;
const RECORDS = 240;
const topics = Array.from({ length: TOPICS }, (_, at) => ({ topic: `random-${at}`, seed: SEED + at }));
const ends: Record<string, Ends> = Object.fromEntries(topics.map(({ topic }) => [topic, { 0: RECORDS }]));
let scratch: Scratch;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('avro');
  for (const [at, { topic, seed }] of topics.entries()) {
    const { schema, values } = randomTopic(seed, RECORDS);
    await writeSchema(scratch.schemaDir, topic, 1, at + 1, schema);
    const framedValues = values.map((value) => framed(at + 1, value));
    const batches = Array.from({ length: RECORDS / 40 }, (_, batch) => framedValues.slice(batch * 40, batch * 40 + 40));
    await writeTopic(scratch.logDir, topic, [batches.slice(0, 3), batches.slice(3)]);
  }
  whole = await startWhole({ dataDir: scratch.dataDir, args: ['--records', '0'] });
  for (const { topic } of topics) {
    await millraceJson(
      scratch.dataDir,
      'topics',
      'enable',
      topic,
      '--table',
      `avro.${topic}`,
      '--commit-interval',
      '1s',
    );
  }
});
afterAll(async () => {
  await whole?.stop();
  await scratch.remove();
});

test.for(topics)(
  'random schema of seed $seed: values by avsc equal fastavro’s through our files',
  async ({ topic }, context) => {
    const peers = await requirePeers(context, 'python', 'delta-kernel');
    reportOnFailure(context, () => whole);
    const { logDir, schemaDir, outDir } = scratch;
    const expected = join(outDir, `${topic}.jsonl`);
    const oracle = await runOracle(peers.python, { logDir, schemaDir, topic, out: expected });
    expect(oracle.rows).toBe(RECORDS);
    const all = await waitUntilCaughtUp(whole!, { [topic]: ends[topic]! }, 60_000);
    const table = addressOf(all.get(topic)!, whole!.endpoints().catalogUri);
    for (const reader of READERS.filter(({ name }) => ['DuckDB (Iceberg)', 'Delta Kernel'].includes(name))) {
      await expectTable({ reader, folder: peers[reader.peer], table, expected, outDir });
    }
  },
);
