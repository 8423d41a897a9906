import { randomUUID } from 'node:crypto';
import type * as S3 from '@aws-sdk/client-s3';
import { isKind, MillraceError } from '@millrace/base';
import { bucketRoot, keyUnder } from './bucket-uri.ts';
import { checkKey } from './key.ts';
import type { ByteRange, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { partWriter } from './part-writer.ts';
import { toS3Error } from './s3-error.ts';

/** What a URI may say after "?". The rest (credentials, profiles, roles, region) is the SDK's own default chain. */
const PARAMETERS = ['region', 'endpoint', 'path-style'];
/** Tries of one request, the SDK's retry budget permitting. */
const MAX_ATTEMPTS = 6;
const CONNECT_TIMEOUT_MS = 5_000;
/** Without a byte for this long a request has hung. */
const SILENCE_TIMEOUT_MS = 30_000;
/** Names the attempt that wrote an object: a put-if-absent whose answer was lost finds itself again. */
const WRITER = 'millrace-writer';

/**
 * A bucket, or a prefix in one, of S3 or of a store that speaks its API: `s3://bucket/prefix`. Region, credentials and
 * another server than Amazon's come from the SDK's own chain (AWS_REGION, AWS_ENDPOINT_URL_S3, …); a store of another
 * place than the rest says so itself: `?endpoint=http://host:9000&region=…`. With an endpoint buckets are parts of the
 * path, unless `path-style=false`. Put-if-absent is `If-None-Match: *`. Uploads carry a CRC that the store checks, and
 * downloads are checked against the one that it kept.
 */
export function s3Store(uri: string): ObjectStore {
  const { bucket, prefix, root, parameters } = bucketRoot(uri, ['s3', 's3a'], PARAMETERS);
  const open = () => openClient(parameters);

  async function send<T>(key: string, request: (client: S3.S3Client, sdk: typeof S3) => Promise<T>): Promise<T> {
    try {
      const { sdk, client } = await open();
      return await request(client, sdk);
    } catch (error) {
      throw toS3Error(error, `${root}/${key}`);
    }
  }

  const at = (key: string) => ({ Bucket: bucket, Key: prefix + checkKey(key) });

  async function head(key: string, signal?: AbortSignal) {
    try {
      return await send(key, (client, sdk) => client.send(new sdk.HeadObjectCommand(at(key)), until(signal)));
    } catch (error) {
      if (isKind(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Runs a conditional write; when the store says "is there", looks whether it was this very write. */
  async function unlessOurs<T>(key: string, writer: string, write: () => Promise<T>): Promise<T | undefined> {
    try {
      return await write();
    } catch (error) {
      if (!isKind(error, 'already-exists')) throw error;
      if ((await head(key))?.Metadata?.[WRITER] !== writer) throw error;
      return undefined;
    }
  }

  async function put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const writer = randomUUID();
    const condition = options.ifAbsent ? { IfNoneMatch: '*', Metadata: { [WRITER]: writer } } : {};
    const input = { ...at(key), Body: body, ...condition };
    const write = () => send(key, (client, sdk) => client.send(new sdk.PutObjectCommand(input), until(options.signal)));
    await (options.ifAbsent ? unlessOurs(key, writer, write) : write());
    return { key, sizeBytes: body.length, modifiedMs: Date.now() };
  }

  async function get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    if (range !== undefined && range.end <= range.start) return new Uint8Array(0);
    const bytes = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` };
    try {
      const { Body, ContentLength } = await send(key, (client, sdk) =>
        client.send(new sdk.GetObjectCommand({ ...at(key), ...bytes }), until(signal)),
      );
      const body = await Body!.transformToByteArray();
      if (ContentLength !== undefined && body.length !== ContentLength)
        throw new MillraceError('unavailable', `${root}/${key}: ${body.length} of ${ContentLength} bytes came`, {
          code: 'object-cut',
        });
      return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    } catch (error) {
      // 416: the range begins at or after the end.
      if (error instanceof MillraceError && error.code === 'InvalidRange') return new Uint8Array(0);
      throw toS3Error(error, `${root}/${key}`);
    }
  }

  return {
    uri: root,
    get,
    put,
    async head(key, signal) {
      const found = await head(key, signal);
      if (found === undefined) return undefined;
      return { key, sizeBytes: found.ContentLength ?? 0, modifiedMs: found.LastModified?.getTime() ?? 0 };
    },
    async writer(key, options = {}) {
      const writer = randomUUID();
      const condition = options.ifAbsent ? { IfNoneMatch: '*' } : {};
      const { signal } = options;
      return partWriter({
        key: checkKey(key),
        putWhole: (bytes) => put(key, bytes, options),
        async begin() {
          const input = { ...at(key), Metadata: { [WRITER]: writer }, ChecksumAlgorithm: 'CRC32' } as const;
          const answer = await send(key, (client, sdk) =>
            client.send(new sdk.CreateMultipartUploadCommand(input), until(signal)),
          );
          return answer.UploadId!;
        },
        async upload(id, number, bytes) {
          const part = { ...at(key), UploadId: id, PartNumber: number, Body: bytes };
          const answer = await send(key, (client, sdk) => client.send(new sdk.UploadPartCommand(part), until(signal)));
          return { PartNumber: number, ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32 } as S3.CompletedPart;
        },
        async complete(id, parts: S3.CompletedPart[]) {
          const input = { ...at(key), UploadId: id, MultipartUpload: { Parts: parts }, ...condition };
          const write = () =>
            send(key, (client, sdk) => client.send(new sdk.CompleteMultipartUploadCommand(input), until(signal)));
          try {
            await (options.ifAbsent ? unlessOurs(key, writer, write) : write());
          } catch (error) {
            // The upload is gone when an earlier try, whose answer was lost, has completed it.
            const ended = error instanceof MillraceError && error.code === 'NoSuchUpload';
            if (!ended || (await head(key))?.Metadata?.[WRITER] !== writer) throw error;
          }
        },
        async abort(id) {
          // Not by the caller's signal: that is often the reason for the abort.
          const input = { ...at(key), UploadId: id };
          await send(key, (client, sdk) => client.send(new sdk.AbortMultipartUploadCommand(input))).catch((error) => {
            if (!isKind(error, 'not-found')) throw error;
          });
        },
      });
    },
    async delete(key, signal) {
      await send(key, (client, sdk) => client.send(new sdk.DeleteObjectCommand(at(key)), until(signal)));
    },
    async *list(start, { startAfter, signal } = {}) {
      const input = {
        Bucket: bucket,
        Prefix: prefix + start,
        ...(startAfter === undefined ? {} : { StartAfter: prefix + startAfter }),
      };
      let token: string | undefined;
      do {
        const page = token === undefined ? input : { ...input, ContinuationToken: token };
        const answer = await send(start, (client, sdk) =>
          client.send(new sdk.ListObjectsV2Command(page), until(signal)),
        );
        for (const { Key, Size, LastModified } of answer.Contents ?? []) {
          const key = Key!.slice(prefix.length);
          // Consoles make objects for folders.
          if (!key.endsWith('/')) yield { key, sizeBytes: Size ?? 0, modifiedMs: LastModified?.getTime() ?? 0 };
        }
        token = answer.IsTruncated ? answer.NextContinuationToken : undefined;
      } while (token !== undefined);
    },
    async discardUnfinished(start, touchedBeforeMs) {
      let discarded = 0;
      let next: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
      while (next !== undefined) {
        const input: S3.ListMultipartUploadsCommandInput = { Bucket: bucket, Prefix: prefix + start, ...next };
        const answer: S3.ListMultipartUploadsCommandOutput = await send(start, (client, sdk) =>
          client.send(new sdk.ListMultipartUploadsCommand(input)),
        );
        for (const { Key, UploadId, Initiated } of answer.Uploads ?? []) {
          if ((Initiated?.getTime() ?? 0) >= touchedBeforeMs) continue;
          const upload = { Bucket: bucket, Key, UploadId };
          await send(Key!, (client, sdk) => client.send(new sdk.AbortMultipartUploadCommand(upload)));
          discarded++;
        }
        next = answer.IsTruncated
          ? { KeyMarker: answer.NextKeyMarker!, UploadIdMarker: answer.NextUploadIdMarker! }
          : undefined;
      }
      return discarded;
    },
    uriOf: (key) => `${root}/${checkKey(key)}`,
    keyOf: (text) => keyUnder(root, text),
  };
}

const until = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

interface OpenClient {
  sdk: typeof S3;
  client: S3.S3Client;
}

/** By their parameters: stores are opened for every table and split, and share connections and the retry budget. */
const clients = new Map<string, Promise<OpenClient>>();

function openClient(parameters: URLSearchParams): Promise<OpenClient> {
  const name = parameters.toString();
  let client = clients.get(name);
  if (client === undefined) {
    client = createClient(parameters);
    clients.set(name, client);
    client.catch(() => clients.delete(name));
  }
  return client;
}

async function createClient(parameters: URLSearchParams): Promise<OpenClient> {
  // Loaded by who uses it.
  const sdk = await import('@aws-sdk/client-s3');
  const own = parameters.get('endpoint') ?? undefined;
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const elsewhere = own ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  // Servers that are not Amazon's have no regions, but signatures need a name of one.
  const fallback = elsewhere === undefined ? undefined : (AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1');
  const region = parameters.get('region') ?? fallback;
  const client = new sdk.S3Client({
    maxAttempts: MAX_ATTEMPTS,
    forcePathStyle: (parameters.get('path-style') ?? String(elsewhere !== undefined)) === 'true',
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: SILENCE_TIMEOUT_MS },
    ...(region === undefined ? {} : { region }),
    ...(own === undefined ? {} : { endpoint: own }),
  });
  return { sdk, client };
}
