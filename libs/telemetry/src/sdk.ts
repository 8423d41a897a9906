import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { fileSpanExporter } from './file-exporter.ts';

export interface TelemetryOptions {
  serviceName: string;
  /** "none", "otlp" (endpoint from OTEL_EXPORTER_OTLP_ENDPOINT) or a file for JSON lines. */
  traces: string;
  /** Share of traces that are kept, 0 to 1. */
  sampleRatio: number;
  /** A trace file ends at this size. */
  traceFileBytes: number;
}

/**
 * Starts tracing for this process (the spans themselves are made in libs/rpc and by `withSpan`). Returns what flushes and
 * ends it. Only the parts that are used: the packaged Node SDK brings every exporter, 30 MB and half a CPU second a process.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<() => Promise<void>> {
  if (options.traces === 'none') return async () => {};
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': options.serviceName, 'service.namespace': 'millrace' }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: await exporterOf(options) })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

async function exporterOf({ traces, traceFileBytes }: TelemetryOptions): Promise<SpanExporter> {
  if (traces !== 'otlp') return fileSpanExporter(traces, traceFileBytes);
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
  return new OTLPTraceExporter();
}
