import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Outcome, Replay } from './thread.ts';

/** Processes that simulate, one a core. */
export interface Workers {
  run(replay: Replay): Promise<Outcome>;
  /** All seeds; stops early when `onOutcome` answers false. */
  runAll(replays: Iterable<Replay>, onOutcome: (outcome: Outcome) => boolean): Promise<void>;
  stop(): void;
}

interface Job {
  replay: Replay;
  resolve: (outcome: Outcome) => void;
  reject: (error: Error) => void;
}

/** `broken`: the broken build (broken-build.ts) that they simulate. A run longer than three minutes of real time has failed. */
export function startWorkers(count: number, broken?: string): Workers {
  const waiting: Job[] = [];
  const idle: ChildProcess[] = [];
  const running = new Map<ChildProcess, { job: Job; timer: NodeJS.Timeout }>();
  let stopped = false;

  function start(): ChildProcess {
    const child = fork(join(import.meta.dirname, 'worker.ts'), {
      execArgv: ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=64'],
      env: { ...process.env, ...(broken === undefined ? {} : { MILLRACE_SIMULATED_BREAK: broken }) },
    });
    child.on('message', (message) => {
      const current = running.get(child);
      if (current !== undefined) {
        clearTimeout(current.timer);
        running.delete(child);
        current.job.resolve(message as Outcome);
      }
      idle.push(child);
      next();
    });
    child.on('exit', (code) => {
      if (stopped) return;
      const current = running.get(child);
      running.delete(child);
      if (current !== undefined) clearTimeout(current.timer);
      const error = new Error(`a process that simulates ended (exit code ${code})`);
      for (const job of current === undefined ? waiting.splice(0) : [current.job]) job.reject(error);
      if (current !== undefined) children.push(start());
    });
    return child;
  }

  function next(): void {
    while (idle.length > 0 && waiting.length > 0) {
      const child = idle.pop()!;
      const job = waiting.shift()!;
      const timer = setTimeout(() => child.kill('SIGKILL'), 180_000);
      running.set(child, { job, timer });
      child.send(job.replay);
    }
  }

  const children = Array.from({ length: count }, start);

  const run = (replay: Replay): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      waiting.push({ replay, resolve, reject });
      next();
    });

  return {
    run,
    async runAll(replays, onOutcome) {
      const rest = replays[Symbol.iterator]();
      let goesOn = true;
      const lane = async () => {
        for (let one = rest.next(); goesOn && !one.done; one = rest.next()) {
          goesOn = onOutcome(await run(one.value)) && goesOn;
        }
      };
      await Promise.all(Array.from({ length: count }, lane));
    },
    stop() {
      stopped = true;
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
