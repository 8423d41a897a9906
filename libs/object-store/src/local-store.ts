import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { type FileHandle, link, mkdir, open, opendir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError, toMillraceError } from '@millrace/base';
import { deleteEach } from './delete-each.ts';
import { checkKey } from './key.ts';
import type { ByteRange, ObjectInfo, ObjectStore, ObjectWriter, PutOptions } from './object-store.ts';

/** Names that start so are being written; listings pass over them. */
const TEMPORARY_PREFIX = '.millrace-tmp-';

/**
 * A folder as an object store. A write is crash-safe: a temporary file in the same folder, fsync, rename (or link, which
 * fails when the name is taken: put-if-absent), fsync of the folder. A full disk is `exhausted` and leaves nothing.
 *
 * URIs are file:// and the path as it is, nothing percent-encoded: table metadata holds them, and its readers take the
 * path literally.
 */
export function localStore(root: string): ObjectStore {
  const rootPath = resolve(root);
  const uri = `file://${rootPath}`;
  const pathOf = (key: string) => join(rootPath, ...checkKey(key).split('/'));

  async function guarded<T>(key: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw withPlace(error, rootPath, key);
    }
  }

  async function writer(key: string, options: PutOptions = {}): Promise<ObjectWriter> {
    const path = pathOf(key);
    const temporary = join(dirname(path), TEMPORARY_PREFIX + randomBytes(8).toString('hex'));
    let file: FileHandle | undefined = await guarded(key, async () => {
      await makeFolder(dirname(path));
      return open(temporary, 'wx');
    });
    let bytesWritten = 0;
    const abort = async () => {
      const closing = file;
      file = undefined;
      await closing?.close().catch(() => {});
      await unlink(temporary).catch(() => {});
    };
    const opened = (): FileHandle => {
      if (file === undefined) throw new MillraceError('internal', `writer of ${key} has ended`);
      options.signal?.throwIfAborted();
      return file;
    };
    return {
      get bytesWritten() {
        return bytesWritten;
      },
      write: (bytes) =>
        guarded(key, async () => {
          await opened().writeFile(bytes);
          bytesWritten += bytes.length;
        }),
      complete: () =>
        guarded(key, async () => {
          const done = opened();
          try {
            await done.sync();
            const { mtimeMs } = await done.stat();
            await done.close();
            file = undefined;
            if (options.ifAbsent) {
              await link(temporary, path).catch(withoutLinks);
              await unlink(temporary);
            } else {
              await rename(temporary, path);
            }
            await syncFolder(dirname(path));
            return { key, sizeBytes: bytesWritten, modifiedMs: mtimeMs };
          } catch (error) {
            await abort();
            throw error;
          }
        }),
      abort,
    };
  }

  const remove = (key: string): Promise<void> =>
    guarded(key, async () => {
      await unlink(pathOf(key)).catch(absent);
    });

  return {
    uri,
    get: (key, range, signal, into) =>
      guarded(key, async () => {
        signal?.throwIfAborted();
        const file = await open(pathOf(key), 'r');
        try {
          return await readRange(file, range ?? { start: 0, end: Number.POSITIVE_INFINITY }, into);
        } finally {
          await file.close();
        }
      }),
    head: (key) =>
      guarded(key, async () => {
        const found = await stat(pathOf(key)).catch(absent);
        return found?.isFile() ? { key, sizeBytes: found.size, modifiedMs: found.mtimeMs } : undefined;
      }),
    async put(key, bytes, options) {
      const out = await writer(key, options);
      try {
        await out.write(bytes);
      } catch (error) {
        await out.abort();
        throw error;
      }
      return out.complete();
    },
    writer,
    delete: remove,
    deleteMany: (keys) => deleteEach(keys, remove),
    list: (prefix, options = {}) => walk(rootPath, prefix, options),
    folders: (signal) => guarded('', () => stampedFolders(rootPath, signal)),
    async discardUnfinished(prefix, touchedBeforeMs) {
      let count = 0;
      for await (const { key, modifiedMs, isTemporary } of walk(rootPath, prefix, { temporary: true })) {
        if (!isTemporary || modifiedMs >= touchedBeforeMs) continue;
        await guarded(key, () => unlink(join(rootPath, key)).catch(absent));
        count++;
      }
      return count;
    },
    uriOf: (key) => `${uri}/${checkKey(key)}`,
    keyOf(objectUri) {
      const path = filePath(objectUri) ?? objectUri;
      if (!path.startsWith(rootPath + sep)) {
        throw new MillraceError('invalid', `${objectUri} does not lie under ${uri}`, { code: 'key-invalid' });
      }
      return checkKey(
        path
          .slice(rootPath.length + 1)
          .split(sep)
          .join('/'),
      );
    },
  };
}

