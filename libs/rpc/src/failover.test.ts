import { type AddressInfo, createServer } from 'node:net';
import { OwnershipService } from '@millrace/proto/ownership';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { afterEach, expect, test } from 'vitest';
import { createClient, implement, type RpcServer, serve } from './index.ts';

// Several replicas behind one client: addresses separated by commas.
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function replica(name: string, port = 0): Promise<RpcServer> {
  const server = await serve({
    name,
    host: '127.0.0.1',
    port,
    services: [
      implement(OwnershipService, { renewOwnership: async () => ({ excess: [name] }) }),
      implement(SegmentReaderService, {
        async *readSplit(_, { signal }) {
          while (!signal.aborted) {
            yield {};
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
        },
      }),
    ],
  });
  ends.push(() => server.stop(0));
  return server;
}

const client = (...addresses: string[]) => {
  const made = createClient(OwnershipService, addresses.join(','), { timeoutMs: 20_000 });
  ends.push(() => made.close());
  return made;
};
const asked = async (of: ReturnType<typeof client>) => (await of.renewOwnership({})).excess[0]!;

test('calls are spread over the replicas; while one ends and starts again none fails', async () => {
  const [one, two] = [await replica('one'), await replica('two')];
  const both = client(one.address, two.address);
  await expect.poll(async () => new Set([await asked(both), await asked(both)]).size, { timeout: 10_000 }).toBe(2);
  let isOver = false;
  const failures: unknown[] = [];
  const calls = Array.from({ length: 5 }, async () => {
    while (!isOver) await asked(both).catch((error) => failures.push(error));
  });
  await one.stop(0);
  for (let i = 0; i < 20; i++) expect(await asked(both)).toBe('two');
  await replica('one', one.port);
  await expect.poll(() => asked(both), { timeout: 10_000 }).toBe('one');
  isOver = true;
  await Promise.all(calls);
  expect(failures).toEqual([]);
});

test('an address where nothing answers holds up no call', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  ends.push(() => silent.close());
  await new Promise((resolve) => silent.once('listening', resolve));
  const two = await replica('two');
  const both = client(`127.0.0.1:${(silent.address() as AddressInfo).port}`, two.address);
  for (let i = 0; i < 10; i++) expect(await asked(both)).toBe('two');
});

test('a stream ends with its server, clearly, and the next one finds the other', async () => {
  const [one, two] = [await replica('one'), await replica('two')];
  const reader = createClient(SegmentReaderService, `${one.address},${two.address}`);
  ends.push(() => reader.close());
  const streams = [reader.readSplit({}), reader.readSplit({})].map((stream) => stream[Symbol.asyncIterator]());
  for (const stream of streams) expect((await stream.next()).done).toBe(false);
  await one.stop(0);
  const ended = await Promise.all(
    streams.map(async (stream) => {
      for (let i = 0; i < 20; i++) {
        const error = await stream.next().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error !== undefined) return error;
      }
      return undefined;
    }),
  );
  for (const error of ended.filter((one) => one !== undefined))
    expect(error).toMatchObject({ kind: expect.stringMatching(/unavailable|cancelled/) as string });
  for await (const _ of reader.readSplit({})) break;
});
