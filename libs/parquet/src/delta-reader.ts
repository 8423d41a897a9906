import { corrupt } from './corrupt.ts';
import { unpackIndices } from './hybrid-reader.ts';

/** Where a decoder stands in a page. */
interface Cursor {
  bytes: Uint8Array;
  at: number;
}

/**
 * DELTA_BINARY_PACKED (Encodings.md), numbers of one or two 32-bit words:
 *
 *     header    := varint(block size) varint(miniblocks of a block) varint(count) zigzag(first value)
 *     block     := zigzag(min delta) width:u8* miniblock*        deltas less the least one, packed LSB first
 *
 * Fills `out` with `count` numbers, `width` words each, wrapped as the encoding says, and moves the cursor to what follows.
 */
export function readDeltaBinary(
  cursor: Cursor,
  width: 1 | 2,
  count: number,
  out: Int32Array = new Int32Array(count * width),
): Int32Array {
  const blockSize = varint(cursor);
  const miniblocks = varint(cursor);
  const stated = varint(cursor);
  const miniblockSize = blockSize / miniblocks;
  if (stated !== count) throw corrupt(`${stated} delta-encoded values where there must be ${count}`);
  if (blockSize > 1 << 20 || !Number.isInteger(miniblockSize) || miniblockSize === 0 || miniblockSize % 8 !== 0)
    throw corrupt(`delta blocks of ${blockSize} values in ${miniblocks} parts`);
  zigzag64(cursor);
  if (count === 0) return out;
  out[0] = wordLow;
  if (width === 2) out[1] = wordHigh;
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
      const values = Math.min(miniblockSize, count - read);
      skip(cursor, (miniblockSize * bits) / 8);
      if (bits <= 32) {
        if (narrow.length < values) narrow = new Int32Array(miniblockSize);
        const { buffer, byteOffset, byteLength } = cursor.bytes;
        unpackIndices(new DataView(buffer, byteOffset, byteLength), begin, bits, narrow, 0, values);
        if (width === 1) addWords(out, read, values, minLow);
        else addNarrow(out, read, values, minLow, minHigh);
      } else addWide(cursor.bytes, begin, bits, out, width, read, values, minLow, minHigh);
      read += values;
    }
  }
  return out;
}

/** The deltas of a miniblock, less the least one, where 32 bits hold them. */
let narrow = new Int32Array(128);

function addWords(out: Int32Array, from: number, count: number, least: number): void {
  let value = out[from - 1]!;
  for (let i = 0; i < count; i++) {
    value = (value + least + narrow[i]!) | 0;
    out[from + i] = value;
  }
}

/** 64-bit sums by halves: a carry when the unsigned low halves run over. */
function addNarrow(out: Int32Array, from: number, count: number, leastLow: number, leastHigh: number): void {
  let low = out[2 * from - 2]!;
  let high = out[2 * from - 1]!;
  for (let i = 0; i < count; i++) {
    const deltaLow = (narrow[i]! + leastLow) | 0;
    const sum = (low + deltaLow) | 0;
    high += leastHigh + (deltaLow >>> 0 < leastLow >>> 0 ? 1 : 0) + (sum >>> 0 < deltaLow >>> 0 ? 1 : 0);
    high |= 0;
    low = sum;
    out[2 * (from + i)] = low;
    out[2 * (from + i) + 1] = high;
  }
}

function addWide(
  bytes: Uint8Array,
  at: number,
  bits: number,
  out: Int32Array,
  width: 1 | 2,
  from: number,
  count: number,
  leastLow: number,
  leastHigh: number,
): void {
  let low = out[width * (from - 1)]!;
  let high = width === 2 ? out[2 * from - 1]! : 0;
  for (let i = 0; i < count; i++) {
    readBits(bytes, at, i * bits, bits);
    const deltaLow = (wordLow + leastLow) | 0;
    const deltaHigh = (wordHigh + leastHigh + (deltaLow >>> 0 < leastLow >>> 0 ? 1 : 0)) | 0;
    const sum = (low + deltaLow) | 0;
    high = (high + deltaHigh + (sum >>> 0 < deltaLow >>> 0 ? 1 : 0)) | 0;
    low = sum;
    out[width * (from + i)] = low;
    if (width === 2) out[2 * (from + i) + 1] = high;
  }
}

/** DELTA_LENGTH_BYTE_ARRAY: the lengths as DELTA_BINARY_PACKED, then all the bytes. */
export function readDeltaLengths(cursor: Cursor, count: number, starts: Int32Array, lengths: Int32Array): void {
  readDeltaBinary(cursor, 1, count, lengths);
  for (let i = 0; i < count; i++) {
    starts[i] = cursor.at;
    if (lengths[i]! < 0) throw corrupt('a string of negative length');
    skip(cursor, lengths[i]!);
  }
}

/**
 * DELTA_BYTE_ARRAY: lengths of the prefixes shared with the value before, then the suffixes as DELTA_LENGTH_BYTE_ARRAY.
 */
export function readDeltaBytes(
  cursor: Cursor,
  count: number,
  mostBytes: number,
  starts: Int32Array = new Int32Array(count),
  lengths: Int32Array = new Int32Array(count),
): { source: Uint8Array; starts: Int32Array; lengths: Int32Array } {
  const prefixes = new Int32Array(count);
  const suffixes = new Int32Array(count);
  const suffixStarts = new Int32Array(count);
  readDeltaBinary(cursor, 1, count, prefixes);
  readDeltaLengths(cursor, count, suffixStarts, suffixes);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const prefix = prefixes[i]!;
    if (prefix < 0 || prefix > (i === 0 ? 0 : lengths[i - 1]!)) throw corrupt(`a prefix of ${prefix} bytes`);
    starts[i] = total;
    lengths[i] = prefix + suffixes[i]!;
    total += lengths[i]!;
    if (total > mostBytes) throw corrupt(`a page of strings of more than ${mostBytes} bytes`);
  }
  const source = new Uint8Array(total);
  const { bytes } = cursor;
  for (let i = 0; i < count; i++) {
    const start = starts[i]!;
    const prefix = prefixes[i]!;
    const before = i === 0 ? 0 : starts[i - 1]!;
    copyBytes(source, before, source, start, prefix);
    copyBytes(bytes, suffixStarts[i]!, source, start + prefix, suffixes[i]!);
  }
  return { source, starts, lengths };
}

/** Few bytes one by one: the engine's own copy costs more than they do. */
function copyBytes(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  if (length > 64) to.set(from.subarray(start, start + length), at);
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

/** BYTE_STREAM_SPLIT: the first byte of each value, then the second of each, and so on. */
export function readByteStreams(bytes: Uint8Array, at: number, count: number, width: number): Uint8Array {
  const out = new Uint8Array(count * width);
  for (let n = 0; n < width; n++) {
    for (let i = 0, from = at + n * count, to = n; i < count; i++, to += width) out[to] = bytes[from + i]!;
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
