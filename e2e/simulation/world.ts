import { AsyncLocalStorage } from 'node:async_hooks';
import { seededRandom } from '@millrace/actor';
import { MillraceError } from '@millrace/base';
import type { FaultGate } from './faults.ts';

/** An incarnation of a service: what it waits for dies with it. */
export interface Process {
  name: string;
  /** Added to the virtual time: what its clock shows. */
  skewMs: number;
  alive: boolean;
  /** Stopped (SIGSTOP) until then. */
  pausedUntilMs: number;
}

/** A promise of an invariant that was broken; ends the run. */
export class Violation extends Error {
  readonly invariant: string;
  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

export interface Task {
  at: number;
  order: number;
  process: Process | undefined;
  run: () => void;
}

const START_MS = 1_800_000_000_000;
const inProcess = new AsyncLocalStorage<Process>();

/** The process that the running code belongs to. */
export const currentProcess = (): Process | undefined => inProcess.getStore();

/**
 * Virtual time and the one place where anything becomes ready: every timer, message, store or database operation of every
 * simulated process is a task. Of the tasks that are due one is taken at random; when none is, time goes on to the next.
 */
export class World {
  readonly random: () => number;
  readonly faults: FaultGate;
  now = START_MS;
  steps = 0;
  /** Told of each step when a trace is wanted. */
  trace: ((line: string) => void) | undefined;
  violation: Violation | undefined;
  /** Sum over the steps taken: equal seeds give equal digests. */
  digest = 0;
  private readonly heap: Task[] = [];
  private readonly ready: Task[] = [];
  private order = 0;

  constructor(seed: number, faults: FaultGate) {
    this.random = seededRandom(seed);
    this.faults = faults;
  }

  get elapsedMs(): number {
    return this.now - START_MS;
  }

  /** A whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!;
  }

  violate(invariant: string, message: string): void {
    this.violation ??= new Violation(invariant, message);
  }

  after(delayMs: number, process: Process | undefined, run: () => void): Task {
    const task = { at: this.now + Math.max(0, Math.floor(delayMs)), order: this.order++, process, run };
    this.push(task);
    return task;
  }

  cancel(task: Task): void {
    task.run = nothing;
    task.process = undefined;
  }

  /** Waits in virtual time; never ends when the calling process dies first. */
  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, currentProcess(), resolve));
  }

  runIn<T>(process: Process | undefined, action: () => T): T {
    return process === undefined ? inProcess.exit(action) : inProcess.run(process, action);
  }

  /** Takes one task; false when there is none before `untilMs`. */
  step(untilMs: number): boolean {
    for (;;) {
      while (this.heap.length > 0 && this.heap[0]!.at <= this.now) this.ready.push(this.pop());
      if (this.ready.length === 0) {
        const next = this.heap[0];
        if (next === undefined || next.at > untilMs) return false;
        this.now = next.at;
        continue;
      }
      const index = Math.floor(this.random() * this.ready.length);
      const task = this.ready[index]!;
      this.ready[index] = this.ready.at(-1)!;
      this.ready.pop();
      const { process } = task;
      if (task.run === nothing || process?.alive === false) continue;
      if (process !== undefined && process.pausedUntilMs > this.now) {
        task.at = process.pausedUntilMs;
        this.push(task);
        continue;
      }
      this.steps++;
      this.digest = (Math.imul(this.digest, 31) + task.order + (this.now % 1_000_003)) | 0;
      this.runIn(process, task.run);
      return true;
    }
  }

  private push(task: Task): void {
    const { heap } = this;
    let at = heap.push(task) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(task, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = task;
  }

  private pop(): Task {
    const { heap } = this;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

const nothing = (): void => {};
const before = (a: Task, b: Task): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** What a caller sees of something that did not answer. */
export const noAnswer = (what: string): MillraceError =>
  new MillraceError('unavailable', `${what} did not answer`, { code: 'simulated-fault' });

let running: World | undefined;
export const setWorld = (world: World | undefined): void => {
  running = world;
};
/** The world of the seed that runs in this thread. */
export function world(): World {
  if (running === undefined) throw new Error('nothing is simulated');
  return running;
}
