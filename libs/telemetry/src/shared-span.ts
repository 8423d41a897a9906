import { type Attributes, context, type Span, trace } from '@opentelemetry/api';
import { contextOf, failSpan, startSpan, traceparentOf } from './trace.ts';

/** Work that belongs to several traces at once, as a commit does to those of all its splits. */
export interface SharedSpan {
  /** To go on from, one a trace: the first is the one that the work itself goes on in. */
  traceparents: string[];
  setAttributes(attributes: Attributes): void;
  fail(error: unknown): void;
  end(): void;
}

/** Traces beyond these end where they were joined. */
const MOST_TRACES = 32;

/**
 * A span of the same name in each of the traces, by the first traceparent of each. The first has the work's own child
 * spans; the others link to it, and it to them. What is not sampled takes no part; when nothing is, nothing is recorded.
 */
export function startSharedSpan(name: string, traceparents: readonly string[], attributes: Attributes): SharedSpan {
  const parents = oneATrace(traceparents);
  const contexts = (parents.length === 0 ? [traceparents[0] ?? ''] : parents).map(contextOf);
  const links = contexts.slice(1).map((parent) => ({ context: trace.getSpanContext(parent)! }));
  const first = startSpan(name, { attributes, parent: contexts[0]!, links });
  const others = contexts
    .slice(1)
    .map((parent) => startSpan(name, { attributes, parent, links: [{ context: first.spanContext() }] }));
  const spans: Span[] = [first, ...others];
  return {
    traceparents: spans.map(traceparentOf),
    setAttributes: (more) => spans.forEach((span) => void span.setAttributes(more)),
    fail: (error) => spans.forEach((span) => void failSpan(span, error)),
    end: () => spans.forEach((span) => void span.end()),
  };
}

/** Runs `action` inside such a span. */
export async function withSharedSpan<T>(
  name: string,
  traceparents: readonly string[],
  attributes: Attributes,
  action: () => Promise<T>,
): Promise<T> {
  const span = startSharedSpan(name, traceparents, attributes);
  try {
    return await context.with(contextOf(span.traceparents[0]!), action);
  } catch (error) {
    span.fail(error);
    throw error;
  } finally {
    span.end();
  }
}

/** "00-<trace id>-<span id>-<flags>": the first of each trace that is sampled. */
function oneATrace(traceparents: readonly string[]): string[] {
  const found = new Map<string, string>();
  for (const traceparent of traceparents) {
    const [, traceId, , flags] = traceparent.split('-');
    if (traceId === undefined || (Number.parseInt(flags ?? '0', 16) & 1) === 0 || found.has(traceId)) continue;
    found.set(traceId, traceparent);
    if (found.size === MOST_TRACES) break;
  }
  return [...found.values()];
}
