import { failSpan, observeProcessWide, record, startSpan } from '@millrace/telemetry';
import { type Context, context, SpanKind, trace } from '@opentelemetry/api';
import { statusNameOf } from './status.ts';

const SIDES = {
  server: { kind: SpanKind.SERVER, duration: 'rpc.server.call.duration' },
  client: { kind: SpanKind.CLIENT, duration: 'rpc.client.call.duration' },
} as const;

export interface CallTelemetry {
  /** The caller's context with the call's span. */
  active: Context;
  /** Once, with what it failed with. */
  end(error?: unknown): void;
}

/** Calls that are being answered, by all servers of this process. */
let answering = 0;
observeProcessWide(['millrace.rpc.server.active'], (report) => report('millrace.rpc.server.active', answering));

/** Span and duration of one call, by the semantic conventions for RPC. `full`: "millrace.v1.TopicService/PauseTopic". */
export function beginCall(side: keyof typeof SIDES, full: string, parent: Context = context.active()): CallTelemetry {
  const { kind, duration } = SIDES[side];
  const startedMs = performance.now();
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': full };
  const span = startSpan(full, { kind, attributes, parent });
  const active = trace.setSpan(parent, span);
  if (side === 'server') answering++;
  return {
    active,
    end(error) {
      if (side === 'server') answering--;
      const status = statusNameOf(error);
      span.setAttribute('rpc.response.status_code', status);
      // Who goes away has not met a failure.
      if (error !== undefined && status !== 'CANCELLED') failSpan(span, error);
      span.end();
      // In the name of the service that made or answered it.
      context.with(active, () =>
        record(duration, (performance.now() - startedMs) / 1e3, { ...attributes, 'rpc.response.status_code': status }),
      );
    },
  };
}
