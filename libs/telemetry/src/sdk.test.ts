import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  contextOf,
  count,
  inService,
  observe,
  record,
  startSharedSpan,
  startSpan,
  startTelemetry,
  traceparentOf,
  untraced,
  withSpan,
} from './index.ts';

let folder: string;
let end: (() => Promise<void>) | undefined;
const servers: { close(): unknown }[] = [];
const sockets = new Set<Socket>();
const env = { ...process.env };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-telemetry-'));
});
afterEach(async () => {
  await end?.();
  end = undefined;
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  for (const key of Object.keys(process.env)) if (key.startsWith('OTEL_')) delete process.env[key];
  Object.assign(process.env, env);
  rmSync(folder, { recursive: true });
});

const file = () => join(folder, 'traces.jsonl');
const base = { serviceName: 'whole', sampleRatio: 1, traceFileBytes: 1_000_000 };

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Line {
  name: string;
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  links?: { traceId: string; spanId: string }[];
}
const lines = (): Line[] =>
  readFileSync(file(), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('work for several traces has a span in each, linked; what is not sampled takes no part', async () => {
  end = await startTelemetry({ ...base, traces: file() });
  const roots = ['a', 'b'].map((name) => startSpan(`plan ${name}`, { parent: contextOf('') }));
  const [a, b] = roots.map(traceparentOf) as [string, string];
  const unsampled = a.replace(/^00-./, '00-f').replace(/01$/, '00');
  const shared = startSharedSpan('commit', [a, b, a, unsampled, ''], { 'millrace.version': 1 });
  expect(shared.traceparents.map((one) => one.split('-')[1])).toEqual([a, b].map((one) => one.split('-')[1]));
  shared.end();
  for (const root of roots) root.end();
  await end();
  const commits = lines().filter(({ name }) => name === 'commit');
  expect(commits.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual(
    roots.map((root) => [root.spanContext().traceId, root.spanContext().spanId]),
  );
  const [first, second] = commits as [Line, Line];
  expect(second.links).toEqual([{ traceId: first.traceId, spanId: first.spanId }]);
  expect(first.links).toEqual([{ traceId: second.traceId, spanId: roots[1]!.spanContext().spanId }]);
});

test('spans carry the name of the service whose code runs', async () => {
  end = await startTelemetry({ ...base, traces: file() });
  await inService('reader', () => withSpan('outer', {}, () => withSpan('inner', {}, () => {})));
  await withSpan('own', {}, () => {});
  await end();
  expect(lines().map(({ name, service }) => `${service} ${name}`)).toEqual([
    'reader inner',
    'reader outer',
    'whole own',
  ]);
});

test('sampling: a share of the traces, and whoever continues one does as it began', async () => {
  end = await startTelemetry({ ...base, traces: file(), sampleRatio: 0.5 });
  let sampled = 0;
  for (let i = 0; i < 400; i++) {
    const root = startSpan('root', { parent: contextOf('') });
    const child = startSpan('child', { parent: contextOf(traceparentOf(root)) });
    expect(child.spanContext().traceFlags).toBe(root.spanContext().traceFlags);
    sampled += root.spanContext().traceFlags;
    child.end();
    root.end();
  }
  untraced(() => startSpan('asked all day').end());
  await end();
  expect(sampled).toBeGreaterThan(120);
  expect(sampled).toBeLessThan(280);
  expect(lines().filter(({ name }) => name === 'root')).toHaveLength(sampled);
  expect(lines().some(({ name }) => name === 'asked all day')).toBe(false);
});

test('a trace file that is full is put aside, and the next one goes on', async () => {
  process.env['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'] = '10';
  end = await startTelemetry({ ...base, traces: file(), traceFileBytes: 5_000 });
  for (let i = 0; i < 100; i++) startSpan(`span ${i}`).end();
  await end();
  expect(lines().at(-1)!.name).toBe('span 99');
  expect(statSync(file()).size).toBeLessThanOrEqual(5_000);
  expect(existsSync(`${file()}.1`)).toBe(true);
});

test('OTLP over HTTP: endpoint and headers by the standard variables', async () => {
  const seen: { path: string; type: string; auth: string; bytes: number }[] = [];
  const port = await listen(
    createHttpServer((request, response) => {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => (bytes += chunk.length));
      request.on('end', () => {
        const { url = '', headers } = request;
        seen.push({ path: url, type: headers['content-type'] ?? '', auth: headers.authorization ?? '', bytes });
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      });
    }),
  );
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${port}`;
  process.env['OTEL_EXPORTER_OTLP_PROTOCOL'] = 'http/protobuf';
  process.env['OTEL_EXPORTER_OTLP_HEADERS'] = 'authorization=Bearer%20x';
  end = await startTelemetry({ ...base, traces: 'otlp', metrics: 'otlp' });
  startSpan('one').end();
  await end();
  expect(seen.map(({ path }) => path).sort()).toEqual(['/v1/metrics', '/v1/traces']);
  for (const { type, auth, bytes } of seen) {
    expect([type, auth]).toEqual(['application/x-protobuf', 'Bearer x']);
    expect(bytes).toBeGreaterThan(100);
  }
});

test('OTLP over gRPC, the default', async () => {
  const seen: string[] = [];
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    stream.resume();
    stream.on('end', () => {
      seen.push(`${headers[':path']} ${headers['x-tenant']}`);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    });
  });
  const port = await listen(server as unknown as Server);
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${port}`;
  process.env['OTEL_EXPORTER_OTLP_HEADERS'] = 'x-tenant=t';
  end = await startTelemetry({ ...base, traces: 'otlp' });
  startSpan('one').end();
  await end();
  expect(seen).toEqual(['/opentelemetry.proto.collector.trace.v1.TraceService/Export t']);
});

test('a protocol that there is not is refused, naming the legal ones', async () => {
  process.env['OTEL_EXPORTER_OTLP_PROTOCOL'] = 'http/json';
  await expect(startTelemetry({ ...base, traces: 'otlp' })).rejects.toThrow(
    'environment variable OTEL_EXPORTER_OTLP_PROTOCOL=http/json: legal: grpc, http/protobuf',
  );
});

test.for(['http/protobuf', 'grpc'])(
  'a collector that never answers costs dropped spans, and no time (%s)',
  async (protocol) => {
    // It takes connections, and says nothing.
    const port = await listen(createServer(() => {}));
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${port}`;
    process.env['OTEL_EXPORTER_OTLP_PROTOCOL'] = protocol;
    process.env['OTEL_BSP_MAX_QUEUE_SIZE'] = '100';
    process.env['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'] = '10';
    const metricsPort = await freePort();
    end = await startTelemetry({ ...base, traces: 'otlp', metricsPort });
    const startedMs = performance.now();
    for (let i = 0; i < 5_000; i++) startSpan(`span ${i}`).end();
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const dropped = /otel_sdk_processor_span_processed_total\{[^}]*queue_full[^}]*\} (\d+)/.exec(text)?.[1];
    // What is on its way and what waits is kept, all else is gone.
    expect(Number(dropped)).toBe(5_000 - 100 - 10);
    const endedMs = performance.now();
    await end();
    end = undefined;
    expect(performance.now() - endedMs).toBeLessThan(4_000);
  },
);

test('metrics: labels are bounded, gauges beyond are merged as they should be', async () => {
  const metricsPort = await freePort();
  end = await startTelemetry({ ...base, traces: 'none', metricsPort, metricsTopics: 2 });
  for (const topic of ['a', 'b', 'c', 'd']) count('millrace.ledger.records', 10, { 'millrace.topic': topic });
  record('millrace.ledger.commit.duration', 0.02, { 'millrace.outcome': 'ok' });
  const stop = inService('metadata-discovery', () =>
    observe(['millrace.topic.lag', 'millrace.topic.lag.duration'], (report) => {
      for (const [i, topic] of ['a', 'b', 'c', 'd'].entries()) {
        report('millrace.topic.lag', i + 1, { 'millrace.topic': topic });
        report('millrace.topic.lag.duration', i + 1, { 'millrace.topic': topic });
      }
    }),
  );
  const scrape = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const text = await scrape();
  const own = '{millrace_service="metadata-discovery",millrace_topic="other"}';
  expect(text).toContain('millrace_ledger_records_total{millrace_service="whole",millrace_topic="b"} 10\n');
  expect(text).toContain('millrace_ledger_records_total{millrace_service="whole",millrace_topic="other"} 20\n');
  expect(text).toContain(`millrace_topic_lag${own} 7\n`);
  expect(text).toContain(`millrace_topic_lag_duration_seconds${own} 4\n`);
  expect(text).toContain(
    'millrace_ledger_commit_duration_seconds_bucket{millrace_service="whole",millrace_outcome="ok",le="0.025"} 1\n',
  );
  expect(text).toMatch(/^process_memory_usage_bytes \d+$/m);
  stop();
  expect(await scrape()).not.toContain('millrace_topic_lag');
  expect((await fetch(`http://127.0.0.1:${metricsPort}/`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { method: 'POST' })).status).toBe(405);
});

test('a port that is taken is said, with the way out', async () => {
  const metricsPort = await listen(createServer());
  await expect(startTelemetry({ ...base, traces: 'none', metricsPort })).rejects.toThrow('choose another metricsPort');
});
