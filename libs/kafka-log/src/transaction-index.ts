import { readInt16, readInt64, writeInt16, writeInt64 } from './integers.ts';
import { type LogPlace, logError } from './place.ts';
import type { AbortedRange } from './record-index.ts';

// .txnindex: { version i16 0 | producerId i64 | firstOffset i64 | lastOffset i64 | lastStableOffset i64 }*
// An aborted transaction stands in the index of the segment that holds its marker.

const ENTRY_BYTES = 34;

export interface TransactionIndexEntry extends AbortedRange {
  lastStableOffset: number;
}

/** Entries of a `.txnindex` file. Errors: index-malformed. */
export function decodeTransactionIndex(bytes: Uint8Array, place: LogPlace): TransactionIndexEntry[] {
  if (bytes.length % ENTRY_BYTES !== 0) {
    throw logError(
      'index-malformed',
      `a transaction index of ${bytes.length} bytes is no whole number of ${ENTRY_BYTES}-byte entries`,
      place,
      bytes.length,
    );
  }
  return Array.from({ length: bytes.length / ENTRY_BYTES }, (_, i) => {
    const at = i * ENTRY_BYTES;
    if (readInt16(bytes, at) !== 0) {
      throw logError('index-malformed', `a transaction index entry of version ${readInt16(bytes, at)}`, place, at);
    }
    return {
      producerId: readInt64(bytes, at + 2),
      firstOffset: readInt64(bytes, at + 10),
      lastOffset: readInt64(bytes, at + 18),
      lastStableOffset: readInt64(bytes, at + 26),
    };
  });
}

export function encodeTransactionIndex(entries: readonly TransactionIndexEntry[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(entries.length * ENTRY_BYTES);
  entries.forEach((entry, i) => {
    const at = i * ENTRY_BYTES;
    writeInt16(out, at, 0);
    writeInt64(out, at + 2, entry.producerId);
    writeInt64(out, at + 10, entry.firstOffset);
    writeInt64(out, at + 18, entry.lastOffset);
    writeInt64(out, at + 26, entry.lastStableOffset);
  });
  return out;
}

/** Those of the entries that touch offsets [startOffset, endOffset). */
export const abortedWithin = <T extends AbortedRange>(
  entries: readonly T[],
  startOffset: number,
  endOffset: number,
): T[] => entries.filter((entry) => entry.firstOffset < endOffset && entry.lastOffset >= startOffset);
