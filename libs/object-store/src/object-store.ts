/** One object's name and size, as a listing gives it. */
export interface ObjectInfo {
  /** Relative to the store's root, with "/" between parts, no leading slash. */
  key: string;
  sizeBytes: number;
  modifiedMs: number;
}

/** Bytes [start, end) of an object. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface PutOptions {
  /** Fails with `already-exists` when the key is there: the atomic put-if-absent that table commits rest on. */
  ifAbsent?: boolean;
  signal?: AbortSignal;
}

/** An object that is written piece by piece and is invisible until `complete`. Memory: one part at a time. */
export interface ObjectWriter {
  readonly bytesWritten: number;
  /** The bytes may be reused once the promise has resolved. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the object visible, durably. */
  complete(): Promise<ObjectInfo>;
  /** Leaves nothing behind. Safe to call after a failed write or complete, and more than once. */
  abort(): Promise<void>;
}

/**
 * Where segments and tables lie. Errors are MillraceErrors: not-found, already-exists, exhausted (disk full),
 * unavailable (worth another try), permission, invalid (a key with "..", a leading slash or a NUL).
 */
export interface ObjectStore {
  /** The URI of the root, without a trailing slash: file:///var/millrace/warehouse, s3://bucket/prefix. */
  readonly uri: string;
  /** `into`: memory that the store may put the bytes in when they fit; where they are, the answer says. */
  get(key: string, range?: ByteRange, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>;
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>;
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<ObjectInfo>;
  writer(key: string, options?: PutOptions): Promise<ObjectWriter>;
  /** No error when it is not there. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
  /** Removes them all, in as few requests as the store allows, several at a time; those that are not there are no error. */
  deleteMany(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Every object whose key starts with `prefix`, in key order (UTF-8 bytes), from after `startAfter`. */
  list(prefix: string, options?: { startAfter?: string; signal?: AbortSignal }): AsyncIterable<ObjectInfo>;
  /**
   * The folders directly below the root, each with a stamp that changes when an object is added to it or taken away.
   * Absent where a store has no such stamps: then only a listing tells what is new.
   */
  folders?(signal?: AbortSignal): Promise<{ name: string; stamp: number }[]>;
  /**
   * Removes what writers under `prefix` that never ended have left (temporary files; in S3, unfinished multipart uploads)
   * when it was last touched before that time. Listings never show it. Returns how many: none where the store itself
   * forgets them, after a week (Google Cloud Storage, Azure).
   */
  discardUnfinished(prefix: string, touchedBeforeMs: number): Promise<number>;
  /** The full URI of a key, as table metadata names it. */
  uriOf(key: string): string;
  /** The key of a full URI under this store's root; an `invalid` error otherwise. */
  keyOf(uri: string): string;
}

/** Resolves when the store answers this process's credentials; what a service's readiness rests on. */
export const askStore = (store: ObjectStore, signal: AbortSignal): Promise<unknown> => store.head('.millrace', signal);
