import { once } from 'node:events';
import { type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { MillraceError, type TransportSettings } from '@millrace/base';
import { inService } from '@millrace/telemetry';
import { context, propagation } from '@opentelemetry/api';
import { HealthImplementation } from 'grpc-health-check';
import { type CallContext, grpcDefinition, type Implementation } from './adapter.ts';
import { beginCall } from './call-telemetry.ts';
import { serverCredentials } from './credentials.ts';
import { MAX_CALLS, serverOptions } from './limits.ts';
import { type ReadinessCheck, watchReadiness } from './readiness.ts';
import { MalformedRequest } from './request-check.ts';
import { errorToStatus } from './status.ts';

export interface ImplementedService {
  service: DescService;
  handlers: grpc.UntypedServiceImplementation;
  gate: Gate;
}

/** Lets a call in, and answers what lets it out again; throws `exhausted`. Set by the server that serves it. */
interface Gate {
  enter?: () => () => void;
}

export interface ServeOptions {
  /** The name in spans: "segment-reader". */
  name: string;
  /** Default 127.0.0.1: loopback unless told otherwise. */
  host: string;
  /** 0 takes a free port. */
  port: number;
  /** Certificates; a service hands over its own settings. Default: plain, which only loopback may be. */
  transport?: TransportSettings;
  services: ImplementedService[];
  /** Calls that may run at a time, streams and those that wait included; more are refused with `exhausted`. Default 1,000. */
  maxCalls?: number;
  /** What must be there before health says SERVING. */
  ready?: readonly ReadinessCheck[];
}

export interface RpcServer {
  /** "host:port" as bound. */
  address: string;
  port: number;
  /** Health answers NOT_SERVING and no new call is taken; running calls get `graceMs` to end, then are cut. */
  stop(graceMs: number): Promise<void>;
}

/** Joins a service and its handlers. */
export function implement<S extends DescService>(service: S, handlers: Implementation<S>): ImplementedService {
  const definition = grpcDefinition(service);
  const wrapped: grpc.UntypedServiceImplementation = {};
  const gate: Gate = {};
  for (const [name, method] of Object.entries(definition)) {
    const handler = (handlers as Record<string, Handler>)[name]!.bind(handlers);
    wrapped[name] = method.responseStream ? streaming(method.path, handler, gate) : unary(method.path, handler, gate);
  }
  return { service, handlers: wrapped, gate };
}

/**
 * Serves gRPC with reflection and standard health checking (grpc.health.v1): the service "liveness" is SERVING as long as
 * the process answers; "" and each service by its name are while it can do its work, and not while it drains.
 */
export async function serve(options: ServeOptions): Promise<RpcServer> {
  const credentials = serverCredentials(options.transport ?? {}, options.name, options.host);
  const server = new grpc.Server(serverOptions);
  const health = new HealthImplementation({ '': 'NOT_SERVING', liveness: 'SERVING' });
  const enter = callGate(options.name, options.maxCalls ?? MAX_CALLS);
  for (const { service, handlers, gate } of options.services) {
    gate.enter = enter;
    server.addService(grpcDefinition(service), inNameOf(options.name, handlers));
    health.setStatus(service.typeName, 'NOT_SERVING');
  }
  health.addToServer(server);
  reflection(options.services.map(({ service }) => service)).addToServer(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${options.host}:${options.port}`, credentials, (error, bound) =>
      error
        ? reject(
            new MillraceError(
              'unavailable',
              `${options.name} can't listen on ${options.host}:${options.port}: ${error.message}`,
              {
                code: 'listen-failed',
                retryable: false,
                cause: error,
              },
            ),
          )
        : resolve(bound),
    ),
  );
  const names = ['', ...options.services.map(({ service }) => service.typeName)];
  const endWatch = watchReadiness(options.name, options.ready ?? [], (ready) => {
    for (const name of names) health.setStatus(name, ready ? 'SERVING' : 'NOT_SERVING');
  });
  return {
    address: `${options.host}:${port}`,
    port,
    async stop(graceMs) {
      const watchEnds = endWatch();
      for (const name of names) health.setStatus(name, 'NOT_SERVING');
      await watchEnds;
      const cut = setTimeout(() => server.forceShutdown(), graceMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(cut);
    },
  };
}

