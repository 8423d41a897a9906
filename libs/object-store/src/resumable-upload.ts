import { MillraceError } from '@millrace/base';
import type { Attempt, StoreRequests } from './store-requests.ts';

/** All chunks but the last are whole numbers of this. */
const CHUNK_UNIT = 262_144;

/** One request to the session's URI. */
export type SessionRequest = (
  method: 'PUT' | 'DELETE',
  headers: Record<string, string>,
  body: Uint8Array,
  attempt: Attempt,
) => Promise<{ status: number; range: string | undefined; resource: unknown }>;

/** An upload session of Google Cloud Storage ("Perform resumable uploads", multiple chunk upload). */
export interface ResumableUpload {
  /** Chunks come in order; one that is not a whole number of 256 KiB is the last, and goes with `complete`. */
  add(bytes: Uint8Array): Promise<void>;
  /** Answers with the object's resource. */
  complete(): Promise<unknown>;
  /** Ends the session; nothing stays. */
  cancel(): Promise<void>;
}

/**
 * A chunk that failed is sent again from where the session says that it stands. Throws `unavailable` with the code
 * "upload-lost" when the service has forgotten the session: the object must be written anew.
 */
export function resumableUpload(
  place: string,
  requests: StoreRequests,
  send: SessionRequest,
  signal?: AbortSignal,
): ResumableUpload {
  let sent = 0;
  let rest: Uint8Array = new Uint8Array(0);

  async function upload(bytes: Uint8Array, isLast: boolean): Promise<unknown> {
    const start = sent;
    const total = isLast ? start + bytes.length : '*';
    let isFirst = true;
    const answer = await requests(place, { signal, sizeBytes: bytes.length }, async (attempt) => {
      let from = start;
      if (!isFirst) {
        const stands = await send('PUT', { 'content-range': `bytes */${total}` }, new Uint8Array(0), attempt);
        if (stands.status !== 308) return finished(stands);
        from = standing(stands.range, start, start + bytes.length);
      }
      isFirst = false;
      const body = bytes.subarray(from - start);
      const range = body.length === 0 ? '*' : `${from}-${from + body.length - 1}`;
      if (body.length === 0 && !isLast) return undefined;
      const found = await send('PUT', { 'content-range': `bytes ${range}/${total}` }, body, attempt);
      if (found.status !== 308) return finished(found);
      const now = standing(found.range, start, start + bytes.length);
      if (isLast || now < start + bytes.length)
        throw behind(`the session took ${now} of ${start + bytes.length} bytes`);
      return undefined;
    });
    sent = start + bytes.length;
    return answer;
  }

  function finished({ status, resource }: { status: number; resource: unknown }): unknown {
    if (status === 200 || status === 201) return resource;
    if (status === 404 || status === 410)
      throw new MillraceError('unavailable', 'the service knows the upload no more', { code: 'upload-lost' });
    const said = (resource as { error?: { message?: string } } | undefined)?.error?.message ?? `HTTP status ${status}`;
    throw Object.assign(new Error(said), { code: status });
  }

  return {
    async add(bytes) {
      if (rest.length > 0) throw new MillraceError('internal', `${place}: a chunk after the last`);
      if (bytes.length % CHUNK_UNIT === 0) await upload(bytes, false);
      else rest = bytes;
    },
    complete: () => upload(rest, true),
    // Not by the caller's signal: that is often the reason. 499 says that it worked.
    cancel: () => requests(place, {}, async (attempt) => void (await send('DELETE', {}, new Uint8Array(0), attempt))),
  };
}

/** From "bytes=0-N", what the session has taken: N + 1, which lies within the chunk under way. */
function standing(range: string | undefined, start: number, end: number): number {
  const last = /^bytes=0-(\d+)$/.exec(range ?? '')?.[1];
  const found = last === undefined ? 0 : Number(last) + 1;
  if (found < start || found > end)
    throw new MillraceError('corrupt', `the upload session stands at byte ${found}, outside of ${start} to ${end}`);
  return found;
}

const behind = (text: string): MillraceError => new MillraceError('unavailable', text, { code: 'upload-behind' });
