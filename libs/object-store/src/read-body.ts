import { addAbortSignal, type Readable } from 'node:stream';
import { MillraceError } from '@millrace/base';
import type { ByteRange } from './object-store.ts';
import type { Attempt } from './store-requests.ts';

/**
 * Reads an answer's body, as many bytes as the store has announced (`lengthOf`, asked when the first have come), into
 * `into` when they fit. Throws `unavailable` when fewer or more come, or are announced, than were asked for.
 */
export async function readBody(
  body: Readable,
  lengthOf: () => number | undefined,
  { signal, touch }: Attempt,
  range?: ByteRange,
  into?: Uint8Array,
): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined;
  let filled = 0;
  const announced = (): Uint8Array => {
    const length = lengthOf();
    if (length === undefined || !Number.isSafeInteger(length)) throw cut('the answer names no length');
    if (range !== undefined && length > range.end - range.start)
      throw cut(`${length} bytes came for ${range.end - range.start}`);
    return into !== undefined && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
  };
  for await (const chunk of addAbortSignal(signal, body) as AsyncIterable<Uint8Array>) {
    bytes ??= announced();
    if (filled + chunk.length > bytes.length) throw cut(`more than the announced ${bytes.length} bytes came`);
    bytes.set(chunk, filled);
    filled += chunk.length;
    touch();
  }
  bytes ??= announced();
  if (filled < bytes.length) throw cut(`${filled} of ${bytes.length} bytes came`);
  return bytes;
}

const cut = (text: string): MillraceError => new MillraceError('unavailable', text, { code: 'object-cut' });
