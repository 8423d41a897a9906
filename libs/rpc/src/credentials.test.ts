import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, type TransportSettings } from '@millrace/base';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createClient, implement, type RpcServer, serve } from './index.ts';

const SCRIPT = fileURLToPath(new URL('../../../deploy/certificates.sh', import.meta.url));
const RELOAD_MS = 100;

let folder: string;
const ends: (() => unknown)[] = [];

/** Certificates of an authority of its own, for "reader" and "converter". */
function makeCertificates(name: string): string {
  execFileSync(SCRIPT, [join(folder, name), 'reader', 'converter']);
  return join(folder, name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  makeCertificates('ours');
  makeCertificates('theirs');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const settings = (name: string, from: string, authority = from): TransportSettings => ({
  tlsCertificateFile: join(folder, from, `${name}.pem`),
  tlsKeyFile: join(folder, from, `${name}.key`),
  tlsAuthorityFile: join(folder, authority, 'authority.pem'),
  tlsReloadMs: RELOAD_MS,
});

async function reader(transport: TransportSettings, port = 0, host = '127.0.0.1'): Promise<RpcServer> {
  const service = implement(SegmentReaderService, {
    async *readSplit() {
      yield {};
    },
  });
  const server = await serve({ name: 'reader', host, port, transport, services: [service] });
  ends.push(() => server.stop(0));
  return server;
}

function caller(address: string, transport: TransportSettings) {
  const client = createClient(SegmentReaderService, address, { transport });
  ends.push(() => client.close());
  return async () => {
    let messages = 0;
    for await (const _ of client.readSplit({}, { timeoutMs: 5_000 })) messages++;
    return messages;
  };
}

test('both sides show a certificate of the authority', async () => {
  const { address } = await reader(settings('reader', 'ours'));
  expect(await caller(address, settings('converter', 'ours'))()).toBe(1);
});

test('a caller without a certificate is refused', async () => {
  const { address } = await reader(settings('reader', 'ours'));
  await expect(caller(address, {})()).rejects.toMatchObject({ kind: 'unavailable' });
});

test('a caller with a certificate of another authority is refused', async () => {
  const { address } = await reader(settings('reader', 'ours'));
  await expect(caller(address, settings('converter', 'theirs', 'ours'))()).rejects.toMatchObject({
    kind: 'unavailable',
  });
});

test('a server with a certificate of another authority is not believed', async () => {
  const { address } = await reader(settings('reader', 'theirs', 'ours'));
  await expect(caller(address, settings('converter', 'ours'))()).rejects.toThrow(/self-signed|unable to (get|verify)/);
});

test('a server under a name that its certificate does not hold is not believed', async () => {
  const { port } = await reader(settings('reader', 'ours'), 0, '127.0.0.2');
  await expect(caller(`127.0.0.2:${port}`, settings('converter', 'ours'))()).rejects.toThrow(/altnames/);
});

test('new certificates and a new authority are taken up by a server and by a client that run', async () => {
  cpSync(join(folder, 'ours'), join(folder, 'mounted'), { recursive: true });
  const server = await reader(settings('reader', 'mounted'));
  const call = caller(server.address, settings('converter', 'mounted'));
  expect(await call()).toBe(1);

  cpSync(join(folder, 'theirs'), join(folder, 'mounted'), { recursive: true });
  await systemClock.sleep(5 * RELOAD_MS);
  // The server: whom it believed before it refuses, and the other way round.
  expect(await caller(server.address, settings('converter', 'theirs'))()).toBe(1);
  await expect(caller(server.address, settings('converter', 'ours'))()).rejects.toMatchObject({ kind: 'unavailable' });

  // The client: its connection breaks, and the server that it finds then has the new certificates only.
  await server.stop(0);
  await reader(settings('reader', 'theirs'), server.port);
  expect(await call()).toBe(1);
});

test('files that do not fit together are passed over until they do', async () => {
  cpSync(join(folder, 'ours'), join(folder, 'torn'), { recursive: true });
  const { address } = await reader(settings('reader', 'torn'));
  cpSync(join(folder, 'theirs', 'reader.key'), join(folder, 'torn', 'reader.key'));
  await systemClock.sleep(3 * RELOAD_MS);
  expect(await caller(address, settings('converter', 'ours'))()).toBe(1);
  rmSync(join(folder, 'torn', 'reader.pem'));
  await systemClock.sleep(3 * RELOAD_MS);
  expect(await caller(address, settings('converter', 'ours'))()).toBe(1);
  cpSync(join(folder, 'theirs'), join(folder, 'torn'), { recursive: true });
  await systemClock.sleep(5 * RELOAD_MS);
  expect(await caller(address, settings('converter', 'theirs'))()).toBe(1);
});

test('plain connections stay on this machine unless the settings say otherwise', async () => {
  await expect(reader({}, 0, '0.0.0.0')).rejects.toMatchObject({
    kind: 'invalid',
    code: 'tls-required',
    message: /reader listens on 0\.0\.0\.0.*tlsCertificateFile.*plaintext/,
  });
  for (const address of ['reader:7802', 'dns:///reader:7802', '127.0.0.1:7802,10.0.0.2:7802', '[fe80::1]:7802']) {
    expect(() => caller(address, {})).toThrow(/calls (reader|10\.0\.0\.2|\[fe80::1\]), which is not loopback/);
  }
  for (const address of ['localhost:7802', '127.0.0.1:7802,127.0.0.3:7802', 'unix:/run/reader', '[::1]:7802']) {
    expect(() => caller(address, {})).not.toThrow();
  }
  const { port } = await reader({ plaintext: true }, 0, '0.0.0.0');
  expect(await caller(`127.0.0.1:${port}`, { plaintext: true })()).toBe(1);
});

test('files that are missing, unreadable or no certificates are named at the start', async () => {
  const ours = settings('reader', 'ours');
  await expect(reader({ ...ours, tlsKeyFile: undefined })).rejects.toThrow(/together; not set: tlsKeyFile/);
  await expect(reader({ ...ours, tlsKeyFile: '/nowhere/key' })).rejects.toThrow(/tlsKeyFile can't be read.*nowhere/);
  writeFileSync(join(folder, 'text'), 'no certificate');
  await expect(reader({ ...ours, tlsCertificateFile: join(folder, 'text') })).rejects.toMatchObject({
    code: 'tls-invalid',
  });
  expect(() => caller('127.0.0.1:1', { ...ours, tlsKeyFile: join(folder, 'theirs', 'reader.key') })).toThrow(
    /not a certificate, its private key/,
  );
});
