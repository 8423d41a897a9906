import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE_NAMES } from '@millrace/cli';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { millrace } from './system/command-line.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { ROOT, runWhole, startWhole, type Whole } from './system/whole.ts';

// A secret in every setting that can hold one, behind addresses where nobody answers: everybody complains, nobody tells.
const PLANTED = /Planted/;
const NOWHERE = '127.0.0.1:9';
const DATABASE = `postgres://lake:Planted-Database-1@${NOWHERE}/lake`;
const REGISTRY = `http://lake:Planted-Registry-1@${NOWHERE}`;
const STORE = `s3://lake/x?endpoint=http://lake:Planted-Store-1@${NOWHERE}&region=eu-1&timeout-ms=500`;
const ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'lake',
  AWS_SECRET_ACCESS_KEY: 'Planted-Store-Key-1',
  AWS_SESSION_TOKEN: 'Planted-Session-1',
  PGPASSWORD: 'Planted-Password-1',
  HTTPS_PROXY: `http://lake:Planted-Proxy-1@${NOWHERE}`,
  REST_TOKEN: 'Planted-Token-1',
};

let scratch: Scratch;
let whole: Whole | undefined;

beforeAll(async () => {
  scratch = await createScratch('secrets');
  writeFileSync(join(scratch.outDir, 'database-url'), `${DATABASE}\n`);
});
afterAll(async () => {
  await whole?.stop();
  await scratch.remove();
});

/** What each service takes beside the addresses of the others. */
const SETTINGS: Record<string, Record<string, string>> = {
  'metadata-discovery': {
    DATABASE_URL: `sqlite:${join('/', 'nowhere', 'x.db')}`,
    LOG_STORE_URI: STORE,
    SCHEMA_SOURCE_URI: REGISTRY,
    WAREHOUSE_URI: STORE,
  },
  'segment-reader': { LOG_STORE_URI: STORE },
  'parquet-converter': { LOG_STORE_URI: STORE },
  'iceberg-rest-catalog': {
    DATABASE_URL: DATABASE,
    WAREHOUSE_URI: STORE,
    TOKEN_SOURCE: 'env:REST_TOKEN',
    REST_PORT: '0',
  },
  'delta-committer': {},
  'catalog-publisher': { DATABASE_URL_FILE: '' },
  'maintenance-scheduler': { DATABASE_URL: DATABASE, WAREHOUSE_URI: STORE },
};

/** Runs a service's main for at most so long: all that it says, and its spans. */
async function say(name: string, settings: Record<string, string>, argument?: string): Promise<string> {
  const prefix = `MILLRACE_${name.toUpperCase().replaceAll('-', '_')}`;
  const traces = join(scratch.outDir, `${name}-${Math.random()}.jsonl`);
  const all = { PORT: '0', LOG_LEVEL: 'trace', TRACES: traces, DRAIN_MS: '100', ...settings };
  const env = Object.fromEntries(Object.entries(all).map(([key, value]) => [`${prefix}_${key}`, value]));
  const main = join(ROOT, 'services', name, 'src/main.ts');
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, ...(argument ? [argument] : [])],
    {
      env: { PATH: process.env['PATH'], ...ENVIRONMENT, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => (text += part));
  const ended = new Promise((resolve) => child.once('close', resolve));
  // Until it has said something, and a little longer: who waits for a database says so, and goes on waiting.
  for (let waitedMs = 0; waitedMs < 60_000 && text === '' && child.exitCode === null; waitedMs += 100) await sleep(100);
  await Promise.race([ended, sleep(2_000)]);
  child.kill('SIGTERM');
  const cut = setTimeout(() => child.kill('SIGKILL'), 2_000);
  await ended;
  clearTimeout(cut);
  return text + (existsSync(traces) ? readFileSync(traces, 'utf8') : '');
}

test.each(SERVICE_NAMES)('%s tells no secret: starting, failing, running, --help', async (name) => {
  const settings = { ...SETTINGS[name] };
  if (settings['DATABASE_URL_FILE'] === '') settings['DATABASE_URL_FILE'] = join(scratch.outDir, 'database-url');
  const [said, help, unknown, wrong] = await Promise.all([
    say(name, settings),
    say(name, settings, '--help'),
    // A setting that nobody knows, and one of the wrong kind.
    say(name, { ...settings, PASSWORD: 'Planted-Unknown-1' }),
    say(name, { ...settings, DRAIN_MS: '{Planted-Wrong-1: [' }),
  ]);
  expect(said).toMatch(/"level":"(fatal|error|warn|info)"/);
  expect(help).toMatch(/LOG_LEVEL \| "info"/);
  expect(unknown).toMatch(/_PASSWORD is not a setting/);
  expect(wrong).toMatch(/DRAIN_MS is not YAML/);
  for (const text of [said, help, unknown, wrong]) expect(text).not.toMatch(PLANTED);
});

test('npm start tells no secret: a database that does not answer', async () => {
  const args = ['--records', '0', '--database', DATABASE, '--exit-when-caught-up'];
  const { output, report } = await runWhole({ dataDir: scratch.dataDir, args, env: ENVIRONMENT, timeoutMs: 30_000 });
  expect(output).toMatch(/127\.0\.0\.1:9/);
  expect(output + report).not.toMatch(PLANTED);
});

test('npm start tells no secret: a registry that does not answer, in the log, traces, run folder and commands', async (context) => {
  reportOnFailure(context, () => whole);
  const args = ['--log', scratch.logDir, '--schemas', REGISTRY, '--converters', '1'];
  whole = await startWhole({ dataDir: scratch.dataDir, args, env: ENVIRONMENT });
  const said = await Promise.all([
    millrace(scratch.dataDir, 'topics', 'enable', 'orders'),
    millrace(scratch.dataDir, 'topics', 'list', '--available'),
    millrace(scratch.dataDir, 'catalogs', 'add', 'a', '--uri', REGISTRY),
    millrace(scratch.dataDir, 'catalogs', 'add', 'b', '--uri', 'http://b', '--token', 'Planted-Given-1'),
    millrace(scratch.dataDir, '--json', 'catalogs', 'list'),
  ]);
  expect(JSON.stringify(said)).toMatch(/token source must be/);
  expect(JSON.stringify(said)).not.toMatch(PLANTED);
  await whole.stop();
  expect(whole.output()).not.toMatch(PLANTED);
  whole = undefined;
  const files = (await readdir(scratch.dataDir, { recursive: true, withFileTypes: true })).filter((e) => e.isFile());
  expect(files.map((file) => file.name)).toEqual(expect.arrayContaining(['millrace.log']));
  for (const file of files) {
    const text = await readFile(join(file.parentPath, file.name), 'latin1');
    if (PLANTED.test(text)) expect.fail(`${file.name} holds a secret: ${/.{0,80}Planted.{0,20}/.exec(text)![0]}`);
  }
});
