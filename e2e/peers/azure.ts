import { createHmac } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';

/** Azurite's Blob service, with one container. */
export interface AzureServer {
  /** http://127.0.0.1:port; the account is the path's first part. */
  endpoint: string;
  account: string;
  key: string;
  container: string;
  stop(): Promise<void>;
}

// Azurite's own, public: learn.microsoft.com, "Use the Azurite emulator", well-known storage account and key.
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** `binaries`: the folder that requirePeers names; `folder`: an empty one, for its data. */
export async function startAzure(binaries: string, folder: string): Promise<AzureServer> {
  const container = 'lake';
  const data = join(folder, 'azurite');
  await mkdir(data, { recursive: true });
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  // The script itself: npx leaves children behind when its process is killed.
  const script = join(binaries, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js');
  const address = ['--blobHost', '127.0.0.1', '--blobPort', String(port)];
  const stop = await startServerProcess({
    command: process.execPath,
    args: [script, ...address, '--location', data, '--silent', '--skipApiVersionCheck'],
    logFile: join(folder, 'azure.log'),
    url: `${endpoint}/`,
    // It answers nobody without a signature.
    status: 400,
  });
  await createContainer(endpoint, container);
  return { endpoint, account: ACCOUNT, key: KEY, container, stop };
}

/** By the REST API itself ("Create Container", "Authorize with Shared Key"). */
async function createContainer(endpoint: string, container: string): Promise<void> {
  const path = `/${ACCOUNT}/${container}`;
  const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' };
  const named = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const text = `PUT${'\n'.repeat(12)}${named.join('')}/${ACCOUNT}${path}\nrestype:container`;
  const signature = createHmac('sha256', Buffer.from(KEY, 'base64')).update(text).digest('base64');
  const made = await fetch(`${endpoint}${path}?restype=container`, {
    method: 'PUT',
    headers: { ...headers, authorization: `SharedKey ${ACCOUNT}:${signature}` },
  });
  if (!made.ok) throw new Error(`Azurite made no container: ${made.status} ${await made.text()}`);
}
