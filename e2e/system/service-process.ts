import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceName } from '@millrace/cli';
import { ROOT } from './whole.ts';

/** One service as a container has it: its main.ts in a process, settings in its environment. */
export interface ServiceProcess {
  address: string;
  /** Memory that is resident, in MB. */
  residentMb(): number;
  /** What it has written. */
  output(): string;
  stop(): Promise<void>;
}

/** Settings by their names in the environment without the service's prefix. Rejects when it ends before it listens. */
export async function startService(name: ServiceName, settings: Record<string, string>): Promise<ServiceProcess> {
  const prefix = `MILLRACE_${name.toUpperCase().replaceAll('-', '_')}`;
  const env = Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${prefix}_${key}`, value]));
  const child: ChildProcess = fork(join(ROOT, 'services', name, 'src/main.ts'), {
    env: { PATH: process.env['PATH'], [`${prefix}_PORT`]: '0', [`${prefix}_DRAIN_MS`]: '100', ...env },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-100_000)));
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { address: string }).address));
    void ended.then(() => reject(new Error(`${name} ended before it listened\n${output}`)));
  });
  return {
    address,
    residentMb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      const cut = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(cut);
    },
  };
}
