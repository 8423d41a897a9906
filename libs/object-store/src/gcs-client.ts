import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Storage } from '@google-cloud/storage';
import { toGcsError } from './gcs-error.ts';
import type { ByteRange } from './object-store.ts';
import type { SessionRequest } from './resumable-upload.ts';
import { type StoreRequests, silenceOf, storeRequests } from './store-requests.ts';

/** Then a request that nobody waits for any more is ended by the SDK: it takes no signal. */
const FORGOTTEN_MS = 600_000;

export interface OpenStorage {
  storage: Storage;
  requests: StoreRequests;
  /** Whether requests carry credentials. */
  isAnonymous: boolean;
}

/** By their parameters: stores are opened for every table and split, and share connections and the retries' budget. */
const storages = new Map<string, Promise<OpenStorage>>();

export function openStorage(parameters: URLSearchParams): Promise<OpenStorage> {
  const name = parameters.toString();
  let storage = storages.get(name);
  if (storage === undefined) {
    storage = createStorage(parameters);
    storages.set(name, storage);
    storage.catch(() => storages.delete(name));
  }
  return storage;
}

async function createStorage(parameters: URLSearchParams): Promise<OpenStorage> {
  const requests = storeRequests(silenceOf(parameters), toGcsError);
  // Loaded by who uses it.
  const { Storage } = await import('@google-cloud/storage');
  const endpoint = (parameters.get('endpoint') ?? process.env.STORAGE_EMULATOR_HOST)?.replace(/\/+$/, '');
  const isAnonymous = endpoint !== undefined && new URL(endpoint).protocol !== 'https:';
  const storage = new Storage({
    timeout: FORGOTTEN_MS,
    // Tries again are ours: the SDK's do not end what hangs.
    retryOptions: { autoRetry: false, retryableErrorFn: () => false },
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: !isAnonymous }),
  });
  // Where the environment names an emulator the SDK leaves out the path that Google's other SDKs add.
  if (endpoint !== undefined) storage.baseUrl = `${endpoint}/storage/v1`;
  return { storage, requests, isAnonymous };
}

/** An object's bytes as they come. The SDK's own stream can't be ended while it waits, and warns of its own listeners. */
export async function openObject(
  { storage, isAnonymous }: OpenStorage,
  object: { bucket: string; name: string },
  range: ByteRange | undefined,
  signal: AbortSignal,
): Promise<{ body: Readable; headers: Headers }> {
  const part = range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
  const options = {
    url: `${storage.baseUrl}/b/${encodeURIComponent(object.bucket)}/o/${encodeURIComponent(object.name)}?alt=media`,
    // As it is stored, even if that is compressed.
    headers: { ...part, 'accept-encoding': 'gzip' },
    responseType: 'stream',
    validateStatus: () => true,
    retry: false,
    signal,
  } as const;
  const { status, headers, data }: { status: number; headers: Headers; data: unknown } = isAnonymous
    ? await (await import('gaxios')).request(options)
    : await storage.authClient.request(options);
  const body = data instanceof Readable ? data : Readable.fromWeb(data as Parameters<typeof Readable.fromWeb>[0]);
  if (status < 300) return { body, headers };
  throw Object.assign(new Error((await text(body)).trim() || `HTTP status ${status}`), { code: status });
}

/** The URI of an upload session is its own credential. */
export function sessionRequest(uri: string): SessionRequest {
  return async (method, headers, body, { signal }) => {
    const { request } = await import('gaxios');
    const {
      status,
      headers: answered,
      data,
    } = await request({
      url: uri,
      method,
      headers,
      // 308 stands for "go on".
      validateStatus: () => true,
      responseType: 'json',
      retry: false,
      signal,
      ...(method === 'PUT' ? { body: body as Uint8Array<ArrayBuffer> } : {}),
    });
    return { status, range: answered.get('range') ?? undefined, resource: data };
  };
}
