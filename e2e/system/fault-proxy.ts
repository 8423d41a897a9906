import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { isListing, withoutNewest } from './stale-list.ts';

/** What goes wrong with a request at once, as object stores and networks do it. */
export const FAULTS = ['slow-down', 'error', 'reset', 'lost-answer', 'torn-upload', 'torn-download'] as const;
/** What goes wrong silently: no answer ever comes, or its body stops in the middle. */
export const HANGS = ['hang', 'stalled-download'] as const;
export type Fault = (typeof FAULTS)[number] | (typeof HANGS)[number];

/** An HTTP proxy on the loopback before a store, that fails some requests. */
export interface FaultProxy {
  port: number;
  /** Share of requests that fail from now on, 0 to 1, in which ways (default: FAULTS). */
  failing(share: number, faults?: readonly Fault[]): void;
  /** From now on, this share of the listings lacks what was written in the last `ms`. */
  stale(share: number, ms: number): void;
  /** How many of each there were. `stale`: listings that lacked something. */
  counts(): Record<Fault | 'passed' | 'stale', number>;
  stop(): Promise<void>;
}

export interface FaultProxyOptions {
  /** Requests that never fail. */
  spared?: (method: string, url: string) => boolean;
}

export async function startFaultProxy(
  targetPort: number,
  seed: number,
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  let share = 0;
  let faults: readonly Fault[] = FAULTS;
  let staleShare = 0;
  let staleMs = 0;
  let state = seed >>> 0;
  const dice = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const names = [...FAULTS, ...HANGS, 'passed', 'stale'] as const;
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<(typeof names)[number], number>;
  const server = createServer((incoming, answer) => {
    const { method = 'GET', url = '/' } = incoming;
    const fails = dice() < share && !options.spared?.(method, url);
    const fault = fails ? faults[Math.floor(dice() * faults.length)]! : undefined;
    counts[fault ?? 'passed']++;
    if (fault === undefined && isListing(method, url) && dice() < staleShare)
      answerStale(incoming, answer, targetPort, staleMs, () => counts.stale++);
    else handle(incoming, answer, targetPort, fault);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    failing: (now, ways = FAULTS) => {
      share = now;
      faults = ways;
    },
    stale: (now, ms) => {
      staleShare = now;
      staleMs = ms;
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

function answerStale(
  incoming: IncomingMessage,
  answer: ServerResponse,
  port: number,
  staleMs: number,
  onLack: () => void,
): void {
  const { method, url, headers } = incoming;
  const plain = { ...headers, 'accept-encoding': 'identity' };
  const outgoing = request({ host: '127.0.0.1', port, method, path: url, headers: plain }, async (response) => {
    const whole = await buffer(response);
    const text = response.statusCode === 200 ? withoutNewest(whole.toString(), Date.now() - staleMs) : undefined;
    if (text !== undefined) onLack();
    const body = text === undefined ? whole : Buffer.from(text);
    const { 'transfer-encoding': _, ...kept } = response.headers;
    answer.writeHead(response.statusCode!, { ...kept, 'content-length': body.length }).end(body);
  });
  outgoing.on('error', () => incoming.socket.destroy());
  answer.on('error', () => {});
  incoming.pipe(outgoing);
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
  if (fault === 'hang') {
    // Until the client has had enough.
    incoming.resume();
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
    if (fault !== 'torn-download' && fault !== 'stalled-download') {
      response.pipe(answer);
      return;
    }
    const then = fault === 'torn-download' ? reset : () => {};
    response.once('data', (chunk: Buffer) => {
      answer.write(chunk.subarray(0, chunk.length >> 1), then);
      response.resume();
    });
    response.once('end', then);
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
