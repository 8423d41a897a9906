import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { waitUntilCaughtUp } from './system/catch-up.ts';
import { millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import {
  CLICK_SCHEMA,
  compileProtos,
  EVENT_PROTO,
  encode,
  MONEY_PROTO,
  messageOf,
  randomClicks,
  randomEvents,
} from './system/languages.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { framed, writeTopic } from './system/small-topic.ts';
import { startWhole, type Whole } from './system/whole.ts';

const SEED = Number(process.env['MILLRACE_SEED'] ?? 20_261_123);
const RECORDS = 400;
const EVENT_ID = 5;
const CLICK_ID = 6;
// Confluent's list of indexes [1]: the file's second message.
const SECOND_MESSAGE = [2, 2];
let scratch: Scratch;
let whole: Whole | undefined;
const clicks = randomClicks(SEED, RECORDS);

async function writeFiles(topic: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(scratch.schemaDir, `${topic}-value`, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}

const batches = (values: (Uint8Array | null)[]) =>
  Array.from({ length: values.length / 50 }, (_, at) => values.slice(at * 50, at * 50 + 50));

beforeAll(async () => {
  scratch = await createScratch('languages');
  const { logDir, dataDir } = scratch;
  const compiled = await compileProtos({ 'event.proto': EVENT_PROTO, 'shop/money.proto': MONEY_PROTO }, 'event.proto');
  const desc = messageOf(compiled, 'shop.Event');
  const events = randomEvents(SEED, RECORDS).map((json) => encode(desc, json));
  const schema = {
    [`1-${EVENT_ID}.proto`]: EVENT_PROTO,
    [`1-${EVENT_ID}.binpb`]: compiled,
    'imports/shop/money.proto': MONEY_PROTO,
  };
  await writeFiles('events', schema);
  const inFrame = (value: Uint8Array) => framed(EVENT_ID, Buffer.concat([Buffer.from(SECOND_MESSAGE), value]));
  await writeTopic(logDir, 'events', [batches(events.map(inFrame)).slice(0, 3), batches(events.map(inFrame)).slice(3)]);
  await writeTopic(logDir, 'events-plain', [batches(events)]);
  await writeFiles('visits', { [`1-${CLICK_ID}.json`]: JSON.stringify(CLICK_SCHEMA) });
  await writeTopic(logDir, 'visits', [batches(clicks.map((text) => framed(CLICK_ID, Buffer.from(text))))]);
  await writeTopic(logDir, 'visits-plain', [batches(clicks.map((text) => Buffer.from(text)))]);
  whole = await startWhole({ dataDir, args: ['--records', '0'] });
  const enable = (topic: string, ...args: string[]) =>
    millraceJson(dataDir, 'topics', 'enable', topic, '--table', `lang.${topic}`, '--commit-interval', '1s', ...args);
  await enable('events');
  await enable('events-plain', '--value', `protobuf,schema=${EVENT_ID},message=shop.Event`);
  await enable('visits');
  await enable('visits-plain', '--value', 'json');
});
afterAll(async () => {
  await whole?.stop();
  await scratch.remove();
});

/** The oracle's rows of a topic that has its subject. */
async function expectedOf(topic: string, python: string): Promise<string> {
  const { logDir, schemaDir, outDir } = scratch;
  const out = join(outDir, `${topic}.jsonl`);
  const oracle = await runOracle(python, { logDir, schemaDir, topic, out });
  expect(oracle.rows).toBe(RECORDS);
  return out;
}

async function expectEverywhere(context: TestContext, topic: string, expected: string): Promise<void> {
  const peers = await requirePeers(context, 'python');
  reportOnFailure(context, () => whole);
  const all = await waitUntilCaughtUp(whole!, { [topic]: { 0: RECORDS } }, 60_000);
  const table = addressOf(all.get(topic)!, whole!.endpoints().catalogUri);
  // Our reader of Delta Kernel knows maps by text only.
  for (const reader of READERS.filter(({ peer }) => peer === 'python'))
    await expectTable({ reader, folder: peers.python, table, expected, outDir: scratch.outDir });
}

test('Protobuf in Confluent’s frame: every reader has the values that Google’s library decodes', async (context) => {
  const { python } = await requirePeers(context, 'python');
  await expectEverywhere(context, 'events', await expectedOf('events', python));
});

test('plain Protobuf of a declared message gives the same rows', async (context) => {
  const { python } = await requirePeers(context, 'python');
  await expectEverywhere(context, 'events-plain', await expectedOf('events', python));
});

test('JSON with a schema: every reader has the values that Python’s json decodes', async (context) => {
  const { python } = await requirePeers(context, 'python');
  await expectEverywhere(context, 'visits', await expectedOf('visits', python));
});

test('JSON without a schema is its text', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const lines = (await readFile(await expectedOf('visits', python), 'utf8')).trimEnd().split('\n');
  const expected = join(scratch.outDir, 'visits-plain.jsonl');
  const rows = lines.map((line, at) => {
    const { _kafka } = JSON.parse(line) as { _kafka: object };
    return JSON.stringify({ _kafka: { ..._kafka, schema_id: null }, key: null, value: clicks[at] });
  });
  await writeFile(expected, `${rows.join('\n')}\n`);
  await expectEverywhere(context, 'visits-plain', expected);
});
