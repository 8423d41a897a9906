import { MillraceError, toMillraceError } from '@millrace/base';
import type { ObjectInfo, ObjectWriter } from './object-store.ts';

/** How a store takes an object in parts. Part numbers start at 1. */
export interface PartUpload<Part> {
  key: string;
  /** An object that is no larger than one part. */
  putWhole(bytes: Uint8Array): Promise<ObjectInfo>;
  begin(): Promise<string>;
  upload(id: string, number: number, bytes: Uint8Array): Promise<Part>;
  complete(id: string, parts: Part[]): Promise<void>;
  abort(id: string): Promise<void>;
  /** Parts under way while the next fills: memory is so many and one. Default 2; 1 where they must come in order. */
  uploads?: number;
}

/** The stores' own least is 5 MB (S3) and less; 10,000 parts are the most. */
const PART_BYTES = 8_388_608;
/** Every so many parts they double, so that no size of object needs more than 10,000. */
const PARTS_A_SIZE = 1_000;
const UPLOADS = 2;

/**
 * An ObjectWriter over a multipart upload. `write` copies, and waits only while as many parts as may be are on their way: uploads
 * overlap with what makes the next bytes. A part that failed fails the next `write`, or `complete`.
 */
export function partWriter<Part>(store: PartUpload<Part>): ObjectWriter {
  let partBytes = PART_BYTES;
  let part = new Uint8Array(0);
  let filled = 0;
  let bytesWritten = 0;
  let id: Promise<string> | undefined;
  let ended = false;
  let failure: MillraceError | undefined;
  const parts: Promise<Part | undefined>[] = [];
  const underWay = new Set<Promise<unknown>>();

  function check(): void {
    if (failure !== undefined) throw failure;
    if (ended) throw new MillraceError('internal', `writer of ${store.key} has ended`);
  }

  async function send(bytes: Uint8Array): Promise<void> {
    while (underWay.size >= (store.uploads ?? UPLOADS)) await Promise.race(underWay);
    check();
    id ??= store.begin();
    const number = parts.length + 1;
    const uploading = id
      .then((upload) => store.upload(upload, number, bytes))
      .catch((error) => {
        failure ??= toMillraceError(error);
        return undefined;
      });
    parts.push(uploading);
    underWay.add(uploading);
    void uploading.then(() => underWay.delete(uploading));
    if (parts.length % PARTS_A_SIZE === 0) partBytes *= 2;
  }

  return {
    get bytesWritten() {
      return bytesWritten;
    },
    async write(bytes) {
      check();
      for (let from = 0; from < bytes.length; ) {
        if (filled === partBytes) {
          const full = part;
          part = new Uint8Array(0);
          filled = 0;
          await send(full);
        }
        const take = Math.min(bytes.length - from, partBytes - filled);
        if (filled + take > part.length) {
          // Small objects stay small: a part's memory grows as it fills.
          const grown = new Uint8Array(Math.min(partBytes, Math.max(filled + take, 2 * part.length, 65_536)));
          grown.set(part.subarray(0, filled));
          part = grown;
        }
        part.set(bytes.subarray(from, from + take), filled);
        filled += take;
        from += take;
      }
      bytesWritten += bytes.length;
    },
    async complete() {
      check();
      const last = part.subarray(0, filled);
      if (id === undefined) {
        const info = await store.putWhole(last);
        ended = true;
        return info;
      }
      if (filled > 0) await send(last);
      const done = await Promise.all(parts);
      check();
      await store.complete(await id, done as Part[]);
      ended = true;
      return { key: store.key, sizeBytes: bytesWritten, modifiedMs: Date.now() };
    },
    async abort() {
      if (ended) return;
      ended = true;
      part = new Uint8Array(0);
      if (id === undefined) return;
      // A part that arrives after the abort would stay behind.
      await Promise.all(parts);
      const upload = await id.catch(() => undefined);
      if (upload !== undefined) await store.abort(upload);
    },
  };
}
