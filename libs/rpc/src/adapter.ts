import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type * as grpc from '@grpc/grpc-js';
import { readRequest } from './request-check.ts';

/** Client-side shape of a service: a function a method, by its local name. */
export type Client<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : never;
} & { close(): void };

/** Server-side shape of a service. */
export type Implementation<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, call: CallContext) => Promise<MessageInitShape<O>> | MessageInitShape<O>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, call: CallContext) => AsyncIterable<MessageInitShape<O>>
      : never;
};

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Deadline of the call from now. Default: the client's; streams have none. */
  timeoutMs?: number;
}

export interface CallContext {
  /** Aborted when the caller goes away or its deadline passes. */
  signal: AbortSignal;
  /** Milliseconds since the epoch, Infinity without one. */
  deadlineMs: number;
  peer: string;
}

type AnyMethod = DescMethodUnary | DescMethodServerStreaming;

/** The methods of a protobuf-es service as a grpc-js definition: path, kind, and binary (de)serialisers. */
export function grpcDefinition(service: DescService): grpc.ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => {
      if (method.methodKind !== 'unary' && method.methodKind !== 'server_streaming') {
        throw new TypeError(`${service.typeName}.${method.name}: only unary and server streaming methods are served`);
      }
      return [method.localName, methodDefinition(method as AnyMethod)];
    }),
  );
}

function methodDefinition(method: AnyMethod): grpc.MethodDefinition<unknown, unknown> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === 'server_streaming',
    requestSerialize: (value) => serialize(method.input, value),
    requestDeserialize: (bytes) => readRequest(method.input, bytes),
    responseSerialize: (value) => serialize(method.output, value),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    originalName: method.localName,
  };
}

const serialize = (schema: DescMessage, value: unknown): Buffer => {
  const bytes = toBinary(schema, create(schema, value as MessageInitShape<DescMessage>));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};
