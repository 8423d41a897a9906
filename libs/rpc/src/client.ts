import type { DescService } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import type { TransportSettings } from '@millrace/base';
import { propagation } from '@opentelemetry/api';
import { type CallOptions, type Client, grpcDefinition } from './adapter.ts';
import { beginCall } from './call-telemetry.ts';
import { clientCredentials } from './credentials.ts';
import { channelOptions } from './limits.ts';
import { statusToError } from './status.ts';
import { targetOf } from './target.ts';

export interface ClientOptions {
  /** Deadline of unary calls that name none. */
  timeoutMs?: number;
  /** Certificates; a service hands over its own settings. Default: plain, which only loopback may be. */
  transport?: TransportSettings;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * A client for one service at "host:port" (or several, comma-separated, or any grpc-js target such as dns:///name:port):
 * round robin over what the name resolves to, keep-alive, and another try for calls that never reached a server.
 * Methods reject with MillraceErrors. `close()` ends the channel.
 */
export function createClient<S extends DescService>(
  service: S,
  addresses: string,
  options: ClientOptions = {},
): Client<S> {
  const definition = grpcDefinition(service);
  const channel = new grpc.Client(
    targetOf(addresses),
    clientCredentials(options.transport ?? {}, service.typeName, addresses),
    channelOptions(service.typeName),
  );
  const client: Record<string, unknown> = { close: () => channel.close() };
  for (const [name, method] of Object.entries(definition)) {
    const full = method.path.slice(1);
    client[name] = method.responseStream
      ? (request: unknown, call: CallOptions = {}) => stream(channel, method, full, addresses, request, call)
      : (request: unknown, call: CallOptions = {}) =>
          unary(channel, method, full, addresses, request, {
            timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
            ...call,
          });
  }
  return client as Client<S>;
}

type Method = grpc.MethodDefinition<unknown, unknown>;

function startCall(full: string, call: CallOptions) {
  const telemetry = beginCall('client', full);
  const metadata = new grpc.Metadata();
  propagation.inject(telemetry.active, metadata, { set: (m, key, value) => m.set(key, value) });
  const deadline = call.timeoutMs === undefined ? {} : { deadline: Date.now() + call.timeoutMs };
  return { telemetry, metadata, callOptions: deadline };
}

function unary(
  channel: grpc.Client,
  method: Method,
  full: string,
  address: string,
  request: unknown,
  call: CallOptions,
): Promise<unknown> {
  const { telemetry, metadata, callOptions } = startCall(full, call);
  return new Promise((resolve, reject) => {
    const fail = (thrown: unknown) => {
      call.signal?.removeEventListener('abort', cancel);
      const error = statusToError(thrown, full, address);
      telemetry.end(error);
      reject(call.signal?.aborted ? (call.signal.reason ?? error) : error);
    };
    let running: grpc.ClientUnaryCall | undefined;
    const cancel = () => running?.cancel();
    try {
      call.signal?.throwIfAborted();
      running = channel.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        callOptions,
        (error, response) => {
          if (error) return fail(error);
          call.signal?.removeEventListener('abort', cancel);
          telemetry.end();
          resolve(response);
        },
      );
      call.signal?.addEventListener('abort', cancel, { once: true });
    } catch (error) {
      fail(error);
    }
  });
}

async function* stream(
  channel: grpc.Client,
  method: Method,
  full: string,
  address: string,
  request: unknown,
  call: CallOptions,
): AsyncIterable<unknown> {
  call.signal?.throwIfAborted();
  const { telemetry, metadata, callOptions } = startCall(full, call);
  const running = channel.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadata,
    callOptions,
  );
  const cancel = () => running.cancel();
  call.signal?.addEventListener('abort', cancel, { once: true });
  let failure: unknown;
  try {
    // The stream's own iterator gives back pressure: the next message is asked for when this one is done with.
    for await (const message of running) yield message;
  } catch (error) {
    failure = call.signal?.aborted ? call.signal.reason : statusToError(error, full, address);
    throw failure;
  } finally {
    call.signal?.removeEventListener('abort', cancel);
    running.cancel();
    telemetry.end(failure);
  }
}
