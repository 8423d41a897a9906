import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** A process that answers each line it is told with one line of JSON. */
export interface LineProcess {
  ask<T>(line: string): Promise<T>;
  stop(): Promise<void>;
}

/** Starts it; what it says on standard error goes into `logFile`, whose end is told when it ends before it answers. */
export function startLineProcess(options: {
  command: string;
  args: readonly string[];
  env?: Record<string, string>;
  logFile: string;
  timeoutMs: number;
}): LineProcess {
  const { command, args, env = {}, logFile, timeoutMs } = options;
  const child = spawn(command, args, { env: { ...process.env, ...env } });
  child.stderr.pipe(createWriteStream(logFile, { flags: 'a' }));
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  let ended: Error | undefined;
  const exit = new Promise<void>((resolve) => {
    const end = async (how: unknown) => {
      const said = (await readFile(logFile, 'utf8').catch(() => '')).slice(-3_000);
      ended = new Error(`${command} ${args[0]} ended (${how})\n${said}`);
      for (const { reject } of waiting.splice(0)) reject(ended);
      resolve();
    };
    child.once('exit', (code, signal) => void end(signal ?? code));
    child.once('error', (error) => void end(error.message));
  });
  child.stdin.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(line));
  return {
    async ask<T>(line: string): Promise<T> {
      if (ended !== undefined) throw ended;
      const answered = new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }));
      child.stdin.write(`${line}\n`);
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      try {
        return JSON.parse(await answered) as T;
      } finally {
        clearTimeout(timer);
      }
    },
    async stop() {
      child.stdin.end();
      child.kill('SIGTERM');
      await exit;
    },
  };
}
