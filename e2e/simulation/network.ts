import { create, type DescMethod, type DescService, fromBinary, toBinary } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import { detailToError, errorToDetail } from '@millrace/rpc';
import { currentProcess, noAnswer, type Process, type World, world } from './world.ts';

interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

type Handler = (request: unknown, call: { signal: AbortSignal; deadlineMs: number; peer: string }) => unknown;

interface Implemented {
  service: DescService;
  handlers: Record<string, Handler>;
}

interface Server {
  process: Process;
  services: Map<string, Record<string, Handler>>;
  /** What callers must be told when the process dies. */
  running: Set<(error: MillraceError) => void>;
}

/** Who answers at which address; several replicas share one. */
export type Network = Map<string, Server[]>;

const LATE_MS = 6_000;
const DEFAULT_TIMEOUT_MS = 8_000;

export const implement = (service: DescService, handlers: Record<string, Handler>): Implemented => ({
  service,
  handlers,
});

export async function serve(
  network: Network,
  options: { host: string; port: number; services: Implemented[] },
): Promise<{ address: string; port: number; stop(graceMs: number): Promise<void> }> {
  const address = `${options.host}:${options.port}`;
  const server: Server = {
    process: currentProcess()!,
    services: new Map(options.services.map(({ service, handlers }) => [service.typeName, handlers])),
    running: new Set(),
  };
  const servers = network.get(address) ?? [];
  servers.push(server);
  network.set(address, servers);
  return {
    address,
    port: options.port,
    async stop(graceMs) {
      leave(network, server.process);
      if (server.running.size > 0) await world().wait(Math.min(graceMs, 500));
      for (const end of server.running) end(new MillraceError('unavailable', `${address} is shutting down`));
    },
  };
}

function leave(network: Network, process: Process): Server[] {
  const left: Server[] = [];
  for (const [address, servers] of network) {
    left.push(...servers.filter((server) => server.process === process));
    network.set(
      address,
      servers.filter((server) => server.process !== process),
    );
  }
  return left;
}

/** The process is dead: its connections break, which callers see soon. */
export function disconnect(network: Network, process: Process): void {
  for (const { running } of leave(network, process)) {
    for (const end of running) end(new MillraceError('unavailable', 'the connection was reset'));
  }
}

/** A client as @millrace/rpc's: messages are encoded, travel in virtual time, get lost, come late and come twice. */
export function createClient(
  network: Network,
  service: DescService,
  address: string,
  options: { timeoutMs?: number } = {},
): Record<string, unknown> {
  const client: Record<string, unknown> = { close() {} };
  for (const method of service.methods) {
    client[method.localName] =
      method.methodKind === 'server_streaming'
        ? (request: unknown, call: CallOptions = {}) => stream(network, method, address, request, call)
        : (request: unknown, call: CallOptions = {}) =>
            unary(network, method, address, request, {
              ...call,
              timeoutMs: Math.min(call.timeoutMs ?? options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 12_000),
            });
  }
  return client;
}

const choose = (w: World, network: Network, address: string): Server | undefined => {
  const servers = network.get(address) ?? [];
  return servers.length === 0 ? undefined : w.pick(servers);
};

const latency = (w: World): number =>
  w.faults.strikes('message-late') ? w.faults.detail('message-late') * LATE_MS : w.between(1, 20);

