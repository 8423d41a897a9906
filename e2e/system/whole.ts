import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Endpoints, endpointsFile, readEndpoints } from '@millrace/cli';

export const ROOT = join(import.meta.dirname, '..', '..');
const START_MS = 150_000;

/** `npm start` as a process group of its own. */
export interface Whole {
  dataDir: string;
  endpoints(): Endpoints;
  /** What it has printed. */
  output(): string;
  /** Its output and the end of its log, for failures. */
  report(): Promise<string>;
  /** SIGINT; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to every process of the group. */
  kill(): Promise<void>;
  /** The exit code, once it has ended. */
  ended: Promise<number | null>;
}

export interface WholeOptions {
  dataDir: string;
  /** After `npm start --`. */
  args: readonly string[];
  env?: Record<string, string>;
}

/** Starts it and waits for nothing. */
export function launchWhole({ dataDir, args, env = {} }: WholeOptions): Whole & { child: ChildProcess } {
  const child = spawn('npm', ['start', '--silent', '--', ...args], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, MILLRACE_DATA_DIR: dataDir, MILLRACE_CATALOG_PORT: '0', ...env },
  });
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  // It would outlive who was interrupted.
  const killAtExit = () => signal('SIGKILL');
  process.prependOnceListener('exit', killAtExit);
  child.once('close', () => process.off('exit', killAtExit));
  return {
    child,
    dataDir,
    ended,
    endpoints() {
      const endpoints = readEndpoints(endpointsFile(dataDir));
      if (endpoints === undefined) throw new Error(`the whole has ended by itself (pid ${child.pid})`);
      return endpoints;
    },
    output: () => output,
    async report() {
      // Who is draining may still have something to say.
      if (!existsSync(endpointsFile(dataDir))) await Promise.race([ended, sleep(15_000)]);
      const log = await readFile(join(dataDir, 'run', 'millrace.log'), 'utf8').catch(() => '(no log)');
      const notable = log.split('\n').filter((line) => /"level":"?(40|50|60|warn|error|fatal)|WARN|ERROR/i.test(line));
      return `--- output\n${output.slice(-3000)}\n--- warnings and errors in the log\n${notable.slice(-30).join('\n').slice(-6000)}`;
    },
    async stop() {
      // To the program itself: npm and its shell end by the signal without telling the exit code.
      const pid = readEndpoints(endpointsFile(dataDir))?.pid;
      if (pid === undefined) signal('SIGINT');
      else process.kill(pid, 'SIGINT');
      const timer = setTimeout(() => signal('SIGKILL'), 40_000);
      const code = await ended;
      clearTimeout(timer);
      return code;
    },
    async kill() {
      signal('SIGKILL');
      await ended;
    },
  };
}

/** Runs it to its end (`--exit-when-caught-up`). Kills it after `timeoutMs`. */
export async function runWhole(options: WholeOptions & { timeoutMs: number }) {
  const whole = launchWhole(options);
  const startedMs = Date.now();
  const timer = setTimeout(() => void whole.kill(), options.timeoutMs);
  const code = await whole.ended;
  clearTimeout(timer);
  return { code, durationMs: Date.now() - startedMs, output: whole.output(), report: await whole.report() };
}

/** Starts it and waits until it answers. */
export async function startWhole(options: WholeOptions): Promise<Whole> {
  const file = endpointsFile(options.dataDir);
  await rm(file, { force: true });
  const whole = launchWhole(options);
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += 100) {
    if (existsSync(file)) return whole;
    if (whole.child.exitCode !== null) throw new Error(`npm start ended\n${await whole.report()}`);
    await sleep(100);
  }
  await whole.kill();
  throw new Error(`npm start did not answer within ${START_MS} ms\n${await whole.report()}`);
}
