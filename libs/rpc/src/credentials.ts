import * as grpc from '@grpc/grpc-js';
import { type CertificateWatch, type TransportSettings, usesTls, watchCertificates } from '@millrace/base';
import { createLogger } from '@millrace/telemetry';

/**
 * What a client presents to servers at `addresses`, and whom it believes. A connection that stands keeps the
 * certificates that it was made with; new ones have the newest.
 */
export function clientCredentials(settings: TransportSettings, name: string, addresses: string) {
  if (!usesTls(settings, `the client of ${name} calls`, addresses.split(',').map(hostOf))) {
    return grpc.credentials.createInsecure();
  }
  const provider = certificateProvider(settings);
  return grpc.experimental.createCertificateProviderChannelCredentials(provider, provider);
}

/** What a server shows to clients; it takes only those whose certificate is the authority's. */
export function serverCredentials(settings: TransportSettings, name: string, host: string): grpc.ServerCredentials {
  if (!usesTls(settings, `${name} listens on`, [host])) return grpc.ServerCredentials.createInsecure();
  const provider = certificateProvider(settings);
  return grpc.experimental.createCertificateProviderServerCredentials(provider, provider, true);
}

/** The host in "host:port", "dns:///host:port", "[::1]:port", "ipv4:1.2.3.4:port". */
const hostOf = (address: string): string =>
  address
    .trim()
    .replace(/^(dns:(\/\/[^/]*\/)?|ipv4:|ipv6:)/, '')
    .replace(/:\d+$/, '');

type Listener<T> = (update: T) => void;

/**
 * grpc-js's own file watcher refuses all connections while a file is away or half written, and takes a certificate
 * without its key; this one hands over only what fits together. It watches while someone listens.
 */
function certificateProvider(settings: TransportSettings): grpc.experimental.CertificateProvider {
  const authorities = new Set<Listener<grpc.experimental.CaCertificateUpdate | null>>();
  const identities = new Set<Listener<grpc.experimental.IdentityCertificateUpdate | null>>();
  const logger = createLogger('tls');
  let watch: CertificateWatch | undefined;
  // What can't be used is an error of whoever makes the client or server, not of its first connection.
  watchCertificates(settings).stop();
  const started = () => {
    watch ??= watchCertificates(
      settings,
      ({ cert, key, ca }) => {
        logger.info({ file: settings.tlsCertificateFile }, 'certificates read again');
        for (const listener of authorities) listener({ caCertificate: ca });
        for (const listener of identities) listener({ certificate: cert, privateKey: key });
      },
      (error) => logger.error({ error }, 'new certificates are of no use; the former ones stay'),
    );
    return watch.current();
  };
  const ended = () => {
    if (authorities.size + identities.size > 0) return;
    watch?.stop();
    watch = undefined;
  };
  return {
    addCaCertificateListener(listener) {
      authorities.add(listener);
      const { ca } = started();
      process.nextTick(() => listener({ caCertificate: ca }));
    },
    removeCaCertificateListener(listener) {
      authorities.delete(listener);
      ended();
    },
    addIdentityCertificateListener(listener) {
      identities.add(listener);
      const { cert, key } = started();
      process.nextTick(() => listener({ certificate: cert, privateKey: key }));
    },
    removeIdentityCertificateListener(listener) {
      identities.delete(listener);
      ended();
    },
  };
}
