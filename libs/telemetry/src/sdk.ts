import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
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

/** Starts tracing for this process (the spans themselves are made in libs/rpc and by `withSpan`). Returns what flushes and ends it. */
export function startTelemetry(options: TelemetryOptions): () => Promise<void> {
  if (options.traces === 'none') return async () => {};
  const exporter: SpanExporter =
    options.traces === 'otlp' ? new OTLPTraceExporter() : fileSpanExporter(options.traces, options.traceFileBytes);
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({ 'service.name': options.serviceName, 'service.namespace': 'millrace' }),
    autoDetectResources: false,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
    instrumentations: [],
  });
  sdk.start();
  return () => sdk.shutdown();
}
