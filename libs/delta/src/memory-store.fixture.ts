import { MillraceError } from '@millrace/base';
import type { ObjectStore, PutOptions } from '@millrace/object-store';

export interface MemoryStore extends ObjectStore {
  objects: Map<string, { bytes: Uint8Array; modifiedMs: number }>;
  /** The time that is written beside new objects. */
  nowMs: number;
  /** Awaited before every call takes effect: interleavings and failures of tests. */
  before: (call: 'get' | 'head' | 'put' | 'delete' | 'list', key: string) => Promise<void>;
}

/** An object store in memory, with put-if-absent. */
export function memoryStore(): MemoryStore {
  const objects: MemoryStore['objects'] = new Map();
  const info = (key: string) => {
    const found = objects.get(key);
    return found && { key, sizeBytes: found.bytes.length, modifiedMs: found.modifiedMs };
  };
  const put = async (key: string, bytes: Uint8Array, options: PutOptions = {}) => {
    await store.before('put', key);
    if (options.ifAbsent && objects.has(key)) throw new MillraceError('already-exists', `${key} is there`);
    objects.set(key, { bytes: Uint8Array.from(bytes), modifiedMs: store.nowMs });
    return info(key)!;
  };
  const store: MemoryStore = {
    uri: 'memory://table',
    objects,
    nowMs: 0,
    before: async () => {},
    async get(key, range) {
      await store.before('get', key);
      const found = objects.get(key);
      if (found === undefined) throw new MillraceError('not-found', `${key} is not there`);
      return range === undefined ? found.bytes : found.bytes.slice(range.start, range.end);
    },
    async head(key) {
      await store.before('head', key);
      return info(key);
    },
    put,
    async writer(key, options) {
      const parts: Uint8Array[] = [];
      return {
        get bytesWritten() {
          return parts.reduce((total, part) => total + part.length, 0);
        },
        async write(bytes) {
          parts.push(Uint8Array.from(bytes));
        },
        complete: () => put(key, Buffer.concat(parts), options),
        async abort() {},
      };
    },
    async delete(key) {
      await store.before('delete', key);
      objects.delete(key);
    },
    async deleteMany(keys) {
      for (const key of keys) await store.delete(key);
    },
    async *list(prefix, { startAfter = '' } = {}) {
      await store.before('list', prefix);
      for (const key of [...objects.keys()].sort()) if (key.startsWith(prefix) && key > startAfter) yield info(key)!;
    },
    discardUnfinished: async () => 0,
    uriOf: (key) => `${store.uri}/${key}`,
    keyOf: (uri) => uri.slice(store.uri.length + 1),
  };
  return store;
}
