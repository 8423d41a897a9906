import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from '@millrace/all-in-one';
import type { Job } from './measured/job.ts';
import type { Round } from './measured/round.ts';
import { peakRssMegabytes } from './process-cpu.ts';

/** A process of its own that runs rounds when told to, so that its memory is its own and it stays warm. */
export interface MeasuredProcess {
  round(): Promise<Round>;
  /** Its peak resident memory so far, in megabytes; undefined where /proc has none. */
  peakRssMegabytes(): number | undefined;
  /** After the rounds: further shares of its CPU time, 0 to 1. */
  shares?(): Promise<Record<string, number>>;
  end(): Promise<void>;
}

/** Starts a command that speaks lines: it says it is ready, then answers each line with a round's JSON. */
export async function startMeasuredProcess(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<MeasuredProcess> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  // Who has ended takes no more lines; what it said on its way out is thrown below.
  child.stdin.on('error', () => {});
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  failed.catch(() => {});
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await Promise.race([lines.next(), failed]);
    if (!done) return JSON.parse(value);
    await ended;
    throw new Error(`${command} ${args.join(' ').slice(0, 300)} ended:\n${errors.slice(-3000)}`);
  };
  await answer();
  return {
    async round() {
      child.stdin.write('\n');
      return (await answer()) as Round;
    },
    peakRssMegabytes: () => peakRssMegabytes(child.pid!),
    async end() {
      child.stdin.end();
      await ended;
    },
  };
}

/** The job in a fresh Node.js, with what the services' processes are started with. */
export const startJob = (job: Job): Promise<MeasuredProcess> =>
  startMeasuredProcess(
    process.execPath,
    [...PROCESS_ARGUMENTS, join(import.meta.dirname, 'measured-child.ts'), JSON.stringify(job)],
    PROCESS_ENVIRONMENT,
  );
