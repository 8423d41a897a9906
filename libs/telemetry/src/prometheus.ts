import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { MillraceError, type TransportSettings, usesTls, watchCertificates } from '@millrace/base';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { DataPointType, MetricReader, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { createLogger } from './log.ts';
import { prometheusName } from './metric-catalog.ts';
import { temporalityOf } from './temporality.ts';

const COLLECT_MS = 5_000;
const MOST_CONNECTIONS = 64;

class PullReader extends MetricReader {
  protected onShutdown = async () => {};
  protected onForceFlush = async () => {};
}

export interface PrometheusEndpoint {
  reader: MetricReader;
  stop(): Promise<void>;
}

/**
 * Prometheus' text format at http://host:port/metrics; with certificates by HTTPS, for who shows one too. Names carry
 * their unit, as OpenTelemetry's specification for Prometheus has it and a collector writes them; the packaged exporter
 * leaves it out. Whoever asks while metrics are being read gets the same answer.
 */
export async function servePrometheus(
  host: string,
  port: number,
  mostSeries: number,
  transport: TransportSettings = {},
): Promise<PrometheusEndpoint> {
  const reader = new PullReader({
    aggregationTemporalitySelector: temporalityOf,
    cardinalitySelector: () => mostSeries,
  });
  const serializer = new PrometheusSerializer('', false, undefined, false, true);
  let collecting: Promise<string> | undefined;
  const collect = async () => {
    const { resourceMetrics } = await reader.collect({ timeoutMillis: COLLECT_MS });
    return serializer.serialize(named(resourceMetrics));
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.split('?')[0] !== '/metrics') return response.writeHead(404).end('metrics are at /metrics\n');
    if (request.method !== 'GET') return response.writeHead(405, { allow: 'GET' }).end();
    collecting ??= collect().finally(() => (collecting = undefined));
    const text = await collecting;
    return response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch((error: Error) => response.writeHead(500).end(`${error.message}\n`));
  };
  const { server, endWatch } = listening(transport, host, listener);
  server.maxConnections = MOST_CONNECTIONS;
  server.listen({ host, port });
  await once(server, 'listening').catch((error: Error) => {
    throw new MillraceError(
      'unavailable',
      `metrics can't listen on ${host}:${port}: ${error.message}; choose another metricsPort`,
      {
        code: 'listen-failed',
        retryable: false,
        cause: error,
      },
    );
  });
  // It must not keep a process that is done.
  server.unref();
  return {
    reader,
    async stop() {
      endWatch();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function listening(
  transport: TransportSettings,
  host: string,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
) {
  if (!usesTls(transport, 'metrics listen on', [host])) return { server: createServer(listener), endWatch: () => {} };
  const certificates = watchCertificates(
    transport,
    (changed) => server.setSecureContext(changed),
    (error) => createLogger('tls').error({ error }, 'new certificates of /metrics are of no use; the former ones stay'),
  );
  const options = { ...certificates.current(), requestCert: true, rejectUnauthorized: true };
  const server = createSecureServer(options, listener);
  return { server, endWatch: certificates.stop };
}

function named({ resource, scopeMetrics }: ResourceMetrics): ResourceMetrics {
  return {
    resource,
    scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({
      scope,
      metrics: metrics.map((metric) => {
        const { name, unit } = metric.descriptor;
        const isCounter = metric.dataPointType === DataPointType.SUM && metric.isMonotonic;
        // Units in Prometheus' own comments would have to be those words, so they are left to the names.
        return {
          ...metric,
          descriptor: { ...metric.descriptor, unit: '', name: prometheusName(name, unit, isCounter) },
        };
      }),
    })),
  };
}