/** Several servers of one process share grpc-js's callbacks: each handler is told whose it is. */
const inNameOf = (service: string, handlers: grpc.UntypedServiceImplementation): grpc.UntypedServiceImplementation =>
  Object.fromEntries(
    Object.entries(handlers).map(([name, handler]) => [
      name,
      (...call: unknown[]) => inService(service, () => (handler as (...call: unknown[]) => void)(...call)),
    ]),
  );

type Handler = (request: unknown, call: CallContext) => unknown;

function begin(
  path: string,
  call: grpc.ServerUnaryCall<unknown, unknown> | grpc.ServerWritableStream<unknown, unknown>,
) {
  const parent = propagation.extract(context.active(), call.metadata, {
    keys: (metadata) => Object.keys(metadata.getMap()),
    get: (metadata, key) => metadata.get(key).map(String),
  });
  const telemetry = beginCall('server', path.slice(1), parent);
  const ended = new AbortController();
  call.on('cancelled', () => ended.abort(new MillraceError('cancelled', `${path}: the caller went away`)));
  const deadline = call.getDeadline();
  const callContext: CallContext = {
    signal: ended.signal,
    deadlineMs: deadline instanceof Date ? deadline.getTime() : deadline,
    peer: call.getPeer(),
  };
  return { telemetry, callContext };
}

function wellFormed(request: unknown): unknown {
  if (request instanceof MalformedRequest) throw request.error;
  return request;
}

/** What waits in a process waits in a call: bounding them bounds its memory. Health is asked for outside of it. */
function callGate(name: string, most: number): () => () => void {
  let running = 0;
  return () => {
    if (running >= most) {
      throw new MillraceError('exhausted', `${name} has ${most} calls under way (maxCalls): try again`, {
        code: 'too-many-calls',
      });
    }
    running++;
    return () => void running--;
  };
}

const unary =
  (path: string, handler: Handler, gate: Gate): grpc.handleUnaryCall<unknown, unknown> =>
  (call, callback) => {
    const { telemetry, callContext } = begin(path, call);
    void context.with(telemetry.active, async () => {
      let leave: (() => void) | undefined;
      try {
        leave = gate.enter?.();
        const response = await handler(wellFormed(call.request), callContext);
        telemetry.end();
        callback(null, response);
      } catch (error) {
        telemetry.end(error);
        callback(errorToStatus(error));
      } finally {
        leave?.();
      }
    });
  };

const streaming =
  (path: string, handler: Handler, gate: Gate): grpc.handleServerStreamingCall<unknown, unknown> =>
  (call) => {
    const { telemetry, callContext } = begin(path, call);
    void context.with(telemetry.active, async () => {
      let failure: unknown;
      let leave: (() => void) | undefined;
      try {
        leave = gate.enter?.();
        for await (const message of handler(wellFormed(call.request), callContext) as AsyncIterable<unknown>) {
          if (callContext.signal.aborted) break;
          // Back pressure: grpc-js counts messages; wait until the caller has taken some.
          if (!call.write(message)) await once(call, 'drain', { signal: callContext.signal });
        }
        call.end();
      } catch (error) {
        failure = callContext.signal.aborted ? callContext.signal.reason : error;
        if (!callContext.signal.aborted) call.emit('error', errorToStatus(error));
      } finally {
        leave?.();
        telemetry.end(failure);
      }
    });
  };

/** grpc.reflection.v1 from the descriptors that protobuf-es carries. */
function reflection(services: DescService[]): ReflectionService {
  const files = new Map<string, Buffer>();
  const add = (file: DescService['file']) => {
    if (files.has(file.name)) return;
    files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
    file.dependencies.forEach(add);
  };
  for (const service of services) add(service.file);
  const definition = { files: { fileDescriptorProtos: [...files.values()] } };
  return new ReflectionService(definition as unknown as ConstructorParameters<typeof ReflectionService>[0], {
    services: services.map((service) => service.typeName),
  });
}
