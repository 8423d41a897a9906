import { randomUUID } from 'node:crypto';
import type { File } from '@google-cloud/storage';
import { isKind, MillraceError } from '@millrace/base';
import { crc32c } from '@node-rs/crc32';
import { bucketRoot, keyUnder } from './bucket-uri.ts';
import { deleteEach } from './delete-each.ts';
import { openObject, openStorage, sessionRequest } from './gcs-client.ts';
import { checkKey } from './key.ts';
import type { ByteRange, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { partWriter } from './part-writer.ts';
import { readBody } from './read-body.ts';
import { type ResumableUpload, resumableUpload } from './resumable-upload.ts';
import type { Attempt, RequestOptions } from './store-requests.ts';

const PARAMETERS = ['endpoint', 'timeout-ms'];
const PAGE = 1_000;
/** Names the attempt that wrote an object: a put-if-absent whose answer was lost finds itself again. */
const WRITER = 'millrace-writer';

/** What we read of an object's resource (JSON API, "Objects"). */
interface Resource {
  size?: string | number;
  updated?: string;
  crc32c?: string;
  generation?: string | number;
  metadata?: Record<string, string>;
}

/** As the JSON API writes it: big-endian, base64. */
function base64OfCrc(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc >>> 0);
  return bytes.toString('base64');
}

/**
 * A bucket of Google Cloud Storage, or a prefix in one: `gs://bucket/prefix`. Credentials are the Application Default ones.
 * `?endpoint=` or STORAGE_EMULATOR_HOST name another server; one without TLS is sent no credentials. Put-if-absent is
 * `ifGenerationMatch=0`. The service checks a CRC32C of what is uploaded whole; of what went in parts, its CRC32C is
 * compared with ours; whole downloads are checked against the one that it kept.
 */
