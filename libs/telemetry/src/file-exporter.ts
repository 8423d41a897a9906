import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type ExportResult, ExportResultCode, hrTimeToMicroseconds } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';

/**
 * Appends spans as JSON lines: what a machine without a collector keeps. Several processes may write one file. At
 * `maxBytes` it becomes `<path>.1`, in place of an older one, so the newest spans are kept in at most twice that.
 */
export function fileSpanExporter(path: string, maxBytes: number): SpanExporter {
  let writing: Promise<void> = mkdir(dirname(path), { recursive: true }).then(
    () => {},
    () => {},
  );
  const write = async (text: string): Promise<void> => {
    const size = await stat(path).then(
      (info) => info.size,
      () => 0,
    );
    if (size > 0 && size + text.length > maxBytes) await rename(path, `${path}.1`).catch(() => {});
    await appendFile(path, text);
  };
  return {
    export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
      const text = spans.map((span) => JSON.stringify(spanLine(span)) + '\n').join('');
      // A full disk must not stop the service: the trace is lost, not the work.
      writing = writing.then(() =>
        write(text).then(
          () => done({ code: ExportResultCode.SUCCESS }),
          (error: Error) => done({ code: ExportResultCode.FAILED, error }),
        ),
      );
    },
    forceFlush: () => writing,
    shutdown: () => writing,
  };
}

function spanLine(span: ReadableSpan) {
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    ...(span.parentSpanContext ? { parentSpanId: span.parentSpanContext.spanId } : {}),
    service: span.resource.attributes['service.name'],
    name: span.name,
    kind: span.kind,
    startMicros: hrTimeToMicroseconds(span.startTime),
    endMicros: hrTimeToMicroseconds(span.endTime),
    attributes: span.attributes,
    ...(span.links.length === 0
      ? {}
      : { links: span.links.map((link) => ({ traceId: link.context.traceId, spanId: link.context.spanId })) }),
    status: span.status.code,
    ...(span.status.message ? { message: span.status.message } : {}),
  };
}
