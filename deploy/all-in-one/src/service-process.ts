import { type ChildProcess, fork } from 'node:child_process';
import { openSync } from 'node:fs';
import { systemClock, toMillraceError } from '@millrace/base';
import type { Logger } from '@millrace/telemetry';
import { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from './process-settings.ts';

export interface ServiceProcessOptions {
  name: string;
  /** The service's main.ts. */
  main: string;
  env: Record<string, string>;
  /** Its standard error goes there. */
  logFile: string;
  logger: Logger;
  /** Told of every new process id, 0 when it has ended. */
  onPid: (pid: number) => void;
}

export interface ServiceProcess {
  /** SIGTERM, and SIGKILL when the drain takes longer. */
  stop(graceMs: number): Promise<void>;
}

const FIRST_RESTART_MS = 200;
const LAST_RESTART_MS = 10_000;
/** Who has run this long starts again without delay. */
const HEALTHY_MS = 30_000;

/** Runs a service in a process of its own and starts it again when it dies. Resolves when it listens for the first time. */
export async function startServiceProcess(options: ServiceProcessOptions): Promise<ServiceProcess> {
  const stopping = new AbortController();
  let child: ChildProcess | undefined;
  let ended: Promise<void> = Promise.resolve();

  const launch = () =>
    new Promise<void>((resolve, reject) => {
      const log = openSync(options.logFile, 'a');
      const started = fork(options.main, [], {
        env: { ...cleanEnvironment(), ...PROCESS_ENVIRONMENT, ...options.env },
        execArgv: PROCESS_ARGUMENTS,
        stdio: ['ignore', log, log, 'ipc'],
      });
      child = started;
      options.onPid(started.pid ?? 0);
      ended = new Promise((done) => started.once('exit', () => done()));
      started.once('message', () => resolve());
      started.once('error', reject);
      started.once('exit', (code, signal) => {
        options.onPid(0);
        reject(
          new Error(
            `${options.name} ended with ${signal ?? `code ${code}`} before it listened; see ${options.logFile}`,
          ),
        );
      });
    });

  async function supervise(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const startedMs = Date.now();
      await ended;
      if (stopping.signal.aborted) return;
      failures = Date.now() - startedMs > HEALTHY_MS ? 0 : failures + 1;
      options.logger.warn({ process: options.name, failures }, 'a service ended; it starts again');
      await systemClock
        .sleep(Math.min(FIRST_RESTART_MS * 2 ** failures, LAST_RESTART_MS), stopping.signal)
        .catch(() => {});
      if (stopping.signal.aborted) return;
      await launch().catch((error) =>
        options.logger.error({ error: toMillraceError(error) }, 'a service did not start'),
      );
    }
  }

  await launch();
  const supervision = supervise();
  return {
    async stop(graceMs) {
      stopping.abort();
      const kill = setTimeout(() => child?.kill('SIGKILL'), graceMs);
      child?.kill('SIGTERM');
      await ended;
      clearTimeout(kill);
      await supervision;
    },
  };
}

/** This process's environment without its own settings: services refuse names that they do not know. */
const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_')));
