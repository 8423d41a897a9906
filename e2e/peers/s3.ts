import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';

/** A real S3 server (versitygw, over a folder), with one bucket. */
export interface S3Server {
  /** s3://bucket?endpoint=… */
  uri: string;
  endpoint: string;
  bucket: string;
  /** Credentials for the AWS SDKs. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

/** `binaries`: the folder that requirePeers names; `folder`: an empty one, for its data. */
export async function startS3(binaries: string, folder: string): Promise<S3Server> {
  const bucket = 'lake';
  // The names must not begin alike: the server takes one for a part of the other.
  const [objects, metadata] = [join(folder, 'objects'), join(folder, 'metadata')];
  await mkdir(join(objects, bucket), { recursive: true });
  await mkdir(metadata);
  const port = await freePort();
  const env = { AWS_ACCESS_KEY_ID: 'millrace', AWS_SECRET_ACCESS_KEY: 'millrace-secret', AWS_REGION: 'us-east-1' };
  const stop = await startServerProcess({
    command: join(binaries, 'versitygw'),
    args: ['--port', `127.0.0.1:${port}`, '--health', '/health', 'posix', '--sidecar', metadata, objects],
    env: { ROOT_ACCESS_KEY: env.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: env.AWS_SECRET_ACCESS_KEY },
    logFile: join(folder, 's3.log'),
    url: `http://127.0.0.1:${port}/health`,
  });
  const endpoint = `http://127.0.0.1:${port}`;
  return { uri: `s3://${bucket}?endpoint=${endpoint}`, endpoint, bucket, env, stop };
}
