import { withoutSecrets } from '@millrace/base';
import { trace } from '@opentelemetry/api';
import { type Logger as PinoLogger, pino } from 'pino';
import { UNTRACED } from './trace.ts';

export type Logger = PinoLogger;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

let destination = pino.destination({ dest: 2, sync: true });

const root = pino(
  {
    base: null,
    level: 'info',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Every line says which trace it belongs to, by the names that OpenTelemetry has for JSON logs.
    mixin() {
      const span = trace.getActiveSpan()?.spanContext();
      return span === undefined || span.traceId === UNTRACED.traceId
        ? {}
        : { trace_id: span.traceId, span_id: span.spanId };
    },
    redact: {
      paths: ['token', 'password', 'secret', 'authorization', '*.token', '*.password', '*.secret', '*.authorization'],
    },
    serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
  },
  { write: (line: string) => void destination.write(withoutSecrets(line)) },
);

/** Where log lines go from now on, instead of standard error. */
export function setLogFile(path: string): void {
  destination = pino.destination({ dest: path, sync: true, mkdir: true });
}

/** Level of every logger made from now on. */
export function setLogLevel(level: LogLevel): void {
  root.level = level;
}

/** A logger that writes JSON lines to standard error, each with its service's name and the trace it belongs to. */
export const createLogger = (service: string): Logger => root.child({ service }, { level: root.level });
