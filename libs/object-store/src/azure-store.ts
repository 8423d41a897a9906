import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { isKind, MillraceError } from '@millrace/base';
import { environmentAccount, openAccount } from './azure-client.ts';
import { azureKey, azureRoot } from './azure-uri.ts';
import { deleteEach } from './delete-each.ts';
import { checkKey } from './key.ts';
import type { ByteRange, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { partWriter } from './part-writer.ts';
import { readBody } from './read-body.ts';
import type { Attempt, RequestOptions } from './store-requests.ts';

/** Blobs that a listing asks for at a time. */
const PAGE = 1_000;
const PARAMETERS = ['account', 'endpoint', 'path-style', 'timeout-ms'];
/** Names the attempt that wrote a blob: a put-if-absent whose answer was lost finds itself again. */
const WRITER = 'millracewriter';
/** What Hadoop's drivers and hierarchical namespaces put on blobs that stand for folders. */
const FOLDER = 'hdi_isfolder';

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

/**
 * A container of Azure Blob Storage or Data Lake Storage, or a prefix in one:
 * `abfss://container@account.dfs.core.windows.net/prefix`, or `az://container/prefix`. Requests go to the blob endpoint
 * (`?endpoint=` names another; the account is then part of the path unless `path-style=false`). Credentials come from the
 * environment (AZURE_STORAGE_CONNECTION_STRING, _KEY, _SAS_TOKEN) or from DefaultAzureCredential. Put-if-absent is
 * `If-None-Match: *`. The service checks an MD5 of everything uploaded; whole downloads are checked against the one that
 * it kept.
 */
export function azureStore(uri: string): ObjectStore {
  const place = azureRoot(uri, PARAMETERS, environmentAccount());
  const { container, prefix, root } = place;

  async function send<T>(
    key: string,
    options: RequestOptions,
    request: (client: ContainerClient, until: { abortSignal: AbortSignal }, attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    const { service, requests } = await openAccount(place);
    return requests(`${root}/${key}`, options, (attempt) =>
      request(service.getContainerClient(container), { abortSignal: attempt.signal }, attempt),
    );
  }

  async function sendTo<T>(
    key: string,
    options: RequestOptions,
    request: (blob: BlockBlobClient, until: { abortSignal: AbortSignal }, attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    const name = prefix + checkKey(key);
    return send(key, options, (client, until, attempt) => request(client.getBlockBlobClient(name), until, attempt));
  }

  async function head(key: string, signal?: AbortSignal) {
    try {
      const found = await sendTo(key, { signal }, (blob, until) => blob.getProperties(until));
      return found.metadata?.[FOLDER] === 'true' ? undefined : found;
    } catch (error) {
      if (isKind(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Runs a write; when the service says "is there", or knows the blocks no more, looks whether it was this very write. */
  async function unlessOurs(key: string, writer: string, write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      const blocksGone = error instanceof MillraceError && error.code === 'InvalidBlockList';
      if (!blocksGone && !isKind(error, 'already-exists')) throw error;
      const found = await head(key);
      if (found?.metadata?.[WRITER] === writer) return;
      if (!blocksGone) throw error;
      const text = `${root}/${key}: another writer of the same object has ended first`;
      throw new MillraceError('already-exists', text, { code: 'BlobAlreadyExists', context: { object: key } });
    }
  }

  const marked = (writer: string, { ifAbsent = false }: PutOptions) => ({
    metadata: { [WRITER]: writer },
    ...(ifAbsent ? { conditions: { ifNoneMatch: '*' } } : {}),
  });

  async function put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const writer = randomUUID();
    const input = { ...marked(writer, options), transactionalContentMD5: md5(body) };
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    await unlessOurs(key, writer, () =>
      sendTo(key, { signal: options.signal, sizeBytes: body.length }, (blob, until) =>
        blob.upload(bytes, bytes.length, { ...input, ...until }),
      ),
    );
    return { key, sizeBytes: body.length, modifiedMs: Date.now() };
  }

  async function get(key: string, range?: ByteRange, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    if (range !== undefined && range.end <= range.start) return new Uint8Array(0);
    const { start, end } = range ?? { start: 0, end: undefined };
    try {
      return await sendTo(key, { signal }, async (blob, until, attempt) => {
        const count = end === undefined ? undefined : end - start;
        const answer = await blob.download(start, count, { ...until, maxRetryRequests: 0 });
        const body = answer.readableStreamBody as Readable;
        const bytes = await readBody(body, () => answer.contentLength, attempt, range, into);
        if (range === undefined && answer.contentMD5 !== undefined && !md5(bytes).equals(answer.contentMD5))
          throw new MillraceError('unavailable', 'the bytes that came have another MD5', { code: 'object-damaged' });
        return bytes;
      });
    } catch (error) {
      // 416: the range begins at or after the end.
      if (error instanceof MillraceError && error.code === 'InvalidRange') return new Uint8Array(0);
      throw error;
    }
  }

  const remove = async (key: string, signal?: AbortSignal): Promise<void> => {
    await sendTo(key, { signal }, (blob, until) => blob.deleteIfExists({ ...until, deleteSnapshots: 'include' }));
  };

  return {
    uri: root,
    get,
    put,
    async head(key, signal) {
      const found = await head(key, signal);
      if (found === undefined) return undefined;
      return { key, sizeBytes: found.contentLength ?? 0, modifiedMs: found.lastModified?.getTime() ?? 0 };
    },
    async writer(key, options = {}) {
      const { signal } = options;
      const writer = randomUUID();
      return partWriter({
        key: checkKey(key),
        putWhole: (bytes) => put(key, bytes, options),
        begin: async () => writer,
        async upload(id, number, bytes) {
          // Of one length for all blocks of a blob, and nobody else's.
          const block = Buffer.from(`${id}-${String(number).padStart(5, '0')}`).toString('base64');
          const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
          const checked = { transactionalContentMD5: md5(bytes) };
          await sendTo(key, { signal, sizeBytes: bytes.length }, (blob, until) =>
            blob.stageBlock(block, body, body.length, { ...checked, ...until }),
          );
          return block;
        },
        async complete(_id, blocks: string[]) {
          const input = marked(writer, options);
          await unlessOurs(key, writer, () =>
            sendTo(key, { signal }, (blob, until) => blob.commitBlockList(blocks, { ...input, ...until })),
          );
        },
        // The service forgets blocks that are on no list after a week; there is no request for it.
        abort: async () => {},
      });
    },
    delete: remove,
    deleteMany: (keys, signal) => deleteEach(keys, (key) => remove(key, signal)),
    async *list(start, { startAfter = '', signal } = {}) {
      let continuationToken: string | undefined;
      do {
        const page = await send(start, { signal }, async (client, until) => {
          const all = client.listBlobsFlat({ ...until, prefix: prefix + start, includeMetadata: true });
          const next = await all
            .byPage({ maxPageSize: PAGE, ...(continuationToken === undefined ? {} : { continuationToken }) })
            .next();
          return next.value;
        });
        for (const { name, properties, metadata } of page?.segment.blobItems ?? []) {
          const key = name.slice(prefix.length);
          if (key <= startAfter || key.endsWith('/') || metadata?.[FOLDER] === 'true') continue;
          yield { key, sizeBytes: properties.contentLength ?? 0, modifiedMs: properties.lastModified.getTime() };
        }
        continuationToken = page?.continuationToken || undefined;
      } while (continuationToken !== undefined);
    },
    discardUnfinished: async () => 0,
    uriOf: (key) => `${root}/${checkKey(key)}`,
    keyOf: (text) => azureKey(place, text),
  };
}
