import { withoutSecrets } from '@millrace/base';
import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { serviceOf } from './service.ts';

export interface SpanOptions {
  attributes?: Attributes;
  kind?: SpanKind;
  /** The context to continue; default: the active one. */
  parent?: Context;
  links?: Link[];
}

/** Until telemetry has started, and once it has ended: spans that nobody keeps. */
const noTracer = (): Tracer => trace.getTracer('millrace');
let tracerOf: (service: string) => Tracer = noTracer;
export const useTracers = (of: typeof tracerOf | undefined): void => void (tracerOf = of ?? noTracer);

/** A span in the name of the service whose code runs; whoever starts it ends it. */
export const startSpan = (name: string, { attributes = {}, kind, parent, links = [] }: SpanOptions = {}): Span => {
  const from = parent ?? context.active();
  return tracerOf(serviceOf(from)).startSpan(name, { kind: kind ?? SpanKind.INTERNAL, attributes, links }, from);
};

/** Runs `action` inside a span; a throw marks the span as failed and goes on. */
export async function withSpan<T>(
  name: string,
  options: SpanOptions,
  action: (span: Span) => Promise<T> | T,
): Promise<T> {
  const parent = options.parent ?? context.active();
  const span = startSpan(name, { ...options, parent });
  try {
    return await context.with(trace.setSpan(parent, span), () => action(span));
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

export function failSpan(span: Span, error: unknown): void {
  const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const shown = withoutSecrets(message);
  span.recordException({ name, message: shown, stack: withoutSecrets(stack) });
  span.setStatus({ code: SpanStatusCode.ERROR, message: shown });
}

/** A context as W3C traceparent (default: the active one), for work that waits in a database; '' without a trace. */
export function currentTraceparent(of: Context = context.active()): string {
  const carrier: Record<string, string> = {};
  propagation.inject(of, carrier);
  return carrier['traceparent'] ?? '';
}

export const traceparentOf = (span: Span): string => currentTraceparent(trace.setSpan(context.active(), span));

/** The context that a stored traceparent names; without one, a trace of its own begins there. */
export const contextOf = (traceparent: string): Context => {
  const own = trace.deleteSpan(context.active());
  return traceparent === '' ? own : propagation.extract(own, { traceparent });
};

/** Runs `action` as a continuation of the trace that a stored traceparent names. */
export const withTraceparent = <T>(traceparent: string, action: () => T): T =>
  context.with(contextOf(traceparent), action);

/** Runs `action` outside the trace of whoever happened to wake it. */
export const detached = <T>(action: () => T): T => withTraceparent('', action);

/** What no trace is kept of: not sampled, and the services that are called see that. */
export const UNTRACED = {
  traceId: '00000000000000000000000000000001',
  spanId: '0000000000000001',
  traceFlags: TraceFlags.NONE,
};

/** Runs `action` without spans, here and in the services it calls: for questions that are asked all day long. */
export const untraced = <T>(action: () => T): T =>
  context.with(trace.setSpanContext(context.active(), UNTRACED), action);
