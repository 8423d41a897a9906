import { serve } from '@millrace/rpc';
import { afterEach, expect, test } from 'vitest';
import type { ZodType } from 'zod';
import { healthOf } from './container-health.ts';
import { SERVICE_PORTS } from './service-ports.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

test('the ports that the health command knows are the services’ defaults', async () => {
  for (const [name, port] of Object.entries(SERVICE_PORTS)) {
    const module = (await import(`@millrace/${name}`)) as Record<string, { shape?: { port?: ZodType } }>;
    const config = Object.values(module).find((exported) => exported.shape?.port !== undefined);
    expect(config?.shape?.port?.parse(undefined), name).toBe(port);
  }
});

test('health is asked for where the service’s settings say that it listens', async () => {
  const server = await serve({ name: 'segment-reader', host: '127.0.0.1', port: 0, services: [] });
  stops.push(() => server.stop(100));
  const env = { MILLRACE_SEGMENT_READER_HOST: '0.0.0.0', MILLRACE_SEGMENT_READER_PORT: String(server.port) };
  expect(await healthOf(['segment-reader'], env)).toEqual({ line: 'segment-reader: SERVING', serving: true });
  await stops.pop()!();
  expect((await healthOf(['segment-reader'], env)).serving).toBe(false);
});

test('health says what is wrong with the question', async () => {
  expect((await healthOf(['segmentreader'], {})).line).toContain('segment-reader');
  const env = { MILLRACE_SEGMENT_READER_TLS_AUTHORITY_FILE: '/nowhere/authority.pem' };
  expect((await healthOf(['segment-reader'], env)).line).toContain('/nowhere/authority.pem');
});
