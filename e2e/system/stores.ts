import { startAzure } from '../peers/azure.ts';
import { startGcs } from '../peers/gcs.ts';
import type { Peer } from '../peers/peers.ts';
import { runPython } from '../peers/python.ts';
import { startS3 } from '../peers/s3.ts';

/** An object store that answers on the loopback. */
export interface RunningStore {
  port: number;
  /** Without parameters, as table metadata names it. */
  uri: string;
  /** The same with `endpoint` in the URI, and what else the store's own tests need. */
  testEnv(endpoint: string): Record<string, string>;
  /** What services need to find the store, or a proxy before it, at `endpoint`. */
  env(endpoint: string): Record<string, string>;
  /** What PyIceberg and deltalake need. */
  readerEnv: Record<string, string>;
  /** Copies a table for deltalake, whose client uses an API that the server does not have; answers with the folder. */
  copy?(python: string, location: string, folder: string): Promise<string>;
  /** Must appear in no output. */
  secret?: string;
  stop(): Promise<void>;
}

export interface StoreKind {
  name: string;
  peer: Peer & ('s3' | 'gcs' | 'azure');
  /** `folder`: an empty one, for its data. */
  start(binaries: string, folder: string): Promise<RunningStore>;
  /** Requests in which the server does not do what the real service does, so that faults in them would prove nothing. */
  spared?: (method: string, url: string) => boolean;
}

const portOf = (endpoint: string): number => Number(new URL(endpoint).port);
const property = (name: string) =>
  `PYICEBERG_CATALOG__MILLRACE__${name.toUpperCase().replaceAll('.', '__').replaceAll('-', '_')}`;

export const STORE_KINDS: readonly StoreKind[] = [
  {
    name: 'S3',
    peer: 's3',
    async start(binaries, folder) {
      const { endpoint, bucket, env, stop } = await startS3(binaries, folder);
      const secret = env['AWS_SECRET_ACCESS_KEY']!;
      return {
        port: portOf(endpoint),
        uri: `s3://${bucket}`,
        testEnv: (at) => ({ ...env, MILLRACE_TEST_STORE: `s3://${bucket}?endpoint=${at}` }),
        env: (at) => ({ ...env, AWS_ENDPOINT_URL_S3: at }),
        readerEnv: {
          AWS_ENDPOINT_URL: endpoint,
          AWS_ALLOW_HTTP: 'true',
          [property('s3.endpoint')]: endpoint,
          [property('s3.region')]: 'us-east-1',
          [property('s3.access-key-id')]: env['AWS_ACCESS_KEY_ID']!,
          [property('s3.secret-access-key')]: secret,
        },
        secret,
        stop,
      };
    },
  },
  {
    name: 'Google Cloud Storage',
    peer: 'gcs',
    async start(binaries, folder) {
      const { endpoint, bucket, stop } = await startGcs(binaries, folder);
      return {
        port: portOf(endpoint),
        uri: `gs://${bucket}`,
        testEnv: (at) => ({ MILLRACE_TEST_STORE: `gs://${bucket}?endpoint=${at}` }),
        env: (at) => ({ STORAGE_EMULATOR_HOST: at }),
        readerEnv: {
          [property('gcs.service.host')]: endpoint,
          [property('gcs.oauth2.token')]: 'any',
          [property('gcs.oauth2.token-expires-at')]: String(Date.now() + 86_400_000),
        },
        // It lists by the XML API.
        async copy(python, location, into) {
          await runPython(python, 'fetch_gcs.py', [endpoint, location.slice('gs://'.length), into]);
          return into;
        },
        stop,
      };
    },
    // A chunk that comes again is appended again there, and a question where the session stands ends it.
    spared: (method, url) => method === 'PUT' && url.includes('upload_id='),
  },
  {
    name: 'Azure',
    peer: 'azure',
    async start(binaries, folder) {
      const { endpoint, account, key, container, stop } = await startAzure(binaries, folder);
      const connection = (at: string) =>
        `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${at}/${account};`;
      return {
        port: portOf(endpoint),
        uri: `abfss://${container}@${account}.dfs.core.windows.net`,
        testEnv: (at) => ({
          AZURE_STORAGE_ACCOUNT: account,
          AZURE_STORAGE_KEY: key,
          MILLRACE_TEST_STORE: `az://${container}?endpoint=${at}`,
        }),
        env: (at) => ({ AZURE_STORAGE_CONNECTION_STRING: connection(at) }),
        readerEnv: {
          AZURE_STORAGE_USE_EMULATOR: 'true',
          AZURITE_BLOB_STORAGE_URL: endpoint,
          AZURE_STORAGE_ACCOUNT_NAME: account,
          AZURE_STORAGE_ACCOUNT_KEY: key,
          [property('py-io-impl')]: 'azure_io.AzureFileIO',
          [property('adls.account-name')]: account,
          [property('adls.account-key')]: key,
          [property('adls.blob-storage-authority')]: new URL(endpoint).host,
          [property('adls.blob-storage-scheme')]: 'http',
          [property('adls.dfs-storage-authority')]: new URL(endpoint).host,
          [property('adls.dfs-storage-scheme')]: 'http',
        },
        secret: key,
        stop,
      };
    },
  },
];
