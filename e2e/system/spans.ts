import { readFile } from 'node:fs/promises';

/** A line of the trace file. */
export interface FileSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  service: string;
  name: string;
  /** OpenTelemetry's SpanKind: 0 internal, 1 server, 2 client. */
  kind: number;
  startMicros: number;
  endMicros: number;
  attributes: Record<string, string | number | boolean>;
  links?: { traceId: string; spanId: string }[];
  status: number;
}

/** Every span that has been exported to the file so far, by trace. */
export async function readTraces(file: string): Promise<Map<string, FileSpan[]>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  // A line that is being written is for the next look.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const spans = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as FileSpan);
  return Map.groupBy(spans, ({ traceId }) => traceId);
}

/** "service: name" of a span, with "(server)" where it answers a call. */
export const stageOf = ({ service, name, kind }: FileSpan): string =>
  `${service}: ${name}${kind === 1 ? ' (server)' : ''}`;
