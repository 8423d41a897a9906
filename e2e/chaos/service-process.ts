import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from '@millrace/all-in-one';

/** A service in a process of its own that starts again whenever it ends, as a container does. */
export interface ServiceProcess {
  /** service/instance */
  id: string;
  service: string;
  pid(): number | undefined;
  /** Resolves when it listens for the first time. */
  start(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM; resolves with the exit code, or the signal that had to end it. */
  drain(): Promise<number | string>;
  /** As drain, for good. */
  end(): Promise<number | string>;
  starts(): number;
  /** How often it ended by itself after it had listened: services never do. */
  crashes(): string[];
}

const RESTART_MS = 200;
const DRAIN_MS = 20_000;
const LISTENS_MS = 300_000;

export function createServiceProcess(options: {
  id: string;
  service: string;
  main: string;
  env: Record<string, string>;
  logFile: string;
}): ServiceProcess {
  const { id, service, main, env, logFile } = options;
  const log = openSync(logFile, 'a');
  const crashes: string[] = [];
  let child: ChildProcess | undefined;
  let starts = 0;
  let ended = false;
  /** Whether whoever ends now was told to. */
  let wanted = false;

  function launch(): Promise<void> {
    wanted = false;
    starts++;
    const started = fork(main, [], {
      env: { ...cleanEnvironment(), ...PROCESS_ENVIRONMENT, ...env },
      execArgv: PROCESS_ARGUMENTS,
      stdio: ['ignore', log, log, 'ipc'],
    });
    child = started;
    let listened = false;
    started.once('exit', (code, signal) => {
      if (listened && !wanted) crashes.push(`${id} ended by itself with ${signal ?? `exit code ${code}`}`);
      if (!ended) void sleep(RESTART_MS).then(() => (ended ? undefined : launch()));
    });
    return new Promise((resolve) =>
      started.once('message', () => {
        listened = true;
        resolve();
      }),
    );
  }

  const signal = (name: NodeJS.Signals) => {
    if (name !== 'SIGSTOP' && name !== 'SIGCONT') wanted = true;
    child?.kill(name);
  };
  async function drain(): Promise<number | string> {
    const draining = child!;
    if (draining.exitCode !== null || draining.signalCode !== null) return draining.exitCode ?? draining.signalCode!;
    const exit = once(draining, 'exit');
    signal('SIGTERM');
    const timer = setTimeout(() => draining.kill('SIGKILL'), DRAIN_MS);
    const [code, how] = (await exit) as [number | null, string | null];
    clearTimeout(timer);
    return code ?? how!;
  }
  return {
    id,
    service,
    pid: () => child?.pid,
    async start() {
      const listens = launch();
      const late = sleep(LISTENS_MS, 'late', { ref: false });
      if ((await Promise.race([listens, late])) === 'late') throw new Error(`${id} did not listen; see ${logFile}`);
    },
    signal,
    drain,
    end() {
      ended = true;
      return drain();
    },
    starts: () => starts,
    crashes: () => crashes,
  };
}

/** This process's environment without settings of its own: services refuse names that they do not know. */
const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_')));
