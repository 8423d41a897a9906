import { flushCompileCache } from 'node:module';
import { describeConfig, keepSecretsOf, loadConfig, toMillraceError } from '@millrace/base';
import { createLogger, LOG_LEVELS, setLogLevel, startTelemetry } from '@millrace/telemetry';
import { z } from 'zod';

/** A service that answers. `stop` drains: no new work, running work ends or is given back. */
export interface RunningService {
  name: string;
  /** gRPC address, "host:port". */
  address: string;
  stop(): Promise<void>;
}

/** The keys that every service has; spread it into a service's own zod object. */
export const listenConfig = (defaultPort: number) => ({
  host: z.string().default('127.0.0.1').describe('address to listen on; loopback unless told otherwise'),
  port: z.number().int().min(0).max(65_535).default(defaultPort).describe('gRPC port; 0 takes a free one'),
  tlsCertificateFile: z
    .string()
    .optional()
    .describe("PEM file: this service's certificate, shown to callers and to the services that it calls"),
  tlsKeyFile: z.string().optional().describe("PEM file: the certificate's private key"),
  tlsAuthorityFile: z
    .string()
    .optional()
    .describe('PEM file: the authorities whose certificates callers and called services must have'),
  tlsReloadMs: z.number().int().min(100).default(10_000).describe('milliseconds between looks at the three TLS files'),
  plaintext: z
    .boolean()
    .default(false)
    .describe('whether connections beyond loopback may go without TLS: only where the network encrypts by itself'),
  maxCalls: z
    .number()
    .int()
    .min(1)
    .default(1_000)
    .describe('gRPC calls at a time, those that wait and streams included; more are told to try again'),
  drainMs: z.number().int().min(0).default(10_000).describe('milliseconds that running work gets to end at a stop'),
  logLevel: z.enum(LOG_LEVELS).default('info').describe('least level that is logged'),
  traces: z
    .string()
    .default('none')
    .describe(
      'where spans go: none, otlp (OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, …), or a file for JSON lines',
    ),
  traceSampleRatio: z.number().min(0).max(1).default(1).describe('share of traces that are kept, 0 to 1'),
  traceFileBytes: z
    .number()
    .int()
    .min(0)
    .default(268_435_456)
    .describe('bytes at which a trace file is put aside (<file>.1)'),
  metricsPort: z
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe('port of /metrics for Prometheus on the same host, HTTPS where the service has TLS; 0: none'),
  metrics: z
    .enum(['none', 'otlp'])
    .default('none')
    .describe('where metrics are sent: none, or otlp (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL, …)'),
  metricsTopics: z
    .number()
    .int()
    .min(0)
    .default(500)
    .describe('topics, and tables, with series of their own; the rest are counted as "other"'),
});

export const listenSchema = (defaultPort: number) => z.object(listenConfig(defaultPort));
export type ListenConfig = z.infer<ReturnType<typeof listenSchema>>;

/**
 * A service's main: configuration from file and environment, telemetry, the service, and a graceful end on SIGTERM or
 * SIGINT. Exit codes: 0 after a drain, 1 when it could not start or a drain failed, 2 for a wrong configuration.
 * `--help` prints every key.
 */
export async function runService<S extends z.ZodObject>(
  name: string,
  schema: S,
  envPrefix: string,
  start: (config: z.infer<S>) => Promise<RunningService>,
): Promise<void> {
  if (process.argv.includes('--help')) {
    console.log(
      `millrace ${name}\n\nSettings (YAML file in ${envPrefix}_CONFIG, or environment; texts also by <name>_FILE):\n`,
    );
    console.log('key | environment | default | meaning\n' + describeConfig(schema, envPrefix).join('\n'));
    return;
  }
  keepSecretsOf(process.env);
  let config: z.infer<S>;
  try {
    config = loadConfig(schema, envPrefix);
  } catch (error) {
    console.error(toMillraceError(error).message);
    process.exitCode = 2;
    return;
  }
  const listen = config as unknown as ListenConfig;
  setLogLevel(listen.logLevel);
  const logger = createLogger(name);
  let endTelemetry = async (): Promise<void> => {};
  let service: RunningService;
  try {
    endTelemetry = await startTelemetry({
      serviceName: name,
      traces: listen.traces,
      sampleRatio: listen.traceSampleRatio,
      traceFileBytes: listen.traceFileBytes,
      metrics: listen.metrics,
      metricsPort: listen.metricsPort,
      metricsHost: listen.host,
      metricsTransport: listen,
      metricsTopics: listen.metricsTopics,
    });
    service = await start(config);
  } catch (error) {
    logger.fatal({ error }, 'could not start');
    await endTelemetry();
    process.exitCode = 1;
    return;
  }
  logger.info({ address: service.address }, 'listening');
  let stopping = false;
  const end = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'draining');
    try {
      await service.stop();
      await endTelemetry();
      process.exit(0);
    } catch (error) {
      logger.error({ error }, 'drain failed');
      process.exit(1);
    }
  };
  // A parent that started this with an IPC channel is told the address, and its death ends the service.
  process.send?.({ address: service.address });
  // Where a compile cache is kept (NODE_COMPILE_CACHE): now, since not every process gets to its end.
  flushCompileCache();
  process.on('disconnect', () => void end('disconnect'));
  process.on('SIGTERM', () => void end('SIGTERM'));
  process.on('SIGINT', () => void end('SIGINT'));
}
