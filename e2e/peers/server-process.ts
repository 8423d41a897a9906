import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 120_000;
const STOP_MS = 20_000;

/** Starts a server that answers HTTP and waits until `url` answers with `status`. Answers with what stops it. */
export async function startServerProcess(options: {
  command: string;
  args: readonly string[];
  env?: Record<string, string>;
  logFile: string;
  url: string;
  /** Default 200. */
  status?: number;
}): Promise<() => Promise<void>> {
  const { command, args, env = {}, logFile, url, status = 200 } = options;
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
  let ended = false;
  const end = new Promise<void>((resolve) => {
    const done = () => {
      ended = true;
      resolve();
    };
    child.once('exit', done);
    child.once('error', done);
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await end;
    clearTimeout(timer);
  };
  for (const deadline = Date.now() + START_MS; Date.now() < deadline && !ended; await sleep(200)) {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.status === status) return stop;
  }
  const how = ended ? 'ended' : `did not answer at ${url} within ${START_MS} ms`;
  if (!ended) await stop();
  throw new Error(`${command} ${how}:\n${(await readFile(logFile, 'utf8')).slice(-3000)}`);
}
