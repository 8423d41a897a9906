import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { type ExportResult, ExportResultCode, hrTimeToMicroseconds } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';

/** Writes spans as JSON lines: what a machine without a collector keeps. */
export function fileSpanExporter(path: string, maxBytes: number): SpanExporter {
  let stream: WriteStream | undefined;
  let bytesWritten = 0;
  return {
    export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
      if (stream === undefined) {
        mkdirSync(dirname(path), { recursive: true });
        stream = createWriteStream(path, { flags: 'a' });
        // A full disk must not stop the service: the trace is lost, not the work.
        stream.on('error', () => {});
      }
      const text = spans.map((span) => JSON.stringify(spanLine(span)) + '\n').join('');
      bytesWritten += text.length;
      if (bytesWritten > maxBytes) return done({ code: ExportResultCode.SUCCESS });
      stream.write(text, (error) =>
        done(error ? { code: ExportResultCode.FAILED, error } : { code: ExportResultCode.SUCCESS }),
      );
    },
    forceFlush: async () => {},
    shutdown: () => new Promise((resolve) => (stream === undefined ? resolve() : stream.end(() => resolve()))),
  };
}

function spanLine(span: ReadableSpan) {
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    ...(span.parentSpanContext ? { parentSpanId: span.parentSpanContext.spanId } : {}),
    service: span.attributes['millrace.service'] ?? span.resource.attributes['service.name'],
    name: span.name,
    kind: span.kind,
    startMicros: hrTimeToMicroseconds(span.startTime),
    endMicros: hrTimeToMicroseconds(span.endTime),
    attributes: span.attributes,
    status: span.status.code,
    ...(span.status.message ? { message: span.status.message } : {}),
  };
}
