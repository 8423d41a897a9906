import { readFile } from 'node:fs/promises';
import type { Profiler } from 'node:inspector';
import { setTimeout as sleep } from 'node:timers/promises';

const SAMPLE_MICROS = 1000;
const OPEN_MS = 20_000;

/** With this in NODE_OPTIONS a process that is asked to opens its inspector at a free port. */
export const PROFILABLE = '--inspect-port=0';

/**
 * The CPU profile of another Node.js process while `run` runs: its inspector is opened by SIGUSR1, and says where in
 * `logFile`, which has its standard error.
 */
export async function profileProcess(
  pid: number,
  logFile: string,
  run: () => Promise<unknown>,
): Promise<Profiler.Profile> {
  const before = (await readFile(logFile, 'utf8')).length;
  process.kill(pid, 'SIGUSR1');
  const inspector = await openInspector(await addressIn(logFile, before));
  try {
    await inspector.call('Profiler.enable');
    await inspector.call('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
    await inspector.call('Profiler.start');
    await run();
    return (await inspector.call<{ profile: Profiler.Profile }>('Profiler.stop')).profile;
  } finally {
    inspector.close();
  }
}

async function addressIn(logFile: string, from: number): Promise<string> {
  for (let waitedMs = 0; waitedMs < OPEN_MS; waitedMs += 100) {
    const address = /Debugger listening on (ws:\S+)/.exec((await readFile(logFile, 'utf8')).slice(from))?.[1];
    if (address !== undefined) return address;
    await sleep(100);
  }
  throw new Error(`no inspector was opened within ${OPEN_MS} ms, says ${logFile}`);
}

/** A session of Chrome's DevTools protocol. */
async function openInspector(address: string) {
  const socket = new WebSocket(address);
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error(`no inspector answers at ${address}`)));
  });
  socket.addEventListener('close', () => fail(new Error('the inspector has closed: the process has ended')));
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(String(data)) as {
      id?: number;
      result?: never;
      error?: { message: string };
    };
    const call = id === undefined ? undefined : waiting.get(id);
    if (call === undefined) return;
    waiting.delete(id!);
    if (error === undefined) call.resolve(result!);
    else call.reject(new Error(error.message));
  });
  let last = 0;
  return {
    call<T>(method: string, params: object = {}): Promise<T> {
      const id = ++last;
      return new Promise<T>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, method, params }));
      });
    },
    close: () => socket.close(),
  };
}
