import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

const TRACER = 'millrace';

export interface SpanOptions {
  attributes?: Attributes;
  kind?: SpanKind;
  /** The context to continue; default: the active one. */
  parent?: Context;
}

/** Runs `action` inside a span; a throw marks the span as failed and goes on. */
export async function withSpan<T>(
  name: string,
  options: SpanOptions,
  action: (span: Span) => Promise<T> | T,
): Promise<T> {
  const parent = options.parent ?? context.active();
  const span = trace
    .getTracer(TRACER)
    .startSpan(name, { kind: options.kind ?? SpanKind.INTERNAL, attributes: options.attributes ?? {} }, parent);
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
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}

/** The active trace context as W3C traceparent, for work that waits in a database; '' without one. */
export function currentTraceparent(): string {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier['traceparent'] ?? '';
}

/** The context that a stored traceparent names, on top of the active one. */
export const contextOf = (traceparent: string): Context =>
  traceparent === '' ? context.active() : propagation.extract(context.active(), { traceparent });

/** Runs `action` as a continuation of the trace that a stored traceparent names. */
export const withTraceparent = <T>(traceparent: string, action: () => T): T =>
  context.with(contextOf(traceparent), action);
