import * as grpc from '@grpc/grpc-js';
import { MillraceError, systemClock } from '@millrace/base';
import { TopicService } from '@millrace/proto/metadata_discovery';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { afterEach, expect, test } from 'vitest';
import { createClient, implement, type RpcServer, serve } from './index.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const unimplemented = async (): Promise<never> => {
  throw new MillraceError('unsupported', 'not in this test');
};

async function topicServer(
  name: string,
  onCall: (topic: string) => unknown = () => {},
  maxCalls = 1_000,
): Promise<RpcServer> {
  const server = await serve({
    name,
    host: '127.0.0.1',
    port: 0,
    maxCalls,
    services: [
      implement(TopicService, {
        enableTopic: unimplemented,
        updateTopic: unimplemented,
        pauseTopic: unimplemented,
        resumeTopic: unimplemented,
        dropTopic: unimplemented,
        listTopics: unimplemented,
        async describeTopic(request) {
          await onCall(request.topic);
          return { status: { topic: request.topic, recordCount: 9_007_199_254_740_993n, location: name } };
        },
      }),
    ],
  });
  ends.push(() => server.stop(0));
  return server;
}

function topicClient(address: string) {
  const client = createClient(TopicService, address);
  ends.push(() => client.close());
  return client;
}

test('half a character in an error message ends nothing', async () => {
  const { address } = await topicServer('a', (topic) => {
    if (topic === 'half') throw new MillraceError('invalid', 'no JSON: \ud83d', { context: { ['\ud83d']: '\ud83d' } });
  });
  const client = topicClient(address);
  await expect(client.describeTopic({ topic: 'half' })).rejects.toMatchObject({ message: 'no JSON: \ufffd' });
  expect((await client.describeTopic({ topic: 'orders' })).status?.topic).toBe('orders');
});

test('a call and its answer, 64-bit numbers exact', async () => {
  const { address } = await topicServer('a');
  const { status } = await topicClient(address).describeTopic({ topic: 'orders' });
  expect(status).toMatchObject({ topic: 'orders', recordCount: 9_007_199_254_740_993n });
});

test('an error crosses with kind, code, message, context and whether to retry', async () => {
  const { address } = await topicServer('a', () => {
    throw new MillraceError('stale-lease', 'lease 3 of split x is not the newest', {
      code: 'lease-stale',
      context: { epoch: 3 },
    });
  });
  await expect(topicClient(address).describeTopic({ topic: 'x' })).rejects.toMatchObject({
    name: 'MillraceError',
    kind: 'stale-lease',
    code: 'lease-stale',
    message: 'lease 3 of split x is not the newest',
    retryable: false,
    context: { epoch: '3' },
  });
});

test('no server: unavailable, naming method and address; a deadline: deadline; an abort: its reason', async () => {
  await expect(topicClient('127.0.0.1:1').describeTopic({ topic: 'x' }, { timeoutMs: 3_000 })).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringMatching(/DescribeTopic at 127.0.0.1:1/),
  });
  const { address } = await topicServer('slow', () => systemClock.sleep(500));
  const client = topicClient(address);
  await expect(client.describeTopic({ topic: 'x' }, { timeoutMs: 50 })).rejects.toMatchObject({ kind: 'deadline' });
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('enough')), 20);
  await expect(client.describeTopic({ topic: 'x' }, { signal: abort.signal })).rejects.toThrow('enough');
});

test('round robin over several servers; calls go on when one dies', async () => {
  const [a, b] = [await topicServer('a'), await topicServer('b')];
  const client = topicClient(`${a.address},${b.address}`);
  const answeredBy = async () => (await client.describeTopic({ topic: 'x' })).status!.location;
  // Both connections come up in their own time.
  const names = new Set<string>();
  await expect.poll(async () => names.add(await answeredBy()), { timeout: 5_000 }).toEqual(new Set(['a', 'b']));
  await a.stop(0);
  for (let i = 0; i < 20; i++) expect(await answeredBy()).toBe('b');
});

test('a stream is held back by a slow reader, and ends on the server when the reader leaves', async () => {
  let produced = 0;
  let ended = false;
  const server = await serve({
    name: 'reader',
    host: '127.0.0.1',
    port: 0,
    services: [
      implement(SegmentReaderService, {
        async *readSplit() {
          try {
            for (; produced < 1_000; produced++) {
              yield { message: { case: 'batches' as const, value: { data: new Uint8Array(1_000_000) } } };
            }
          } finally {
            ended = true;
          }
        },
      }),
    ],
  });
  ends.push(() => server.stop(0));
  const client = createClient(SegmentReaderService, server.address);
  ends.push(() => client.close());
  let taken = 0;
  for await (const { message } of client.readSplit({})) {
    expect(message.case === 'batches' && message.value.data.length).toBe(1_000_000);
    if (++taken === 5) {
      await systemClock.sleep(300);
      expect(produced).toBeLessThan(60);
      break;
    }
  }
  await expect.poll(() => ended).toBe(true);
});

test('health and reflection answer', async () => {
  const { address } = await topicServer('a');
  const raw = new grpc.Client(address, grpc.credentials.createInsecure());
  ends.push(() => raw.close());
  const call = (path: string, request: Buffer) =>
    new Promise<Buffer>((resolve, reject) =>
      raw.makeUnaryRequest(
        path,
        (x: Buffer) => x,
        (x) => x,
        request,
        (error, answer) => (error ? reject(error) : resolve(answer!)),
      ),
    );
  // HealthCheckResponse { status = 1: SERVING }
  expect(await call('/grpc.health.v1.Health/Check', Buffer.alloc(0))).toEqual(Buffer.from([8, 1]));
  const listed = await new Promise<string>((resolve, reject) => {
    const stream = raw.makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (x: Buffer) => x,
      (x) => x,
    );
    stream.on('data', (bytes: Buffer) => resolve(bytes.toString('latin1')));
    stream.on('error', reject);
    // ServerReflectionRequest { list_services = 7: "" }
    stream.write(Buffer.from([0x3a, 0]));
    stream.end();
  });
  expect(listed).toContain('millrace.v1.TopicService');
});

test('more calls than a server may have are refused at once, and it goes on when some have ended', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { address } = await topicServer('busy', () => held, 3);
  const client = topicClient(address);
  const flood = Array.from({ length: 50 }, (_, i) => client.describeTopic({ topic: `${i}` }));
  const refused = await Promise.all(flood.slice(3).map((call) => call.catch((error: MillraceError) => error)));
  for (const error of refused) {
    expect(error).toMatchObject({ kind: 'exhausted', code: 'too-many-calls', retryable: true });
    expect((error as MillraceError).message).toMatch(/busy has 3 calls under way \(maxCalls\)/);
  }
  const health = new grpc.Client(address, grpc.credentials.createInsecure());
  const bytes = (b: Buffer) => b;
  const status = await new Promise((resolve) =>
    health.makeUnaryRequest('/grpc.health.v1.Health/Check', bytes, bytes, Buffer.alloc(0), (_, answer) =>
      resolve(answer?.[1]),
    ),
  );
  expect(status).toBe(1);
  health.close();
  release();
  expect((await Promise.all(flood.slice(0, 3))).map((answer) => answer.status?.location)).toEqual([
    'busy',
    'busy',
    'busy',
  ]);
  expect((await client.describeTopic({ topic: 'x' })).status?.topic).toBe('x');
});
