import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Broker, startBroker } from './peers/broker.ts';
import { requirePeers } from './peers/peers.ts';
import { runPython } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type Registry, startRegistry } from './peers/registry.ts';
import { type Ends, reports, waitForReports, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace, millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { startTcpProxy, type TcpProxy } from './system/tcp-proxy.ts';
import { startWhole, type Whole } from './system/whole.ts';

// Kafka's own broker, a real registry, Confluent's own serialisers; Confluent's own deserialisers say what is in the log.
const RECORDS = 2000;
const UNKNOWN_ID = 987_654;
let scratch: Scratch;
let python: string;
let broker: Broker | undefined;
let registry: Registry | undefined;
let proxy: TcpProxy | undefined;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('registry');
});
afterAll(async () => {
  await whole?.stop();
  await proxy?.refuse();
  await Promise.all([broker?.stop(), registry?.stop()]);
  await scratch.remove();
});

const topicScript = <T>(how: string, ...args: (string | number)[]): Promise<T> =>
  runPython<T>(python, 'registry_topic.py', [how, ...args.map(String)]);

const register = (topic: string, version: number) =>
  topicScript('register', registry!.urlAt(registry!.port), topic, version);

/** Answers with one past what will be tiered of each partition. */
const produce = (topic: string, version: number, first: number, count: number, ...options: string[]): Promise<Ends> =>
  topicScript('produce', broker!.bootstrap, registry!.urlAt(registry!.port), topic, version, first, count, ...options);

/** What Confluent's deserialiser prints of the records below `ends`; answers with the file. */
async function consume(topic: string, version: number, ends: Ends): Promise<string> {
  const out = join(scratch.outDir, `${topic}.jsonl`);
  const url = registry!.urlAt(registry!.port);
  await topicScript('consume', broker!.bootstrap, url, topic, version, JSON.stringify(ends), out);
  return out;
}

async function enable(topic: string): Promise<void> {
  const args = ['--table', `kafka.${topic}`, '--commit-interval', '1s'];
  await millraceJson(scratch.dataDir, 'topics', 'enable', topic, ...args);
}

test('records of Confluent’s serialiser with schemas in a registry become tables that every reader reads alike', async (context) => {
  const peers = await requirePeers(context, 'python', 'kafka', 'registry', 'delta-kernel');
  reportOnFailure(context, () => whole);
  python = peers.python;
  // Both are waited for, so that one which is up is stopped when the other fails.
  const starting = [
    startBroker(peers.kafka, join(scratch.outDir, 'broker')).then((started) => (broker = started)),
    startRegistry(peers.registry, python, scratch.outDir).then((started) => (registry = started)),
  ];
  await Promise.allSettled(starting);
  await Promise.all(starting);
  proxy = await startTcpProxy(registry!.port);
  await register('users', 1);
  await register('strays', 1);
  const half = await produce('users', 1, 0, RECORDS);
  whole = await startWhole({
    dataDir: scratch.dataDir,
    args: ['--records', '0', '--log', broker!.tieredDir, '--schemas', registry!.urlAt(proxy.port)],
  });
  await enable('users');
  await waitUntilCaughtUp(whole, { users: half }, 120_000);

  // Another version while it runs.
  await register('users', 2);
  const ends = await produce('users', 2, 10_000, RECORDS);
  const all = await waitUntilCaughtUp(whole, { users: ends }, 120_000);
  const { catalogUri } = whole.endpoints();
  const expected = await consume('users', 2, ends);
  for (const reader of READERS) {
    const table = addressOf(all.get('users')!, catalogUri);
    const folder = peers[reader.peer];
    const { rows } = await expectTable({ reader, folder, table, expected, outDir: scratch.outDir });
    expect(rows).toBe(2 * RECORDS + 2);
  }
  const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', 'kafka.users', '--rows');
  expect(code, stdout + stderr).toBe(0);
});

test('an unknown schema id suspends its topic at the record, and no other', async (context) => {
  await requirePeers(context, 'python', 'kafka', 'registry');
  reportOnFailure(context, () => whole);
  await produce('strays', 1, 0, RECORDS, '--unknown', `700:${UNKNOWN_ID}`);
  await enable('strays');
  const all = await waitForReports(
    whole!,
    'the suspension of strays',
    120_000,
    (seen) => seen.get('strays')?.topic?.state === TopicState.SUSPENDED,
  );
  const { error, partitions } = all.get('strays')!.topic!;
  expect(error!.message).toMatch(/topic strays, partition 0, offset 350\b/);
  expect(error!.message).toContain(String(UNKNOWN_ID));
  expect(Number(partitions.find(({ partition }) => partition === 0)?.committedOffset ?? 0)).toBeLessThanOrEqual(350);
  expect(all.get('users')!.topic!.state).toBe(TopicState.RUNNING);
  expect(all.get('users')!.topic!.error).toBeUndefined();
});

test('a registry that is away is named; afterwards all goes on by itself and nothing is lost', async (context) => {
  const peers = await requirePeers(context, 'python', 'kafka', 'registry');
  reportOnFailure(context, () => whole);
  await register('later', 1);
  const half = await produce('later', 1, 0, RECORDS);
  await enable('later');
  await waitUntilCaughtUp(whole!, { later: half }, 120_000);
  // The next version comes while Millrace can't ask for it.
  await proxy!.refuse();
  const refusedMs = Date.now();
  await register('later', 2);
  const ends = await produce('later', 2, 10_000, RECORDS);
  const away = await waitForReports(whole!, 'word of the registry', 120_000, (seen) =>
    /registry .*does not answer/.test(seen.get('later')?.topic?.error?.message ?? ''),
  );
  const { message } = away.get('later')!.topic!.error!;
  console.log(message);
  expect(message).toContain(`127.0.0.1:${proxy!.port}`);
  expect(message).toContain('ECONNREFUSED');
  const shown = await millrace(scratch.dataDir, 'topics', 'describe', 'later');
  expect(shown.stdout).toContain('registry');
  await sleep(Math.max(0, refusedMs + 5_000 - Date.now()));
  expect((await reports(scratch.dataDir)).get('later')!.topic!.state).toBe(TopicState.RUNNING);

  await proxy!.accept();
  const all = await waitUntilCaughtUp(whole!, { later: ends }, 120_000);
  const expected = await consume('later', 2, ends);
  const reader = READERS.find(({ name }) => name === 'deltalake')!;
  const table = addressOf(all.get('later')!, whole!.endpoints().catalogUri);
  await expectTable({ reader, folder: peers.python, table, expected, outDir: scratch.outDir });
  await waitForReports(whole!, 'the end of the complaint', 60_000, (seen) => !seen.get('later')?.topic?.error);
  const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', 'kafka.later', '--rows');
  expect(code, stdout + stderr).toBe(0);
});
