import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from './command.ts';
import { freePort } from './free-port.ts';

/** A PostgreSQL server of its own. */
export interface PostgresServer {
  /** Of its one database. */
  url: string;
  /** SIGINT: connections are cut, what is committed is on disk. */
  stop(): Promise<void>;
  /** SIGKILL; its children end with it. */
  kill(): Promise<void>;
  /** After stop or kill, at the same address. */
  start(): Promise<void>;
  /** Stops it and leaves nothing behind. */
  remove(): Promise<void>;
}

const PASSWORD = 'millrace-test';
/** PostgreSQL refuses to run as root. */
const NOBODY = 65_534;

/** `binaries`: the folder that requirePeers names. `parent`: where its own folder is made, which user nobody must reach. */
export async function startPostgres(binaries: string, parent = tmpdir()): Promise<PostgresServer> {
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const data = await mkdtemp(join(parent, 'millrace-postgres-'));
  if (isRoot) await chown(data, NOBODY, NOBODY);
  const port = await freePort();
  const passwordFile = join(data, 'password');
  await writeFile(passwordFile, PASSWORD);
  const own = { ...user, cwd: data } as const;
  const initdb = ['-U', 'millrace', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', join(data, 'pg')];
  const init = spawn(join(binaries, 'initdb'), initdb, { ...own, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  init.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  if ((await exitOf(init)) !== 0) throw new Error(`initdb failed: ${said}`);
  let server: ChildProcess | undefined;
  const args = ['-D', join(data, 'pg'), '-p', String(port), '-k', data, '-c', 'listen_addresses=127.0.0.1'];
  const ready = ['-h', '127.0.0.1', '-p', String(port), '-q'];
  const isOver = () => server === undefined || server.exitCode !== null || server.signalCode !== null;
  const start = async () => {
    for (let tries = 0; tries < 300; tries++, await sleep(100)) {
      // Killed, its children still hold the shared memory for a moment, and a new server ends at once.
      if (isOver()) server = spawn(join(binaries, 'postgres'), args, { ...own, stdio: 'ignore' });
      const { code } = await runCommand(join(binaries, 'pg_isready'), ready, { anyCode: true });
      if (code === 0 && !isOver()) return;
    }
    throw new Error('postgres did not answer within 30 s');
  };
  const end = async (signal: 'SIGINT' | 'SIGKILL') => {
    if (isOver()) return;
    const exit = exitOf(server!);
    server!.kill(signal);
    await exit;
  };
  await start();
  return {
    url: `postgres://millrace:${PASSWORD}@127.0.0.1:${port}/postgres`,
    stop: () => end('SIGINT'),
    kill: () => end('SIGKILL'),
    start,
    async remove() {
      await end('SIGINT');
      await rm(data, { recursive: true, force: true });
    },
  };
}

const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