export function gcsStore(uri: string): ObjectStore {
  const { bucket, prefix, root, parameters } = bucketRoot(uri, ['gs'], PARAMETERS);

  async function send<T>(
    key: string,
    options: RequestOptions,
    request: (file: File, attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    const name = prefix + checkKey(key);
    const { storage, requests } = await openStorage(parameters);
    return requests(`${root}/${key}`, options, (attempt) => request(storage.bucket(bucket).file(name), attempt));
  }

  async function head(key: string, signal?: AbortSignal): Promise<Resource | undefined> {
    try {
      const [found] = await send(key, { signal }, (file) => file.getMetadata());
      return found as Resource;
    } catch (error) {
      if (isKind(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Runs a conditional write; when the service says "is there", looks whether it was this very write. */
  async function unlessOurs<T>(key: string, writer: string, write: () => Promise<T>): Promise<T | Resource> {
    try {
      return await write();
    } catch (error) {
      const isLost = error instanceof MillraceError && error.code === 'upload-lost';
      if (!isLost && !isKind(error, 'already-exists')) throw error;
      const found = await head(key);
      if (found?.metadata?.[WRITER] !== writer) throw error;
      return found;
    }
  }

  const condition = ({ ifAbsent = false }: PutOptions) =>
    ifAbsent ? { preconditionOpts: { ifGenerationMatch: 0 } } : {};

  async function put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const writer = randomUUID();
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const metadata = { crc32c: base64OfCrc(crc32c(bytes)), metadata: { [WRITER]: writer } };
    const input = { resumable: false, validation: false, metadata, ...condition(options) };
    await unlessOurs(key, writer, () =>
      send(key, { signal: options.signal, sizeBytes: body.length }, (file) => file.save(bytes, input)),
    );
    return { key, sizeBytes: body.length, modifiedMs: Date.now() };
  }

  async function get(key: string, range?: ByteRange, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    if (range !== undefined && range.end <= range.start) return new Uint8Array(0);
    const object = { bucket, name: prefix + checkKey(key) };
    const opened = await openStorage(parameters);
    try {
      return await opened.requests(`${root}/${key}`, { signal }, async (attempt) => {
        const { body, headers } = await openObject(opened, object, range, attempt.signal);
        const length = headers.get('content-length');
        const bytes = await readBody(body, () => (length === null ? undefined : Number(length)), attempt, range, into);
        const kept = /crc32c=([^,]+)/.exec(headers.get('x-goog-hash') ?? '')?.[1];
        if (range === undefined && kept !== undefined && kept !== base64OfCrc(crc32c(Buffer.from(bytes))))
          throw new MillraceError('unavailable', 'the bytes that came have another CRC32C', { code: 'object-damaged' });
        return bytes;
      });
    } catch (error) {
      // 416: the range begins at or after the end.
      if (error instanceof MillraceError && error.code === 'InvalidRange') return new Uint8Array(0);
      throw error;
    }
  }

  const remove = async (key: string, signal?: AbortSignal): Promise<void> => {
    await send(key, { signal }, (file) => file.delete({ ignoreNotFound: true }));
  };

  async function begin(key: string, writer: string, options: PutOptions): Promise<ResumableUpload> {
    const input = { metadata: { metadata: { [WRITER]: writer } }, ...condition(options) };
    const [session] = await send(key, { signal: options.signal }, (file) => file.createResumableUpload(input));
    const { requests } = await openStorage(parameters);
    return resumableUpload(`${root}/${key}`, requests, sessionRequest(session), options.signal);
  }

  return {
    uri: root,
    get,
    put,
    async head(key, signal) {
      const found = await head(key, signal);
      return found && infoOf(key, found);
    },
    async writer(key, options = {}) {
      const writer = randomUUID();
      let upload: ResumableUpload | undefined;
      let crc = 0;
      let sizeBytes = 0;
      return partWriter<void>({
        key: checkKey(key),
        uploads: 1,
        putWhole: (bytes) => put(key, bytes, options),
        async begin() {
          upload = await begin(key, writer, options);
          return writer;
        },
        async upload(_id, _number, bytes) {
          await upload!.add(bytes);
          crc = crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), crc);
          sizeBytes += bytes.length;
        },
        async complete() {
          const stored = (await unlessOurs(key, writer, () => upload!.complete())) as Resource;
          if (stored.crc32c === base64OfCrc(crc) && Number(stored.size) === sizeBytes) return;
          const generation = { ifGenerationMatch: stored.generation ?? 0, ignoreNotFound: true };
          await send(key, {}, (file) => file.delete(generation));
          throw new MillraceError('unavailable', `${root}/${key}: what arrived is not what was sent, and was removed`, {
            code: 'object-damaged',
          });
        },
        abort: async () => upload?.cancel(),
      });
    },
    delete: remove,
    deleteMany: (keys, signal) => deleteEach(keys, (key) => remove(key, signal)),
    async *list(start, { startAfter, signal } = {}) {
      const { storage, requests } = await openStorage(parameters);
      const first = {
        ...(startAfter === undefined ? {} : { startOffset: prefix + startAfter }),
        prefix: prefix + start,
        maxResults: PAGE,
        autoPaginate: false,
        fields: 'items(name,size,updated),nextPageToken',
      };
      let query: typeof first | null = first;
      while (query !== null) {
        const input: typeof first = query;
        const [files, next]: [File[], object | null, unknown?] = await requests(`${root}/${start}`, { signal }, () =>
          storage.bucket(bucket).getFiles(input),
        );
        for (const { name, metadata } of files) {
          const key = name.slice(prefix.length);
          // startOffset is inclusive. Consoles make objects for folders.
          if (key !== startAfter && !key.endsWith('/')) yield infoOf(key, metadata);
        }
        query = next as typeof first | null;
      }
    },
    discardUnfinished: async () => 0,
    uriOf: (key) => `${root}/${checkKey(key)}`,
    keyOf: (text) => keyUnder(root, text),
  };
}

const infoOf = (key: string, { size = 0, updated }: Pick<Resource, 'size' | 'updated'>): ObjectInfo => ({
  key,
  sizeBytes: Number(size),
  modifiedMs: updated === undefined ? 0 : Date.parse(updated),
});
