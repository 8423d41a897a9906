import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { currentProcess, type Task, world } from './world.ts';

/** The real ones, for what is not simulated. */
export const realSetImmediate = globalThis.setImmediate;
export const realDateNow = Date.now;

/** A timer as Node.js gives it; here it has nothing to keep alive. */
class Timer {
  task: Task | undefined;
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  hasRef() {
    return true;
  }
  [Symbol.dispose]() {
    clear(this);
  }
}

const clear = (timer: unknown): void => {
  if (timer instanceof Timer && timer.task !== undefined) world().cancel(timer.task);
};

function later(run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Timer {
  const timer = new Timer();
  timer.task = world().after(Math.max(1, ms), currentProcess(), () => run(...args));
  return timer;
}

function again(run: (...args: unknown[]) => void, ms = 1, ...args: unknown[]): Timer {
  const timer = new Timer();
  const process = currentProcess();
  const beat = () => {
    timer.task = world().after(Math.max(1, ms), process, () => {
      beat();
      run(...args);
    });
  };
  beat();
  return timer;
}

function soon(run: (...args: unknown[]) => void, ...args: unknown[]): Timer {
  const timer = new Timer();
  timer.task = world().after(0, currentProcess(), () => run(...args));
  return timer;
}

const randomInt32 = (): number => Math.floor(world().random() * 4_294_967_296);

function randomBytes(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = randomInt32() >>> 24;
  return bytes;
}

function randomUUID(): string {
  const hex = randomBytes(16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/**
 * Gives the whole thread virtual time and seeded randomness: timers, Date.now and node:crypto's random functions, so that
 * the product runs as it is. What does not wait by them (files, sockets) must not be used by a simulated process.
 */
export function virtualizeGlobals(): void {
  Object.assign(globalThis, {
    setTimeout: later,
    setInterval: again,
    setImmediate: soon,
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  });
  Date.now = () => world().now + (currentProcess()?.skewMs ?? 0);
  performance.now = () => world().elapsedMs;
  Math.random = () => world().random();
  Object.assign(crypto, { randomBytes, randomUUID });
  syncBuiltinESMExports();
}
