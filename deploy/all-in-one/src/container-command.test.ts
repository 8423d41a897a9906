import { serve } from '@millrace/rpc';
import { afterEach, expect, test } from 'vitest';
import { healthOf, SERVICE_PORTS } from './container-command.ts';
import { defineServices } from './services.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

test('the ports that the health command knows are the services’ defaults', () => {
  const ports = Object.fromEntries(Object.keys(SERVICE_PORTS).map((name) => [name, 1]));
  const definitions = defineServices({
    folder: { state: '/nowhere', traceFile: 'none' },
    ports,
    converterPorts: [1],
    catalogPort: 1,
    commitIntervalMs: 1_000,
    logLevel: 'info',
    logStoreUri: 'file:///nowhere',
    warehouseUri: 'file:///nowhere',
    schemaSourceUri: 'file:///nowhere',
    database: undefined,
    isDemo: false,
  } as unknown as Parameters<typeof defineServices>[0]);
  expect(definitions.map(({ name }) => name).sort()).toEqual(Object.keys(SERVICE_PORTS).sort());
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
