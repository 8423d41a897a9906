import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import { isKind, MillraceError } from '@millrace/base';
import { bucketRoot, keyUnder } from './bucket-uri.ts';
import { checkKey } from './key.ts';
import type { ByteRange, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { partWriter } from './part-writer.ts';
import { readBody } from './read-body.ts';
import { toS3Error } from './s3-error.ts';
import { type Attempt, type RequestOptions, type StoreRequests, silenceOf, storeRequests } from './store-requests.ts';

/** What a URI may say after "?". The rest (credentials, profiles, roles, region) is the SDK's own default chain. */
const PARAMETERS = ['region', 'endpoint', 'path-style', 'timeout-ms'];
const CONNECT_TIMEOUT_MS = 5_000;
/** The most that one DeleteObjects takes. */
const DELETES_A_REQUEST = 1_000;
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

  async function send<T>(
    key: string,
    options: RequestOptions,
    request: (client: S3.S3Client, sdk: typeof S3, until: { abortSignal: AbortSignal }, attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    const { sdk, client, requests } = await openClient(parameters);
    return requests(`${root}/${key}`, options, (attempt) =>
      request(client, sdk, { abortSignal: attempt.signal }, attempt),
    );
  }

  const at = (key: string) => ({ Bucket: bucket, Key: prefix + checkKey(key) });

  async function head(key: string, signal?: AbortSignal) {
    const place = at(key);
    try {
      return await send(key, { signal }, (client, sdk, until) => client.send(new sdk.HeadObjectCommand(place), until));
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
    const write = () =>
      send(key, { signal: options.signal, sizeBytes: body.length }, (client, sdk, until) =>
        client.send(new sdk.PutObjectCommand(input), until),
      );
    await (options.ifAbsent ? unlessOurs(key, writer, write) : write());
    return { key, sizeBytes: body.length, modifiedMs: Date.now() };
  }

  async function get(key: string, range?: ByteRange, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    const place = at(key);
    if (range !== undefined && range.end <= range.start) return new Uint8Array(0);
    const input = range === undefined ? place : { ...place, Range: `bytes=${range.start}-${range.end - 1}` };
    try {
      return await send(key, { signal }, async (client, sdk, until, attempt) => {
        const { Body, ContentLength } = await client.send(new sdk.GetObjectCommand(input), until);
        return await readBody(Body as Readable, () => ContentLength, attempt, range, into);
      });
    } catch (error) {
      // 416: the range begins at or after the end.
      if (error instanceof MillraceError && error.code === 'InvalidRange') return new Uint8Array(0);
      throw error;
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
          const answer = await send(key, { signal }, (client, sdk, until) =>
            client.send(new sdk.CreateMultipartUploadCommand(input), until),
          );
          return answer.UploadId!;
        },
        async upload(id, number, bytes) {
          const part = { ...at(key), UploadId: id, PartNumber: number, Body: bytes };
          const answer = await send(key, { signal, sizeBytes: bytes.length }, (client, sdk, until) =>
            client.send(new sdk.UploadPartCommand(part), until),
          );
          return { PartNumber: number, ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32 } as S3.CompletedPart;
        },
        async complete(id, parts: S3.CompletedPart[]) {
          const input = { ...at(key), UploadId: id, MultipartUpload: { Parts: parts }, ...condition };
          const write = () =>
            send(key, { signal }, (client, sdk, until) =>
              client.send(new sdk.CompleteMultipartUploadCommand(input), until),
            );
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
          await send(key, {}, (client, sdk, until) =>
            client.send(new sdk.AbortMultipartUploadCommand(input), until),
          ).catch((error) => {
            if (!isKind(error, 'not-found')) throw error;
          });
        },
      });
    },
    async delete(key, signal) {
      const place = at(key);
      await send(key, { signal }, (client, sdk, until) => client.send(new sdk.DeleteObjectCommand(place), until));
    },
    async deleteMany(keys, signal) {
      for (let from = 0; from < keys.length; from += DELETES_A_REQUEST) {
        const some = keys.slice(from, from + DELETES_A_REQUEST);
        const input = { Bucket: bucket, Delete: { Objects: some.map((key) => ({ Key: at(key).Key })), Quiet: true } };
        await send(some[0]!, { signal }, async (client, sdk, until) => {
          const { Errors } = await client.send(new sdk.DeleteObjectsCommand(input), until);
          const failed = Errors?.find(({ Code }) => Code !== 'NoSuchKey');
          if (failed === undefined) return;
          const { Code = '', Key, Message = Code } = failed;
          throw Object.assign(new Error(`${Key}: ${Message}`), { name: Code });
        });
      }
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
        const answer = await send(start, { signal }, (client, sdk, until) =>
          client.send(new sdk.ListObjectsV2Command(page), until),
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
        const answer: S3.ListMultipartUploadsCommandOutput = await send(start, {}, (client, sdk, until) =>
          client.send(new sdk.ListMultipartUploadsCommand(input), until),
        );
        for (const { Key, UploadId, Initiated } of answer.Uploads ?? []) {
          if ((Initiated?.getTime() ?? 0) >= touchedBeforeMs) continue;
          const upload = { Bucket: bucket, Key, UploadId };
          await send(Key!, {}, (client, sdk, until) =>
            client.send(new sdk.AbortMultipartUploadCommand(upload), until),
          ).catch((error) => {
            // Completed or aborted meanwhile, or by an earlier try.
            if (!isKind(error, 'not-found')) throw error;
          });
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

interface OpenClient {
  sdk: typeof S3;
  client: S3.S3Client;
  requests: StoreRequests;
}

/** By their parameters: stores are opened for every table and split, and share connections and the retries' budget. */
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
  const silenceMs = silenceOf(parameters);
  // Loaded by who uses it.
  const sdk = await import('@aws-sdk/client-s3');
  const own = parameters.get('endpoint') ?? undefined;
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const elsewhere = own ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  // Servers that are not Amazon's have no regions, but signatures need a name of one.
  const fallback = elsewhere === undefined ? undefined : (AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1');
  const region = parameters.get('region') ?? fallback;
  const client = new sdk.S3Client({
    // Tries again are ours: the SDK's do not reach what goes wrong within a body.
    maxAttempts: 1,
    forcePathStyle: (parameters.get('path-style') ?? String(elsewhere !== undefined)) === 'true',
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS },
    ...(region === undefined ? {} : { region }),
    ...(own === undefined ? {} : { endpoint: own }),
  });
  return { sdk, client, requests: storeRequests(silenceMs, toS3Error) };
}