function unary(
  network: Network,
  method: DescMethod,
  address: string,
  request: unknown,
  call: CallOptions & { timeoutMs: number },
): Promise<unknown> {
  const w = world();
  const what = `${method.name} at ${address}`;
  return new Promise((resolve, reject) => {
    if (call.signal?.aborted) return reject(call.signal.reason);
    const bytes = toBinary(method.input, create(method.input, request as Record<string, unknown>));
    const caller = currentProcess();
    const gone = new AbortController();
    const end = (settle: () => void) => {
      w.cancel(timer);
      call.signal?.removeEventListener('abort', cancel);
      settle();
    };
    w.trace?.(`${caller?.name}: ${method.name}`);
    const fail = (error: unknown) => void w.after(latency(w), caller, () => end(() => reject(error)));
    const timer = w.after(call.timeoutMs, caller, () => {
      goAway();
      end(() => reject(new MillraceError('deadline', `${what} took longer than ${call.timeoutMs} ms`)));
    });
    const goAway = () =>
      void w.after(w.between(1, 20), undefined, () =>
        gone.abort(new MillraceError('cancelled', 'the caller went away')),
      );
    const cancel = () => {
      goAway();
      end(() => reject(call.signal!.reason));
    };
    call.signal?.addEventListener('abort', cancel, { once: true });
    if (w.faults.strikes('request-lost')) return fail(noAnswer(what));
    const deliver = () => {
      const server = choose(w, network, address);
      const handler = server?.services.get(method.parent.typeName)?.[method.localName];
      if (server === undefined || handler === undefined) return fail(noAnswer(what));
      server.running.add(fail);
      w.after(0, server.process, async () => {
        const context = { signal: gone.signal, deadlineMs: w.now + call.timeoutMs, peer: caller?.name ?? '' };
        try {
          const answer = await handler(fromBinary(method.input, bytes), context);
          const back = toBinary(method.output, create(method.output, answer as Record<string, unknown>));
          server.running.delete(fail);
          if (w.faults.strikes('answer-lost')) return fail(noAnswer(what));
          w.after(latency(w), caller, () => end(() => resolve(fromBinary(method.output, back))));
        } catch (error) {
          server.running.delete(fail);
          fail(detailToError(errorToDetail(error)));
        }
      });
    };
    w.after(latency(w), undefined, deliver);
    if (w.faults.strikes('message-repeated')) w.after(w.between(1, 3_000), undefined, deliver);
  });
}

async function* stream(
  network: Network,
  method: DescMethod,
  address: string,
  request: unknown,
  call: CallOptions,
): AsyncGenerator<unknown> {
  const w = world();
  call.signal?.throwIfAborted();
  const caller = currentProcess();
  const gone = new AbortController();
  const arrived: (Uint8Array | MillraceError | 'end')[] = [];
  let wake: (() => void) | undefined;
  // One after another, whatever each takes: a stream keeps its order.
  let freeMs = w.now;
  const send = (item: Uint8Array | MillraceError | 'end') => {
    freeMs = Math.max(freeMs + 1, w.now + latency(w));
    w.after(freeMs - w.now, caller, () => {
      arrived.push(item);
      wake?.();
    });
  };
  const bytes = toBinary(method.input, create(method.input, request as Record<string, unknown>));
  w.after(latency(w), undefined, () => {
    const server = choose(w, network, address);
    const handler = server?.services.get(method.parent.typeName)?.[method.localName];
    if (server === undefined || handler === undefined) return send(noAnswer(`${method.name} at ${address}`));
    server.running.add(send);
    w.after(0, server.process, async () => {
      const context = { signal: gone.signal, deadlineMs: Number.POSITIVE_INFINITY, peer: caller?.name ?? '' };
      try {
        for await (const message of handler(fromBinary(method.input, bytes), context) as AsyncIterable<
          Record<string, unknown>
        >) {
          if (gone.signal.aborted) break;
          if (w.faults.strikes('stream-cut')) throw noAnswer(method.name);
          send(toBinary(method.output, create(method.output, message)));
        }
        send('end');
      } catch (error) {
        send(detailToError(errorToDetail(error)));
      } finally {
        server.running.delete(send);
      }
    });
  });
  const cancel = () => wake?.();
  call.signal?.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      call.signal?.throwIfAborted();
      const item = arrived.shift();
      if (item === 'end') return;
      if (item instanceof MillraceError) throw item;
      if (item !== undefined) yield fromBinary(method.output, item);
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    call.signal?.removeEventListener('abort', cancel);
    w.after(w.between(1, 20), undefined, () => gone.abort(new MillraceError('cancelled', 'the caller went away')));
  }
}
