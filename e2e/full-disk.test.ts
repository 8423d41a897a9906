import { mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS, generateDemo } from '@millrace/all-in-one';
import { openStore } from '@millrace/object-store';
import { afterAll, expect, test } from 'vitest';
import { runCommand } from './peers/command.ts';
import type { SkippableTest } from './peers/peers.ts';
import { isCaughtUp, waitForReports } from './system/catch-up.ts';
import { millrace } from './system/command-line.ts';
import { createScratch, reportOnFailure } from './system/scratch.ts';
import { startWhole, type Whole } from './system/whole.ts';

// A disk that is really full: a small file system in memory.

const SIZE = '24m';
const RECORDS = 5_000;
let disk: string | undefined;
let whole: Whole | undefined;

/** By root, or by who may become root without being asked. */
const asRoot = (...command: string[]) => {
  const [first = '', ...rest] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  return runCommand(first, rest);
};

async function smallDisk(context: SkippableTest): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-disk-'));
  try {
    await asRoot('mount', '-t', 'tmpfs', '-o', `size=${SIZE},mode=0777`, 'millrace-test', folder);
  } catch (error) {
    await rm(folder, { recursive: true });
    const reason = `missing: the right to mount a tmpfs (${(error as Error).message.split('\n', 1)[0]})`;
    if (process.env['CI'] === 'true') throw new Error(reason);
    context.skip(reason);
  }
  return folder;
}

/** Takes what space there is, down to the last page. */
async function fill(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  await writeFile(join(folder, 'filler'), Buffer.alloc(bavail * bsize));
  expect((await statfs(folder)).bavail).toBe(0);
}

const filesOf = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== 'filler')
    .map((entry) => join(entry.parentPath, entry.name));

afterAll(async () => {
  await whole?.kill();
  if (disk === undefined) return;
  await asRoot('umount', '-l', disk);
  await rm(disk, { recursive: true });
});

test('a full disk is told as such, shows no torn object and takes writes again when there is space', async (context) => {
  disk ??= await smallDisk(context);
  const store = openStore(join(disk, 'store'));
  await store.put('a/before', Buffer.alloc(100_000, 1));
  const out = await store.writer('a/large', { ifAbsent: true });
  const writing = async () => {
    for (;;) await out.write(Buffer.alloc(1_000_000, 2));
  };
  const expected = { kind: 'exhausted', code: 'ENOSPC', retryable: true };
  await expect(writing()).rejects.toMatchObject({
    ...expected,
    message: expect.stringMatching(/^no space left \(ENOSPC\) to write a\/large under .*: free some/),
  });
  await out.abort();
  expect(await filesOf(disk)).toHaveLength(1);
  await fill(disk);
  for (const ifAbsent of [false, true])
    await expect(store.put('a/small', Buffer.from('x'), { ifAbsent })).rejects.toMatchObject(expected);
  await expect(store.put('a/before', Buffer.from('other'))).rejects.toMatchObject(expected);
  expect((await Array.fromAsync(store.list(''))).map(({ key }) => key)).toEqual(['a/before']);
  expect((await store.get('a/before')).length).toBe(100_000);
  expect(await filesOf(disk)).toHaveLength(1);
  await rm(join(disk, 'filler'));
  await store.put('a/small', Buffer.from('x'), { ifAbsent: true });
  expect(String(await store.get('a/small'))).toBe('x');
  await rm(join(disk, 'store'), { recursive: true });
});

test('a full warehouse stops no service, and tables go on when there is space', async (context) => {
  disk ??= await smallDisk(context);
  reportOnFailure(context, () => whole);
  const scratch = await createScratch('full-disk');
  const { dataDir, logDir, schemaDir } = scratch;
  await generateDemo({ logDir, schemaDir, recordsPerTopic: RECORDS, segmentBytes: 100_000 });
  await fill(disk);
  const args = ['--records', '0', '--separate', '--warehouse', join(disk, 'warehouse')];
  whole = await startWhole({ dataDir, args, env: { MILLRACE_COMMIT_INTERVAL_MS: '1000' } });
  const log = () => readFile(join(dataDir, 'run', 'millrace.log'), 'utf8');
  for (const deadline = Date.now() + 60_000; !/no space left \(ENOSPC\)/.test(await log()); await sleep(500))
    if (Date.now() > deadline) throw new Error(`nobody has noticed\n${await whole.report()}`);
  // As far as it goes, and not one file that would be read as whole.
  for (const file of await filesOf(disk))
    if (/\/[^./][^/]*\.parquet$/.test(file)) expect((await readFile(file)).subarray(-4).toString(), file).toBe('PAR1');
  await rm(join(disk, 'filler'));
  const topics = DEMO_TOPICS.map(({ name }) => name);
  await waitForReports(whole, 'catching up', 180_000, (all) =>
    topics.every((topic) => {
      const report = all.get(topic);
      return report?.topic?.lag === 0n && report.topic.ledgerVersion > 1n && isCaughtUp(report, {});
    }),
  );
  for (const topic of topics) {
    const { code, stdout, stderr } = await millrace(dataDir, 'verify', `demo.${topic}`, '--rows');
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain('5,000');
  }
  expect(await whole.stop()).toBe(0);
  whole = undefined;
  await scratch.remove();
});
