import { hostname } from 'node:os';
import type { TransportSettings } from '@millrace/base';
import { MillraceError } from '@millrace/base';
import {
  context,
  DiagLogLevel,
  diag,
  type MeterProvider as Meters,
  propagation,
  type Tracer,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { createLogger } from './log.ts';
import { useMeter } from './metrics.ts';
import { nameOfProcess, nameProcess } from './service.ts';
import { useTracers } from './trace.ts';

export interface TelemetryOptions {
  serviceName: string;
  /** "none", "otlp" (exporters.ts) or a file for JSON lines. */
  traces: string;
  /** Share of traces that are kept, 0 to 1; whoever continues a trace does as it began. */
  sampleRatio: number;
  /** A trace file is put aside at this size. */
  traceFileBytes: number;
  /** "none" or "otlp"; Prometheus may ask besides. */
  metrics?: string;
  /** Of /metrics; 0: none. */
  metricsPort?: number;
  metricsHost?: string;
  /** Its certificates. */
  metricsTransport?: TransportSettings;
  /** Topics, and tables, that have series of their own. */
  metricsTopics?: number;
}

/** A collector that is away must not hold up a drain. */
const END_MS = 3_000;
const REPEAT_MS = 60_000;

/**
 * Starts tracing and metrics for this process (spans are made in libs/rpc and by `withSpan`, metrics by `count`, `record`
 * and `observe`). Returns what flushes and ends them. Only the parts that are used are loaded: the packaged Node SDK brings
 * every exporter, 30 MB and half a CPU second a process. Throws when the configuration is wrong or the port is taken.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<() => Promise<void>> {
  nameProcess(options.serviceName);
  const { traces, metrics = 'none', metricsPort = 0 } = options;
  const hasMetrics = metrics !== 'none' || metricsPort !== 0;
  if (traces === 'none' && !hasMetrics) return async () => {};
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  logTrouble();
  const ends: (() => Promise<unknown>)[] = [];
  const meters = hasMetrics ? await startMetrics(options, ends) : undefined;
  if (traces !== 'none') await startTraces(options, meters, ends);
  return async () => {
    const ended = Promise.allSettled(ends.reverse().map((end) => end()));
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, END_MS).unref())]);
  };
}

async function startTraces(
  { traces, traceFileBytes, sampleRatio }: TelemetryOptions,
  meters: Meters | undefined,
  ends: (() => Promise<unknown>)[],
): Promise<void> {
  const { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } = await import(
    '@opentelemetry/sdk-trace'
  );
  const { fileSpanExporter } = await import('./file-exporter.ts');
  const { otlpSpanExporter } = await import('./exporters.ts');
  // Its queue is what a collector that is away costs: further spans are dropped.
  const processor = new BatchSpanProcessor({
    exporter: traces === 'otlp' ? await otlpSpanExporter() : fileSpanExporter(traces, traceFileBytes),
    maxQueueSize: environmentNumber('OTEL_BSP_MAX_QUEUE_SIZE', 2_048),
    maxExportBatchSize: environmentNumber('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
    scheduledDelayMillis: environmentNumber('OTEL_BSP_SCHEDULE_DELAY', 5_000),
    exportTimeoutMillis: environmentNumber('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
    ...(meters === undefined ? {} : { selfObsMeterProvider: meters }),
  });
  const sampler = new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) });
  const tracers = new Map<string, Tracer>();
  const resources = await resourcesBy();
  // One provider a service, so that several in one process keep their names; one queue for all.
  useTracers((service) => {
    let tracer = tracers.get(service);
    if (tracer === undefined) {
      const provider = new TracerProvider({ resource: resources(service), sampler, spanProcessors: [processor] });
      tracers.set(service, (tracer = provider.getTracer('millrace')));
    }
    return tracer;
  });
  ends.push(async () => {
    useTracers(undefined);
    await processor.shutdown();
  });
}

async function startMetrics(
  { metrics = 'none', metricsPort = 0, metricsHost = '127.0.0.1', metricsTopics = 500, ...options }: TelemetryOptions,
  ends: (() => Promise<unknown>)[],
): Promise<Meters> {
  const { MeterProvider, PeriodicExportingMetricReader } = await import('@opentelemetry/sdk-metrics');
  const { observeProcess } = await import('./process-metrics.ts');
  const resource = (await resourcesBy())(nameOfProcess());
  const readers = [];
  // Room for a few states or formats of each topic.
  const mostSeries = Math.max(2_000, metricsTopics * 4);
  if (metricsPort !== 0) {
    const { servePrometheus } = await import('./prometheus.ts');
    const endpoint = await servePrometheus(metricsHost, metricsPort, mostSeries, options.metricsTransport);
    ends.push(endpoint.stop);
    readers.push(endpoint.reader);
  }
  if (metrics === 'otlp') {
    const { otlpMetricExporter } = await import('./exporters.ts');
    readers.push(
      new PeriodicExportingMetricReader({
        exporter: await otlpMetricExporter(),
        exportIntervalMillis: environmentNumber('OTEL_METRIC_EXPORT_INTERVAL', 60_000),
        exportTimeoutMillis: environmentNumber('OTEL_METRIC_EXPORT_TIMEOUT', 30_000),
        cardinalityLimits: { default: mostSeries },
      }),
    );
  }
  const provider = new MeterProvider({ resource, readers });
  useMeter(provider.getMeter('millrace'), metricsTopics);
  const endProcess = observeProcess();
  ends.push(async () => {
    endProcess();
    await provider.shutdown();
    useMeter(undefined, metricsTopics);
  });
  return provider;
}

/** What describes each service; OTEL_RESOURCE_ATTRIBUTES adds to it. */
async function resourcesBy() {
  const { detectResources, envDetector, resourceFromAttributes } = await import('@opentelemetry/resources');
  const environment = detectResources({ detectors: [envDetector] });
  return (service: string) =>
    environment.merge(
      resourceFromAttributes({
        'service.name': service,
        'service.namespace': 'millrace',
        'service.instance.id': `${hostname()}-${process.pid}`,
      }),
    );
}

/** What the SDK has to complain of (a collector that is away, above all) is a warning; the same one at most once a minute. */
function logTrouble(): void {
  const logger = createLogger('telemetry');
  const told = new Map<string, number>();
  const warn = (message: string) => {
    // Numbers and stacks differ each time.
    const key = message.slice(0, 60).replace(/\d+/g, '');
    if (Date.now() - (told.get(key) ?? 0) < REPEAT_MS) return;
    if (told.size > 100) told.clear();
    told.set(key, Date.now());
    logger.warn(message.slice(0, 1_000));
  };
  const quiet = () => {};
  diag.setLogger(
    { error: warn, warn, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

function environmentNumber(name: string, fallback: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  throw new MillraceError('invalid', `environment variable ${name}=${text}: a whole number of 1 or more`, {
    code: 'config-invalid',
    context: { key: name },
  });
}
