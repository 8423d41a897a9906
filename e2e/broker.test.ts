import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Broker, startBroker } from './peers/broker.ts';
import { expectSameRows } from './peers/canonical-rows.ts';
import { runJava } from './peers/java.ts';
import { requirePeers } from './peers/peers.ts';
import { runOracle } from './peers/python.ts';
import { READERS } from './peers/readers.ts';
import { type Ends, waitUntilCaughtUp } from './system/catch-up.ts';
import { millrace, millraceJson } from './system/command-line.ts';
import { addressOf, expectTable } from './system/equal-tables.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { startWhole, type Whole } from './system/whole.ts';

// Kafka's own broker and producer make the segments; Kafka's own consumer says what is in them.
const RECORDS = 6000;
let scratch: Scratch;
let broker: Broker | undefined;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('broker');
});
afterAll(async () => {
  await whole?.stop();
  await broker?.stop();
  await scratch.remove();
});

test('segments of a real broker become tables equal to what the Java consumer prints', async (context) => {
  const peers = await requirePeers(context, 'kafka', 'python', 'delta-kernel');
  reportOnFailure(context, () => whole);
  broker = await startBroker(peers.kafka, join(scratch.outDir, 'broker'));
  const produced = await runJava(peers.kafka, 'Produce', [broker.bootstrap, scratch.schemaDir, String(RECORDS)]);
  const topics = produced.stdout.trim().split('\n');
  expect(topics).toHaveLength(9);
  await runJava(peers.kafka, 'Consume', [broker.bootstrap, scratch.schemaDir, scratch.outDir, ...topics]);
  await cp(broker.tieredDir, scratch.logDir, { recursive: true });
  await broker.stop();
  broker = undefined;

  // The decided end of each partition: what stands after it belongs to transactions that the segments leave open.
  const ends: Record<string, Ends> = {};
  for (const topic of topics) {
    const { logDir, schemaDir } = scratch;
    const out = join(scratch.outDir, `${topic}.oracle.jsonl`);
    const oracle = await runOracle(peers.python, { logDir, schemaDir, topic, out });
    ends[topic] = Object.fromEntries(Object.entries(oracle.ends).map(([partition, end]) => [Number(partition), end]));
    const consumed = join(scratch.outDir, `${topic}.jsonl`);
    await expectSameRows(`${topic}, the oracle`, consumed, out, { before: ends[topic] });
    expect(oracle.rows).toBeGreaterThan(1000);
  }
  expect((await readdir(scratch.logDir)).length).toBeGreaterThanOrEqual(11);

  whole = await startWhole({ dataDir: scratch.dataDir, args: ['--records', '0'] });
  for (const topic of topics) {
    await millraceJson(
      scratch.dataDir,
      'topics',
      'enable',
      topic,
      '--table',
      `kafka.${topic}`,
      '--commit-interval',
      '1s',
    );
  }
  const all = await waitUntilCaughtUp(whole, ends, 120_000);
  const { catalogUri } = whole.endpoints();
  for (const topic of topics) {
    for (const reader of READERS) {
      await expectTable({
        reader,
        folder: peers[reader.peer],
        table: addressOf(all.get(topic)!, catalogUri),
        expected: join(scratch.outDir, `${topic}.jsonl`),
        outDir: scratch.outDir,
        before: ends[topic]!,
      });
    }
    const { code, stdout, stderr } = await millrace(scratch.dataDir, 'verify', `kafka.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
  }
});
