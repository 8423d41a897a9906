import { MillraceError } from '@millrace/base';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { SpanExporter } from '@opentelemetry/sdk-trace';

/** The first is the default: gRPC is loaded anyway. */
const PROTOCOLS = ['grpc', 'http/protobuf'] as const;

/**
 * OTLP to a collector. Where, how and with which headers the standard variables say, which the exporters read themselves:
 * OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, _TIMEOUT, _COMPRESSION, _CERTIFICATE, …, and here _PROTOCOL; each also for one
 * signal alone (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT). Only what is used is loaded.
 */
export async function otlpSpanExporter(): Promise<SpanExporter> {
  const { OTLPTraceExporter } =
    protocol('TRACES') === 'grpc'
      ? await import('@opentelemetry/exporter-trace-otlp-grpc')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter();
}

export async function otlpMetricExporter(): Promise<PushMetricExporter> {
  const { OTLPMetricExporter } =
    protocol('METRICS') === 'grpc'
      ? await import('@opentelemetry/exporter-metrics-otlp-grpc')
      : await import('@opentelemetry/exporter-metrics-otlp-proto');
  const { temporalityOf } = await import('./temporality.ts');
  return Object.assign(new OTLPMetricExporter(), { selectAggregationTemporality: temporalityOf });
}

function protocol(signal: 'TRACES' | 'METRICS'): (typeof PROTOCOLS)[number] {
  const key = [`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`, 'OTEL_EXPORTER_OTLP_PROTOCOL'].find(
    (name) => process.env[name],
  );
  const wanted = key === undefined ? PROTOCOLS[0] : process.env[key]!;
  const found = PROTOCOLS.find((one) => one === wanted);
  if (found !== undefined) return found;
  throw new MillraceError('invalid', `environment variable ${key}=${wanted}: legal: ${PROTOCOLS.join(', ')}`, {
    code: 'config-invalid',
    context: { key: key! },
  });
}
