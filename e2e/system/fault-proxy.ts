import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

/** What goes wrong with a request, as object stores and networks do it. */
export const FAULTS = ['slow-down', 'error', 'reset', 'lost-answer', 'torn-upload', 'torn-download'] as const;
export type Fault = (typeof FAULTS)[number];

/** An HTTP proxy on the loopback before a store, that fails some requests. */
export interface FaultProxy {
  port: number;
  /** Share of requests that fail from now on, 0 to 1. */
  failing(share: number): void;
  /** How many of each there were. */
  counts(): Record<Fault | 'passed', number>;
  stop(): Promise<void>;
}

export async function startFaultProxy(targetPort: number, seed: number): Promise<FaultProxy> {
  let share = 0;
  let state = seed >>> 0;
  const dice = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const counts = Object.fromEntries([...FAULTS, 'passed'].map((name) => [name, 0])) as Record<Fault | 'passed', number>;
  const server = createServer((incoming, answer) => {
    const fault = dice() < share ? FAULTS[Math.floor(dice() * FAULTS.length)]! : undefined;
    counts[fault ?? 'passed']++;
    handle(incoming, answer, targetPort, fault);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    failing: (now) => {
      share = now;
    },
    counts: () => ({ ...counts }),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function handle(incoming: IncomingMessage, answer: ServerResponse, port: number, fault: Fault | undefined): void {
  const reset = () => {
    incoming.socket.destroy();
  };
  incoming.on('error', () => {});
  answer.on('error', () => {});
  if (fault === 'reset') {
    reset();
    return;
  }
  if (fault === 'slow-down' || fault === 'error') {
    incoming.resume();
    const [status, code] = fault === 'slow-down' ? [503, 'SlowDown'] : [500, 'InternalError'];
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>injected</Message></Error>`;
    incoming.once('end', () => {
      answer.writeHead(status as number, { 'content-type': 'application/xml', connection: 'close' });
      answer.end(incoming.method === 'HEAD' ? undefined : body);
    });
    return;
  }
  const { method, url, headers } = incoming;
  const outgoing = request({ host: '127.0.0.1', port, method, path: url, headers }, (response) => {
    response.on('error', reset);
    if (fault === 'lost-answer') {
      // Done, and nobody hears of it.
      response.resume();
      response.once('end', reset);
      return;
    }
    answer.writeHead(response.statusCode!, response.headers);
    if (fault !== 'torn-download') {
      response.pipe(answer);
      return;
    }
    response.once('data', (chunk: Buffer) => answer.write(chunk.subarray(0, chunk.length >> 1), reset));
    response.once('end', reset);
  });
  outgoing.on('error', reset);
  incoming.once('close', () => {
    if (!incoming.complete) outgoing.destroy();
  });
  if (fault !== 'torn-upload') {
    incoming.pipe(outgoing);
    return;
  }
  let passed = 0;
  incoming.on('data', (chunk: Buffer) => {
    passed += chunk.length;
    if (passed <= 100_000) outgoing.write(chunk);
    else outgoing.destroy();
  });
  incoming.once('end', () => outgoing.destroy());
}