/** The path in file:///path or file:/path; undefined for anything else. */
export function filePath(uri: string): string | undefined {
  return /^file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
}

async function readRange(file: FileHandle, { start, end }: ByteRange, into?: Uint8Array): Promise<Uint8Array> {
  // Reading past the end gives what is there, as object stores do.
  const size = (await file.stat()).size;
  const length = Math.max(0, Math.min(end, size) - start);
  const bytes = into !== undefined && into.length >= length ? into : Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, start + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** New folders are durable, too: each is named in the one above. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let folder = dirname(path); folder.length >= dirname(first).length; folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === dirname(folder)) break;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const STATS_AT_A_TIME = 64;

/** Of thousands of folders: asked synchronously, some at a time, since each then takes a quarter of the CPU time. */
async function stampedFolders(rootPath: string, signal?: AbortSignal): Promise<{ name: string; stamp: number }[]> {
  const entries = (await readdir(rootPath, { withFileTypes: true }).catch(absent)) ?? [];
  const folders: { name: string; stamp: number }[] = [];
  for (const [i, entry] of entries.entries()) {
    if (i % STATS_AT_A_TIME === STATS_AT_A_TIME - 1) await nextTurn();
    signal?.throwIfAborted();
    const found = entry.isDirectory() ? statSync(join(rootPath, entry.name), { throwIfNoEntry: false }) : undefined;
    if (found !== undefined) folders.push({ name: entry.name, stamp: found.mtimeMs });
  }
  return folders;
}

interface WalkOptions {
  startAfter?: string;
  signal?: AbortSignal;
  /** Also temporary files. */
  temporary?: boolean;
}

async function* walk(
  rootPath: string,
  prefix: string,
  options: WalkOptions,
  // Only the folder that the prefix names can hold matches.
  folder: string = prefix.slice(0, prefix.lastIndexOf('/') + 1),
): AsyncIterable<ObjectInfo & { isTemporary: boolean }> {
  if (folder !== '') checkKey(folder.slice(0, -1));
  const { startAfter = '', signal, temporary = false } = options;
  const entries: { key: string; isFolder: boolean; isTemporary: boolean }[] = [];
  try {
    for await (const entry of await opendir(join(rootPath, folder))) {
      const isTemporary = entry.name.startsWith(TEMPORARY_PREFIX);
      if (isTemporary && !temporary) continue;
      // Key order: a folder sorts as its name with "/".
      const isFolder = entry.isDirectory();
      entries.push({ key: folder + entry.name + (isFolder ? '/' : ''), isFolder, isTemporary });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw withPlace(error, rootPath, folder);
  }
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  const wanted = ({ key, isFolder, isTemporary }: (typeof entries)[number]) =>
    !isFolder && (isTemporary || key.startsWith(prefix)) && key > startAfter;
  for (let i = 0; i < entries.length; i += STATS_AT_A_TIME) {
    signal?.throwIfAborted();
    const some = entries.slice(i, i + STATS_AT_A_TIME);
    // Together: one after another, each would wait for a busy process's turn.
    const stats = await Promise.all(
      some.map((entry) => (wanted(entry) ? stat(join(rootPath, entry.key)).catch(absent) : undefined)),
    );
    for (const [at, { key, isFolder, isTemporary }] of some.entries()) {
      const found = stats[at];
      if (isFolder && (key.startsWith(prefix) || prefix.startsWith(key))) yield* walk(rootPath, prefix, options, key);
      else if (found?.isFile()) yield { key, sizeBytes: found.size, modifiedMs: found.mtimeMs, isTemporary };
    }
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}

/** Of link: what file systems without hard links answer. */
function withoutLinks(error: NodeJS.ErrnoException): never {
  if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(error.code ?? '')) throw error;
  throw new MillraceError(
    'unsupported',
    `the file system has no hard links (${error.code}), which put-if-absent rests on: keep tables on another one`,
    { code: 'no-hard-links', cause: error },
  );
}

function withPlace(error: unknown, rootPath: string, key: string): MillraceError {
  const known = toMillraceError(error);
  const text =
    known.code === 'ENOSPC' || known.code === 'EDQUOT'
      ? `${known.code === 'ENOSPC' ? 'no space left' : 'the quota is used up'} (${known.code}) to write ${key} under ${rootPath}: free some, the write is tried again`
      : `${key} under ${rootPath}: ${known.message}`;
  return new MillraceError(known.kind, text, {
    code: known.code,
    retryable: known.retryable,
    cause: error,
    context: { ...known.context, key },
  });
}
