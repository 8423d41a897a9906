import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { MillraceError } from './errors.ts';

/** How a process speaks to others; the settings of every service, and the command line's options. */
export interface TransportSettings {
  /** PEM file: this process's certificate and those between it and the authority. */
  tlsCertificateFile?: string | undefined;
  /** PEM file: the certificate's private key, without a passphrase. */
  tlsKeyFile?: string | undefined;
  /** PEM file: the authorities whose certificates are believed, of servers and of clients. */
  tlsAuthorityFile?: string | undefined;
  /** Milliseconds between looks at the three files. */
  tlsReloadMs?: number | undefined;
  /** Whether connections without TLS may leave this machine. */
  plaintext?: boolean | undefined;
}

/** What the three files hold, in the words of node:tls. */
export interface Certificates {
  cert: Buffer;
  key: Buffer;
  ca: Buffer;
}

export interface CertificateWatch {
  current(): Certificates;
  stop(): void;
}

const KEYS = ['tlsCertificateFile', 'tlsKeyFile', 'tlsAuthorityFile'] as const;
const DEFAULT_RELOAD_MS = 10_000;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?|unix:.*)$/;

export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/**
 * Whether connections with these hosts are to have TLS. Without the three files they are plain, which only loopback may be
 * unless `plaintext` says so.
 * @param what names the connection in errors: "segment-reader listens on"
 * @throws MillraceError `invalid` when files are missing, or a plain connection would leave the machine
 */
export function usesTls(settings: TransportSettings, what: string, hosts: string[]): boolean {
  const missing = KEYS.filter((key) => settings[key] === undefined);
  if (missing.length === 0) return true;
  if (missing.length < KEYS.length) {
    throw new MillraceError('invalid', `TLS needs ${KEYS.join(', ')} together; not set: ${missing.join(', ')}`, {
      code: 'tls-incomplete',
      context: { key: missing[0]! },
    });
  }
  const far = hosts.find((host) => !isLoopback(host));
  if (far === undefined || settings.plaintext === true) return false;
  throw new MillraceError(
    'invalid',
    `${what} ${far}, which is not loopback, without TLS: set ${KEYS.join(', ')} (deploy/certificates.sh makes them), or plaintext to true where the network encrypts by itself`,
    { code: 'tls-required', context: { key: 'tlsCertificateFile', host: far } },
  );
}

/**
 * Reads the three files now, and again whenever they change. Files are read by path each time, since secrets that a
 * cluster mounts change by a link. What does not fit together (half of it replaced, a key that is not the certificate's)
 * is told to `onError` once and looked at again; until it fits, the former certificates stand.
 * @throws MillraceError `invalid` when they can't be used at the start
 */
export function watchCertificates(
  settings: TransportSettings,
  onChange: (certificates: Certificates) => void = () => {},
  onError: (error: MillraceError) => void = () => {},
): CertificateWatch {
  let current = readCertificates(settings);
  let told = '';
  const timer = setInterval(() => {
    try {
      const next = readCertificates(settings);
      told = '';
      if (next.cert.equals(current.cert) && next.key.equals(current.key) && next.ca.equals(current.ca)) return;
      current = next;
      onChange(next);
    } catch (error) {
      const failure = error as MillraceError;
      if (failure.message !== told) onError(failure);
      told = failure.message;
    }
  }, settings.tlsReloadMs ?? DEFAULT_RELOAD_MS).unref();
  return { current: () => current, stop: () => clearInterval(timer) };
}

function readCertificates(settings: TransportSettings): Certificates {
  const [cert, key, ca] = KEYS.map((name) => {
    try {
      return readFileSync(settings[name]!);
    } catch (error) {
      throw new MillraceError('invalid', `${name} can't be read: ${(error as Error).message}`, {
        code: 'tls-unreadable',
        context: { key: name },
        cause: error,
      });
    }
  }) as [Buffer, Buffer, Buffer];
  try {
    createSecureContext({ cert, key, ca });
  } catch (error) {
    throw new MillraceError(
      'invalid',
      `${KEYS.map((name) => settings[name]).join(', ')} are not a certificate, its private key and an authority in PEM: ${(error as Error).message}`,
      { code: 'tls-invalid', context: { key: KEYS[0] }, cause: error },
    );
  }
  return { cert, key, ca };
}
