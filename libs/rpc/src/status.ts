import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { type ErrorKind, MillraceError, toMillraceError } from '@millrace/base';
import { type ErrorDetail, ErrorDetailSchema, ErrorKind as WireKind } from '@millrace/proto/common';

/** The one table from error kind to gRPC status, wire kind and HTTP status. */
const KINDS: Record<ErrorKind, { status: grpc.status; wire: WireKind; http: number }> = {
  invalid: { status: grpc.status.INVALID_ARGUMENT, wire: WireKind.INVALID, http: 400 },
  'not-found': { status: grpc.status.NOT_FOUND, wire: WireKind.NOT_FOUND, http: 404 },
  'already-exists': { status: grpc.status.ALREADY_EXISTS, wire: WireKind.ALREADY_EXISTS, http: 409 },
  conflict: { status: grpc.status.FAILED_PRECONDITION, wire: WireKind.CONFLICT, http: 409 },
  'stale-lease': { status: grpc.status.ABORTED, wire: WireKind.STALE_LEASE, http: 409 },
  unavailable: { status: grpc.status.UNAVAILABLE, wire: WireKind.UNAVAILABLE, http: 503 },
  exhausted: { status: grpc.status.RESOURCE_EXHAUSTED, wire: WireKind.EXHAUSTED, http: 429 },
  corrupt: { status: grpc.status.DATA_LOSS, wire: WireKind.CORRUPT, http: 500 },
  unsupported: { status: grpc.status.UNIMPLEMENTED, wire: WireKind.UNSUPPORTED, http: 406 },
  permission: { status: grpc.status.PERMISSION_DENIED, wire: WireKind.PERMISSION, http: 403 },
  unauthenticated: { status: grpc.status.UNAUTHENTICATED, wire: WireKind.UNAUTHENTICATED, http: 401 },
  cancelled: { status: grpc.status.CANCELLED, wire: WireKind.CANCELLED, http: 499 },
  deadline: { status: grpc.status.DEADLINE_EXCEEDED, wire: WireKind.DEADLINE, http: 504 },
  internal: { status: grpc.status.INTERNAL, wire: WireKind.INTERNAL, http: 500 },
};

const DETAIL_KEY = 'millrace-error-bin';
/** gRPC limits a header block; a longer message is cut, its start says what happened. */
const MAX_MESSAGE_LENGTH = 2_000;

const byStatus = new Map<number, ErrorKind>(
  (Object.entries(KINDS) as [ErrorKind, (typeof KINDS)[ErrorKind]][]).map(([kind, { status }]) => [status, kind]),
);
const byWire = new Map<number, ErrorKind>(
  (Object.entries(KINDS) as [ErrorKind, (typeof KINDS)[ErrorKind]][]).map(([kind, { wire }]) => [wire, kind]),
);

export const httpStatusOf = (kind: ErrorKind): number => KINDS[kind].http;

/** "OK" without an error, else the name of its gRPC status. */
export const statusNameOf = (error: unknown): string =>
  error === undefined ? 'OK' : grpc.status[KINDS[toMillraceError(error).kind].status];

export function errorToDetail(thrown: unknown): ErrorDetail {
  const error = toMillraceError(thrown);
  return create(ErrorDetailSchema, {
    kind: KINDS[error.kind].wire,
    code: error.code,
    message: wellFormed(error.message, MAX_MESSAGE_LENGTH),
    retryable: error.retryable,
    context: Object.fromEntries(
      Object.entries(error.context)
        .slice(0, 32)
        .map(([key, value]) => [wellFormed(key, 100), wellFormed(value, 500)]),
    ),
  });
}

/** Half a surrogate pair (of a text that was cut, or quoted by another's message) ends grpc-js's server: URIError. */
const wellFormed = (text: string, length: number): string => text.slice(0, length).toWellFormed();

export function detailToError(detail: ErrorDetail): MillraceError {
  return new MillraceError(byWire.get(detail.kind) ?? 'internal', detail.message, {
    code: detail.code,
    retryable: detail.retryable,
    context: detail.context,
  });
}

/** What a gRPC handler fails with: status, message and, in metadata, the detail. */
export function errorToStatus(thrown: unknown): grpc.ServiceError {
  const detail = errorToDetail(thrown);
  const metadata = new grpc.Metadata();
  metadata.set(DETAIL_KEY, Buffer.from(toBinary(ErrorDetailSchema, detail)));
  const status = KINDS[byWire.get(detail.kind)!].status;
  return Object.assign(new Error(detail.message), { code: status, details: detail.message, metadata });
}

/** What a client throws: the server's own error where it sent one, else by status. */
export function statusToError(thrown: unknown, method: string, address: string): MillraceError {
  const error = thrown as Partial<grpc.ServiceError>;
  if (typeof error.code !== 'number') return toMillraceError(thrown);
  const [detail] = error.metadata?.get(DETAIL_KEY) ?? [];
  if (detail instanceof Uint8Array) return detailToError(fromBinary(ErrorDetailSchema, detail));
  const kind = byStatus.get(error.code) ?? 'internal';
  return new MillraceError(kind, `${method} at ${address}: ${error.details ?? error.message}`, {
    context: { method, address },
    cause: thrown,
  });
}
