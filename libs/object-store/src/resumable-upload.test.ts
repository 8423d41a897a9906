import { MillraceError } from '@millrace/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toGcsError } from './gcs-error.ts';
import { resumableUpload, type SessionRequest } from './resumable-upload.ts';
import { storeRequests } from './store-requests.ts';

const UNIT = 262_144;

/**
 * An upload session as Google documents it ("Perform resumable uploads"), with faults: it keeps whole units of what came
 * before a break, loses answers, answers 503, or says nothing. fake-gcs-server does none of this.
 */
function session(next: () => number) {
  let kept = Buffer.alloc(0);
  let resource: object | undefined;
  const answerOf = (total: string) => {
    if (resource === undefined && total === String(kept.length)) resource = { size: String(kept.length) };
    if (resource !== undefined) return { status: 200, range: undefined, resource };
    const range = kept.length === 0 ? undefined : `bytes=0-${kept.length - 1}`;
    return { status: 308, range, resource: '' };
  };
  const send: SessionRequest = async (method, headers, body, { signal }) => {
    expect(method).toBe('PUT');
    const [, start, end, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers['content-range']!)!;
    const fault = next();
    if (fault === 1) return { status: 503, range: undefined, resource: { error: { message: 'later' } } };
    if (fault === 2) throw new TypeError('fetch failed');
    if (fault === 3) return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    if (resource === undefined && start !== undefined) {
      expect(Number(start)).toBe(kept.length);
      expect(Number(end) - Number(start) + 1).toBe(body.length);
      if (total === '*') expect(body.length % UNIT).toBe(0);
      // A break after some of it; or all of it, and nobody hears of that.
      const whole = fault !== 4;
      const came = whole ? body.length : Math.floor(body.length / 2 / UNIT) * UNIT;
      kept = Buffer.concat([kept, body.subarray(0, came)]);
      if (!whole) throw new TypeError('fetch failed');
    }
    const answer = answerOf(total!);
    if (fault === 5) throw new TypeError('fetch failed');
    return answer;
  };
  return { send, kept: () => kept, isDone: () => resource !== undefined };
}

const requests = () => storeRequests(100, toGcsError);

test('chunks that break, hang or lose their answer are taken up where the session stands', async () => {
  const faults = fc.array(fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 4, 5, 3), { minLength: 40, maxLength: 40 });
  const sizes = fc.tuple(fc.nat(3), fc.nat(UNIT * 3));
  await fc.assert(
    fc.asyncProperty(sizes, faults, async ([chunks, last], sequence) => {
      let at = 0;
      const service = session(() => sequence[at++] ?? 0);
      const whole = Buffer.alloc(chunks * 2 * UNIT + last);
      for (let i = 0; i < whole.length; i += 1_000) whole.writeUInt8((i / 1_000) & 255, i);
      const upload = resumableUpload('gs://b/k', requests(), service.send);
      for (let i = 0; i < chunks; i++) await upload.add(whole.subarray(i * 2 * UNIT, (i + 1) * 2 * UNIT));
      if (last > 0) await upload.add(whole.subarray(chunks * 2 * UNIT));
      expect(service.isDone() && whole.length > 0 && last === 0).toBe(false);
      expect(await upload.complete()).toEqual({ size: String(whole.length) });
      expect(service.kept().equals(whole)).toBe(true);
    }),
    { numRuns: 8, endOnFailure: true },
  );
});

test('a session that the service has forgotten, or whose condition fails, is told as such', async () => {
  const always = (status: number) => async () => ({ status, range: undefined, resource: '' });
  const complete = (status: number) => resumableUpload('gs://b/k', requests(), always(status)).complete();
  await expect(complete(410)).rejects.toMatchObject({ kind: 'unavailable', code: 'upload-lost' });
  await expect(complete(412)).rejects.toMatchObject({ kind: 'already-exists' });
  await expect(complete(403)).rejects.toBeInstanceOf(MillraceError);
});
