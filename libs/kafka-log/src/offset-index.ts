import { readInt32, readInt64, writeInt32, writeInt64 } from './integers.ts';
import { type LogPlace, logError } from './place.ts';

// .index: { relative offset i32 | position i32 }*; the offset is the last of the batch that starts at the position.
// .timeindex: { largest timestamp so far i64 | relative offset of that record i32 }*.
// Both ascend and may be empty. Kafka preallocates: a file that was not trimmed ends in zeros.

export interface OffsetIndexEntry {
  /** Absolute. */
  offset: number;
  /** Byte position in the segment. */
  position: number;
}

export interface TimeIndexEntry {
  timestampMs: number;
  /** Absolute. */
  offset: number;
}

/** Entries of an `.index` file, up to the first that does not ascend (what an untrimmed file ends with). */
export function decodeOffsetIndex(bytes: Uint8Array, baseOffset: number, place: LogPlace): OffsetIndexEntry[] {
  checkSize(bytes, 8, place);
  const entries: OffsetIndexEntry[] = [];
  for (let at = 0; at < bytes.length; at += 8) {
    const entry = { offset: baseOffset + readInt32(bytes, at), position: readInt32(bytes, at + 4) };
    const last = entries.at(-1);
    if (entry.offset < baseOffset || entry.position < 0) break;
    if (last !== undefined && (entry.offset <= last.offset || entry.position <= last.position)) break;
    entries.push(entry);
  }
  return entries;
}

export function encodeOffsetIndex(entries: readonly OffsetIndexEntry[], baseOffset: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(entries.length * 8);
  entries.forEach(({ offset, position }, i) => {
    writeInt32(out, i * 8, offset - baseOffset);
    writeInt32(out, i * 8 + 4, position);
  });
  return out;
}

/** Entries of a `.timeindex` file, up to the first that does not ascend. */
export function decodeTimeIndex(bytes: Uint8Array, baseOffset: number, place: LogPlace): TimeIndexEntry[] {
  checkSize(bytes, 12, place);
  const entries: TimeIndexEntry[] = [];
  for (let at = 0; at < bytes.length; at += 12) {
    const entry = { timestampMs: readInt64(bytes, at), offset: baseOffset + readInt32(bytes, at + 8) };
    const last = entries.at(-1);
    if (last !== undefined && (entry.timestampMs <= last.timestampMs || entry.offset < last.offset)) break;
    entries.push(entry);
  }
  return entries;
}

export function encodeTimeIndex(entries: readonly TimeIndexEntry[], baseOffset: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(entries.length * 12);
  entries.forEach(({ timestampMs, offset }, i) => {
    writeInt64(out, i * 12, timestampMs);
    writeInt32(out, i * 12 + 8, offset - baseOffset);
  });
  return out;
}

function checkSize(bytes: Uint8Array, entryBytes: number, place: LogPlace): void {
  if (bytes.length % entryBytes !== 0) {
    throw logError(
      'index-malformed',
      `an index of ${bytes.length} bytes is no whole number of ${entryBytes}-byte entries`,
      place,
      bytes.length,
    );
  }
}
