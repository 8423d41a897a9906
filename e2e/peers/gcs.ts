import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';

/** fake-gcs-server: the JSON API of Google Cloud Storage, in memory, with one bucket. */
export interface GcsServer {
  /** Names no bucket that is there, but what speaks its API: http://127.0.0.1:port */
  endpoint: string;
  bucket: string;
  stop(): Promise<void>;
}

/** `binaries`: the folder that requirePeers names; `folder`: for its log. */
export async function startGcs(binaries: string, folder: string): Promise<GcsServer> {
  const bucket = 'lake';
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = await startServerProcess({
    command: join(binaries, 'fake-gcs-server'),
    args: ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-backend', 'memory', '-log-level', 'warn'],
    logFile: join(folder, 'gcs.log'),
    url: `${endpoint}/_internal/healthcheck`,
  });
  const made = await fetch(`${endpoint}/storage/v1/b?project=test`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: bucket }),
  });
  if (!made.ok) throw new Error(`fake-gcs-server made no bucket: ${made.status} ${await made.text()}`);
  return { endpoint, bucket, stop };
}
