import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TopicService } from '@millrace/proto/metadata_discovery';
import { contextOf, currentTraceparent, startTelemetry, withSpan } from '@millrace/telemetry';
import { trace } from '@opentelemetry/api';
import { expect, test } from 'vitest';
import { createClient, implement, serve } from './index.ts';

test('one trace from caller to handler, and through a stored traceparent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-trace-'));
  const file = join(folder, 'traces.jsonl');
  const end = await startTelemetry({ serviceName: 'whole', traces: file, sampleRatio: 1, traceFileBytes: 1_000_000 });
  let inside = '';
  const answer = async () => {
    inside = trace.getActiveSpan()!.spanContext().traceId;
    return {};
  };
  const server = await serve({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    services: [
      implement(TopicService, {
        enableTopic: answer,
        updateTopic: answer,
        pauseTopic: answer,
        resumeTopic: answer,
        dropTopic: answer,
        listTopics: answer,
        describeTopic: answer,
      }),
    ],
  });
  const client = createClient(TopicService, server.address);
  const stored = await withSpan('plan', {}, async () => {
    await client.pauseTopic({ topic: 'x' });
    return currentTraceparent();
  });
  const traceId = stored.split('-')[1];
  expect(inside).toBe(traceId);
  await withSpan('convert', { parent: contextOf(stored) }, () => {});
  client.close();
  await server.stop(0);
  await end();
  const spans = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(spans.map((span) => span.name).sort()).toEqual(
    ['convert', 'millrace.v1.TopicService/PauseTopic', 'millrace.v1.TopicService/PauseTopic', 'plan'].sort(),
  );
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  // The server answers in its own name, though it shares the process with its caller.
  const call = spans.filter(({ name }) => name.includes('PauseTopic'));
  expect(call.map(({ service, kind, attributes }) => [kind, service, attributes['rpc.response.status_code']])).toEqual([
    [1, 'test', 'OK'],
    [2, 'whole', 'OK'],
  ]);
  rmSync(folder, { recursive: true });
});
