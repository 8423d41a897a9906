import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get, type RequestOptions } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { expect, test } from 'vitest';
import { servePrometheus } from './prometheus.ts';

const SCRIPT = fileURLToPath(new URL('../../../deploy/certificates.sh', import.meta.url));

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const statusOf = (options: RequestOptions) =>
  new Promise<number | undefined>((resolve, reject) => {
    get(options, (response) => resolve(response.resume().statusCode)).on('error', reject);
  });

test('with certificates /metrics is HTTPS, for who has one; plain it stays on loopback', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-metrics-'));
  execFileSync(SCRIPT, [folder, 'service', 'prometheus']);
  const file = (name: string) => join(folder, name);
  const port = await freePort();
  await expect(servePrometheus('0.0.0.0', port, 100)).rejects.toMatchObject({ code: 'tls-required' });
  const endpoint = await servePrometheus('0.0.0.0', port, 100, {
    tlsCertificateFile: file('service.pem'),
    tlsKeyFile: file('service.key'),
    tlsAuthorityFile: file('authority.pem'),
  });
  const provider = new MeterProvider({ readers: [endpoint.reader] });
  const request = { host: 'localhost', port, path: '/metrics', ca: readFileSync(file('authority.pem')), agent: false };
  const shown = { cert: readFileSync(file('prometheus.pem')), key: readFileSync(file('prometheus.key')) };
  expect(await statusOf({ ...request, ...shown })).toBe(200);
  await expect(statusOf(request)).rejects.toThrow();
  await endpoint.stop();
  await provider.shutdown();
  rmSync(folder, { recursive: true });
});
