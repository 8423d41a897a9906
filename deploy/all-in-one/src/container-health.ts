import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { parse as parseYaml } from 'yaml';
import { isService, type PortedService, SERVICE_PORTS } from './service-ports.ts';

const TIMEOUT_MS = 10_000;
const STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/**
 * Asks the service of this container for its health (grpc.health.v1): `health [--liveness] <service>`. Port and
 * certificates come from the service's own settings. Never throws.
 */
export async function healthOf(
  args: readonly string[],
  env: Record<string, string | undefined> = process.env,
): Promise<{ line: string; serving: boolean }> {
  const about = args.includes('--liveness') ? 'liveness' : '';
  const name = args.find((arg) => arg !== '--liveness') ?? '';
  if (!isService(name)) {
    return { line: `health [--liveness] <service>: ${Object.keys(SERVICE_PORTS).join(', ')}`, serving: false };
  }
  try {
    const settings = settingsOf(name, env);
    const status = STATUS[await check(settings.address, settings.credentials, about)] ?? 'UNKNOWN';
    return { line: `${name}: ${status}`, serving: status === 'SERVING' };
  } catch (error) {
    return { line: `${name}: ${(error as Error).message}`, serving: false };
  }
}

/** Only what the question needs: all settings would load the whole service, every few seconds. */
function settingsOf(name: PortedService, env: Record<string, string | undefined>) {
  const prefix = `MILLRACE_${name.toUpperCase().replaceAll('-', '_')}`;
  const file = env[`${prefix}_CONFIG`];
  const inFile = file === undefined ? {} : ((parseYaml(readFileSync(file, 'utf8')) ?? {}) as Record<string, unknown>);
  const setting = (key: string, variable: string) => env[`${prefix}_${variable}`] ?? inFile[key]?.toString();
  const pem = (key: string, variable: string) => {
    const path = setting(key, variable);
    return path === undefined ? undefined : readFileSync(path);
  };
  const host = setting('host', 'HOST') ?? '127.0.0.1';
  const port = setting('port', 'PORT') ?? SERVICE_PORTS[name];
  const authority = pem('tlsAuthorityFile', 'TLS_AUTHORITY_FILE');
  return {
    address: `${['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host}:${port}`,
    credentials:
      authority === undefined
        ? grpc.credentials.createInsecure()
        : grpc.credentials.createSsl(
            authority,
            pem('tlsKeyFile', 'TLS_KEY_FILE'),
            pem('tlsCertificateFile', 'TLS_CERTIFICATE_FILE'),
          ),
  };
}

/** The two messages of the call hold one field each: the name asked about, and the status. */
function check(address: string, credentials: grpc.ChannelCredentials, about: string): Promise<number> {
  // Certificates name services and localhost; a TLS server name is no number.
  const client = new grpc.Client(address, credentials, { 'grpc.ssl_target_name_override': 'localhost' });
  const request = about === '' ? Buffer.alloc(0) : Buffer.from([10, about.length, ...Buffer.from(about)]);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => (bytes[0] === 8 ? bytes[1]! : 0),
      request,
      { deadline: Date.now() + TIMEOUT_MS },
      (error, status) => {
        client.close();
        if (error) reject(error);
        else resolve(status!);
      },
    );
  });
}
