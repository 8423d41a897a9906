import { corrupt } from './corrupt.ts';

/** Where a decoder stands in a page. */
export interface Cursor {
  bytes: Uint8Array;
  at: number;
}

/**
 * DELTA_BINARY_PACKED (Encodings.md), numbers of one or two 32-bit words:
 *
 *     header    := varint(block size) varint(miniblocks of a block) varint(count) zigzag(first value)
 *     block     := zigzag(min delta) width:u8* miniblock*        deltas less the least one, packed LSB first
 *
 * Returns `width` words a value, wrapped as the encoding says, and moves the cursor to what follows.
 */
export function readDeltaBinary(cursor: Cursor, width: 1 | 2, most: number): Int32Array {
  const blockSize = varint(cursor);
  const miniblocks = varint(cursor);
  const count = varint(cursor);
  const miniblockSize = blockSize / miniblocks;
  if (count > most) throw corrupt(`${count} delta-encoded values where ${most} fit`);
  if (blockSize > 1 << 20 || !Number.isInteger(miniblockSize) || miniblockSize === 0 || miniblockSize % 8 !== 0)
    throw corrupt(`delta blocks of ${blockSize} values in ${miniblocks} parts`);
  const out = new Int32Array(count * width);
  zigzag64(cursor);
  let low = wordLow;
  let high = wordHigh;
  const put = (i: number) => {
    out[i * width] = low;
    if (width === 2) out[2 * i + 1] = high;
  };
  if (count > 0) put(0);
  for (let read = 1; read < count; ) {
    zigzag64(cursor);
    const minLow = wordLow;
    const minHigh = wordHigh;
    const widthsAt = cursor.at;
    skip(cursor, miniblocks);
    for (let n = 0; n < miniblocks && read < count; n++) {
      const bits = cursor.bytes[widthsAt + n]!;
      if (bits > 64) throw corrupt(`a delta of ${bits} bits`);
      const begin = cursor.at;
      skip(cursor, (miniblockSize * bits) / 8);
      for (let i = 0; i < miniblockSize && read < count; i++, read++) {
        readBits(cursor.bytes, begin, i * bits, bits);
        // 64-bit sums by halves: a carry when the unsigned low halves run over.
        const deltaLow = (wordLow + minLow) | 0;
        const deltaHigh = (wordHigh + minHigh + (deltaLow >>> 0 < minLow >>> 0 ? 1 : 0)) | 0;
        const sum = (low + deltaLow) | 0;
        high = (high + deltaHigh + (sum >>> 0 < deltaLow >>> 0 ? 1 : 0)) | 0;
        low = sum;
        put(read);
      }
    }
  }
  return out;
}

/** DELTA_LENGTH_BYTE_ARRAY: the lengths as DELTA_BINARY_PACKED, then all the bytes. */
export function readDeltaLengths(cursor: Cursor, most: number): { starts: Int32Array; lengths: Int32Array } {
  const lengths = readDeltaBinary(cursor, 1, most);
  const starts = new Int32Array(lengths.length);
  for (let i = 0; i < lengths.length; i++) {
    starts[i] = cursor.at;
    if (lengths[i]! < 0) throw corrupt('a string of negative length');
    skip(cursor, lengths[i]!);
  }
  return { starts, lengths };
}

/** DELTA_BYTE_ARRAY: lengths of the prefixes shared with the value before, then the suffixes as DELTA_LENGTH_BYTE_ARRAY. */
export function readDeltaBytes(
  cursor: Cursor,
  most: number,
  mostBytes: number,
): { source: Uint8Array; starts: Int32Array; lengths: Int32Array } {
  const prefixes = readDeltaBinary(cursor, 1, most);
  const suffixes = readDeltaLengths(cursor, most);
  const count = prefixes.length;
  if (suffixes.lengths.length !== count) throw corrupt(`${count} prefixes for ${suffixes.lengths.length} suffixes`);
  const starts = new Int32Array(count);
  const lengths = new Int32Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const prefix = prefixes[i]!;
    if (prefix < 0 || prefix > (i === 0 ? 0 : lengths[i - 1]!)) throw corrupt(`a prefix of ${prefix} bytes`);
    starts[i] = total;
    lengths[i] = prefix + suffixes.lengths[i]!;
    total += lengths[i]!;
    if (total > mostBytes) throw corrupt(`a page of strings of more than ${mostBytes} bytes`);
  }
  const source = new Uint8Array(total);
  for (let i = 0; i < count; i++) {
    const start = starts[i]!;
    const prefix = prefixes[i]!;
    if (prefix > 0) source.copyWithin(start, starts[i - 1]!, starts[i - 1]! + prefix);
    const from = suffixes.starts[i]!;
    source.set(cursor.bytes.subarray(from, from + suffixes.lengths[i]!), start + prefix);
  }
  return { source, starts, lengths };
}

/** BYTE_STREAM_SPLIT: the first byte of each value, then the second of each, and so on. */
export function readByteStreams(bytes: Uint8Array, at: number, count: number, width: number): Uint8Array {
  const out = new Uint8Array(count * width);
  for (let n = 0; n < width; n++) {
    for (let i = 0; i < count; i++) out[i * width + n] = bytes[at + n * count + i]!;
  }
  return out;
}

// The halves of the 64-bit number read last: no object a value.
let wordLow = 0;
let wordHigh = 0;

function skip(cursor: Cursor, bytes: number): void {
  if (bytes > cursor.bytes.length - cursor.at) throw corrupt('delta-encoded values are cut short');
  cursor.at += bytes;
}

function varint(cursor: Cursor): number {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const at = cursor.at;
    skip(cursor, 1);
    value += (cursor.bytes[at]! & 127) * 128 ** i;
    if (cursor.bytes[at]! < 128) return value;
  }
  throw corrupt('a delta header is no number of 32 bits');
}

function zigzag64(cursor: Cursor): void {
  let low = 0;
  let high = 0;
  for (let shift = 0; ; shift += 7) {
    if (shift > 63) throw corrupt('a delta is no number of 64 bits');
    const at = cursor.at;
    skip(cursor, 1);
    const part = cursor.bytes[at]! & 127;
    if (shift < 32) low |= part << shift;
    if (shift > 25) high |= shift < 32 ? part >>> (32 - shift) : part << (shift - 32);
    if (cursor.bytes[at]! < 128) break;
  }
  const sign = -(low & 1);
  wordLow = ((low >>> 1) | (high << 31)) ^ sign;
  wordHigh = (high >>> 1) ^ sign;
}

/** Reads `count` bits, at most 64, that begin `bit` bits after byte `at`. */
function readBits(bytes: Uint8Array, at: number, bit: number, count: number): void {
  wordLow = wordHigh = 0;
  let place = at + Math.floor(bit / 8);
  let offset = bit % 8;
  for (let read = 0; read < count; ) {
    const take = Math.min(8 - offset, count - read);
    const part = (bytes[place]! >> offset) & ((1 << take) - 1);
    if (read < 32) {
      wordLow |= part << read;
      if (read + take > 32) wordHigh |= part >>> (32 - read);
    } else wordHigh |= part << (read - 32);
    read += take;
    offset = 0;
    place++;
  }
}
