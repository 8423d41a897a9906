import { MillraceError } from '@millrace/base';
import type { ObjectInfo, ObjectStore, ObjectWriter, PutOptions } from '@millrace/object-store';
import { currentProcess, noAnswer, type World, world } from './world.ts';

interface StoredObject {
  bytes: Uint8Array;
  modifiedMs: number;
}

/** Told of every change before it takes effect: the invariants of files. */
export interface StoreObserver {
  put(uri: string, bytes: Uint8Array, replaced: boolean): void;
  delete(uri: string): void;
}

/** All objects of the simulated object store, by URI, and what they were a little earlier. */
export interface Objects {
  current: Map<string, StoredObject>;
  observer: StoreObserver;
  /** The newest changes, for listings that are behind. */
  history: { at: number; uri: string; before: StoredObject | undefined }[];
}

export const createObjects = (observer: StoreObserver): Objects => ({ current: new Map(), observer, history: [] });

/** A store of the cloud kind: strong for single objects, atomic put-if-absent; calls fail, lose answers and arrive late. */
const LATE_MS = 6_000;
const STALE_MS = 3_000;

function change(objects: Objects, uri: string, object: StoredObject | undefined): void {
  const before = objects.current.get(uri);
  if (object === undefined && before === undefined) return;
  if (object === undefined) objects.observer.delete(uri);
  else objects.observer.put(uri, object.bytes, before !== undefined);
  objects.history.push({ at: world().now, uri, before });
  if (object === undefined) objects.current.delete(uri);
  else objects.current.set(uri, object);
}

export function putObject(objects: Objects, uri: string, bytes: Uint8Array, ifAbsent = false): void {
  if (ifAbsent && objects.current.has(uri)) {
    throw new MillraceError('already-exists', `${uri} is there`, { context: { key: uri } });
  }
  change(objects, uri, { bytes, modifiedMs: world().now });
}

export const deleteObject = (objects: Objects, uri: string): void => change(objects, uri, undefined);

/** Keys under a prefix in order, as they are or were `agoMs` ago. */
function listed(objects: Objects, prefix: string, agoMs: number): [string, StoredObject][] {
  let view = objects.current;
  if (agoMs > 0) {
    view = new Map(view);
    for (let i = objects.history.length - 1; i >= 0; i--) {
      const { at, uri, before } = objects.history[i]!;
      if (at < world().now - agoMs) break;
      if (before === undefined) view.delete(uri);
      else view.set(uri, before);
    }
  }
  return [...view].filter(([uri]) => uri.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function reading<T>(what: string, signal: AbortSignal | undefined, effect: (w: World) => T): Promise<T> {
  const w = world();
  signal?.throwIfAborted();
  await w.wait(w.between(1, 15));
  signal?.throwIfAborted();
  if (w.faults.strikes('store-error')) throw noAnswer(what);
  return effect(w);
}

/** A change takes effect whether or not its caller lives to hear of it. */
function writing(what: string, signal: AbortSignal | undefined, effect: () => void): Promise<void> {
  const w = world();
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const process = currentProcess();
    w.trace?.(`${process?.name}: ${what}`);
    const answer = (error?: unknown) =>
      w.after(w.between(1, 10), process, () => (error === undefined ? resolve() : reject(error)));
    w.after(w.between(1, 25), undefined, () => {
      if (w.faults.strikes('store-error')) return void answer(noAnswer(what));
      if (w.faults.strikes('store-late-write')) {
        answer(noAnswer(what));
        w.trace?.(`${process?.name}: ${what} comes late`);
        w.after(w.faults.detail('store-late-write') * LATE_MS, undefined, () => attempt(effect));
        return;
      }
      let error = attempt(effect);
      if (w.faults.strikes('store-repeated-write')) error = attempt(effect);
      answer(w.faults.strikes('store-lost-answer') ? noAnswer(what) : error);
    });
  });
}

function attempt(effect: () => void): unknown {
  try {
    effect();
    return undefined;
  } catch (error) {
    return error;
  }
}

const ENTRIES_A_PAGE = 100;

/** The store at a URI, as `openStore` gives it. */
export function simulatedStore(objects: Objects, root: string): ObjectStore {
  const uri = root.replace(/\/+$/, '');
  const uriOf = (key: string) => `${uri}/${key}`;
  const keyOf = (full: string) => {
    if (!full.startsWith(`${uri}/`)) throw new MillraceError('invalid', `${full} does not lie under ${uri}`);
    return full.slice(uri.length + 1);
  };
  const infoOf = (full: string, { bytes, modifiedMs }: StoredObject): ObjectInfo => ({
    key: keyOf(full),
    sizeBytes: bytes.length,
    modifiedMs,
  });

  async function put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const copy = Uint8Array.from(bytes);
    await writing(`put ${key}`, options.signal, () => putObject(objects, uriOf(key), copy, options.ifAbsent));
    return { key, sizeBytes: copy.length, modifiedMs: world().now };
  }

  const remove = (key: string, signal?: AbortSignal) =>
    writing(`delete ${key}`, signal, () => deleteObject(objects, uriOf(key)));

  return {
    uri,
    get: (key, range, signal) =>
      reading(`get ${key}`, signal, () => {
        const found = objects.current.get(uriOf(key));
        if (found === undefined) throw new MillraceError('not-found', `${uriOf(key)} is not there`);
        return range === undefined ? found.bytes : found.bytes.subarray(range.start, range.end);
      }),
    head: (key, signal) =>
      reading(`head ${key}`, signal, () => {
        const found = objects.current.get(uriOf(key));
        return found && infoOf(uriOf(key), found);
      }),
    put,
    async writer(key, options = {}): Promise<ObjectWriter> {
      const parts: Uint8Array[] = [];
      let bytesWritten = 0;
      return {
        get bytesWritten() {
          return bytesWritten;
        },
        async write(bytes) {
          options.signal?.throwIfAborted();
          parts.push(Uint8Array.from(bytes));
          bytesWritten += bytes.length;
        },
        complete: () => put(key, Buffer.concat(parts), options),
        async abort() {},
      };
    },
    delete: remove,
    async deleteMany(keys, signal) {
      // One call that the store may carry out in part, as S3's DeleteObjects.
      await Promise.all(keys.map((key) => remove(key, signal)));
    },
    async *list(prefix, { startAfter = '', signal } = {}) {
      let after = uriOf(startAfter);
      for (;;) {
        const page = await reading(`list ${prefix}`, signal, (w) => {
          const agoMs = w.faults.strikes('store-stale-list') ? w.faults.detail('store-stale-list') * STALE_MS : 0;
          return listed(objects, uriOf(prefix), agoMs).filter(([full]) => startAfter === '' || full > after);
        });
        const shown = page.slice(0, ENTRIES_A_PAGE);
        for (const [full, object] of shown) yield infoOf(full, object);
        if (page.length <= shown.length) return;
        startAfter = after = shown.at(-1)![0];
      }
    },
    discardUnfinished: async () => 0,
    uriOf,
    keyOf,
  };
}
