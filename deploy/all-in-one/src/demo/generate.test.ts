import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { batchSizeAt, parsePartitionFolder, parseSegmentFile, readBatchHeader } from '@millrace/kafka-log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEMO_TOPICS, generateDemo } from './generate.ts';

const COUNT = 3000;
let root: string;
const demo = (name: string, recordsPerTopic = COUNT) =>
  generateDemo({ logDir: join(root, name, 'log'), schemaDir: join(root, name, 'schemas'), recordsPerTopic });

async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) hash.update(name).update(await readFile(path));
  }
  return hash.digest('hex');
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-demo-'));
  await demo('a');
});
afterAll(() => rm(root, { recursive: true }));

test('every partition is contiguous from offset 0, in several segments, and all five codecs are there', async () => {
  const records = new Map<string, number>();
  const codecs = new Set<string>();
  const logDir = join(root, 'a', 'log');
  for (const folder of (await readdir(logDir)).filter((name) => !name.startsWith('.'))) {
    const { topic } = parsePartitionFolder(folder)!;
    const logs = (await readdir(join(logDir, folder))).filter((name) => name.endsWith('.log')).sort();
    expect(logs.length).toBeGreaterThan(1);
    let offset = 0;
    for (const name of logs) {
      expect(parseSegmentFile(name)!.baseOffset).toBe(offset);
      const bytes = await readFile(join(logDir, folder, name));
      for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at)!) {
        const header = readBatchHeader(bytes, at, { segment: name, startByte: 0 });
        expect(header.baseOffset).toBe(offset);
        codecs.add(header.codec);
        offset += header.recordCount;
      }
    }
    records.set(topic, (records.get(topic) ?? 0) + offset);
  }
  expect(Object.fromEntries(records)).toEqual(Object.fromEntries(DEMO_TOPICS.map(({ name }) => [name, COUNT])));
  expect([...codecs].sort()).toEqual(['gzip', 'lz4', 'none', 'snappy', 'zstd']);
});

test('the same bytes every time; a half-made log is finished as it was begun; a complete one is kept', async () => {
  const whole = await digest(join(root, 'a'));
  await demo('b');
  expect(await digest(join(root, 'b'))).toBe(whole);

  const logDir = join(root, 'b', 'log');
  for (const folder of (await readdir(logDir)).filter((name) => name.startsWith('clicks'))) {
    const last = (await readdir(join(logDir, folder)))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .at(-1)!;
    await unlink(join(logDir, folder, last));
  }
  await writeFile(join(logDir, '.demo.json'), JSON.stringify({ recordsPerTopic: COUNT, complete: false }));
  expect(await demo('b', 7)).toMatchObject({ kept: false, records: COUNT * DEMO_TOPICS.length });
  expect(await digest(join(root, 'b'))).toBe(whole);

  expect(await demo('b', 9999)).toMatchObject({ kept: true, records: COUNT * DEMO_TOPICS.length });
  expect(await digest(join(root, 'b'))).toBe(whole);
});

test('the schema of payments gains a field halfway', async () => {
  expect(await readdir(join(root, 'a', 'schemas', 'payments-value'))).toEqual(['1-3.avsc', '2-4.avsc']);
  const payments = DEMO_TOPICS.find(({ name }) => name === 'payments')!;
  expect([0, 1499, 1500].map((index) => payments.schemas(index, COUNT).length)).toEqual([1, 1, 2]);
});

test('no records, no log', async () => {
  expect(await demo('none', 0)).toMatchObject({ records: 0, kept: false });
  await expect(readdir(join(root, 'none'))).rejects.toThrow('ENOENT');
});
