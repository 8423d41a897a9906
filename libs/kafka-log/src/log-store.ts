/** What this package needs of an object store; @millrace/object-store's ObjectStore is one. */
export interface LogStore {
  get(key: string, range?: { start: number; end: number }, signal?: AbortSignal): Promise<Uint8Array>;
  list(
    prefix: string,
    options?: { startAfter?: string; signal?: AbortSignal },
  ): AsyncIterable<{ key: string; sizeBytes: number; modifiedMs: number }>;
}
