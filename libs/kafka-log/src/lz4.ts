import { type Arena, reserve } from './arena.ts';
import { xxh32 } from './xxh32.ts';

// LZ4 frame (lz4 project, doc/lz4_Frame_format.md) as Kafka uses it; integers are little endian:
//
//   magic u32 0x184D2204 | FLG u8 | BD u8 | [content size u64] | [dictionary id u32] | HC u8 = xxh32(FLG..) >> 8
//   { block size u32 (high bit: stored) | bytes | [xxh32 u32] }* | end mark u32 0 | [content xxh32 u32]
//
// FLG: bits 6-7 version 1, 5 independent blocks, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary id.
// BD: bits 4-6 largest block: 4 = 64 KB, 5 = 256 KB, 6 = 1 MB, 7 = 4 MB.
//
// Block (doc/lz4_Block_format.md): { token (literals << 4 | match - 4) | [more literals] | literals | distance u16 |
// [more match] }*, the last sequence ends after its literals. A length nibble of 15 goes on in bytes until one is < 255.

// Decoded here, into memory that is used again: lz4-napi takes new memory for each batch, and 1.6 to 2.3 times as long.

const MAGIC = 0x184d2204;
const BLOCK_BYTES = 64 << 10;
/** What is longer is copied by the engine: a call is dearer than some words. */
const MOST_IN_WORDS = 96;

const readUInt32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

function writeUInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/**
 * Appends the content of one LZ4 frame to the arena, at most `maxBytes`. Block and content checksums are passed over:
 * the batch's CRC32C has covered these bytes. Throws a plain Error that says what is wrong.
 */
export function decompressLz4(source: Uint8Array, arena: Arena, maxBytes: number): void {
  if (source.length < 11 || readUInt32(source, 0) !== MAGIC) throw new Error('no LZ4 frame');
  const flags = source[4]!;
  const blockCode = (source[5]! >> 4) & 7;
  if (flags >> 6 !== 1 || blockCode < 4) throw new Error('an LZ4 frame descriptor that is not of version 1');
  if (flags & 1) throw new Error('an LZ4 frame with a dictionary');
  const headerEnd = 6 + (flags & 8 ? 8 : 0);
  if (headerEnd >= source.length) throw new Error('an LZ4 frame cut off in its header');
  if (((xxh32(source.subarray(4, headerEnd)) >> 8) & 0xff) !== source[headerEnd]) {
    throw new Error('an LZ4 frame whose header checksum is wrong');
  }
  const maxBlock = 1 << (8 + 2 * blockCode);
  const checksumBytes = flags & 16 ? 4 : 0;
  const frameStart = arena.length;
  let at = headerEnd + 1;
  for (;;) {
    if (at + 4 > source.length) throw new Error('an LZ4 frame without its end mark');
    const size = readUInt32(source, at);
    at += 4;
    if (size === 0) return;
    const length = size & 0x7fffffff;
    const end = at + length;
    if (length > maxBlock || end + checksumBytes > source.length) throw new Error('an LZ4 block that is too long');
    reserve(arena, maxBlock);
    if (size >>> 31) {
      arena.bytes.set(source.subarray(at, end), arena.length);
      arena.length += length;
    } else {
      const first = flags & 32 ? arena.length : frameStart;
      arena.length = decodeBlock(source, at, end, arena.bytes, arena.length, arena.length + maxBlock, first);
    }
    if (arena.length - frameStart > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    at = end + checksumBytes;
  }
}

/**
 * Decodes source[at, end) to out[position, limit), and may write on some bytes behind; matches reach back to `first` at
 * the most. Returns the end.
 */
function decodeBlock(
  source: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  position: number,
  limit: number,
  first: number,
): number {
  const from = viewOf(source);
  const to = viewOf(out);
  while (at < end) {
    const token = source[at++]!;
    let length = token >> 4;
    if (length === 15) {
      let more = 255;
      while (more === 255 && at < end) length += more = source[at++]!;
    }
    if (at + length > end || position + length > limit) throw new Error('LZ4 literals that reach too far');
    if (length > MOST_IN_WORDS || at + length + 3 > source.length) out.set(source.subarray(at, at + length), position);
    else copyWords(from, at, to, position, length);
    at += length;
    position += length;
    if (at === end) return position;
    if (at + 2 > end) throw new Error('an LZ4 block cut off in a match');
    const distance = source[at]! | (source[at + 1]! << 8);
    at += 2;
    length = token & 15;
    if (length === 15) {
      let more = 255;
      while (more === 255 && at < end) length += more = source[at++]!;
    }
    length += 4;
    const match = position - distance;
    if (distance === 0 || match < first || position + length > limit)
      throw new Error('an LZ4 match that reaches too far');
    if (distance < 4) for (let i = 0; i < length; i++) out[position + i] = out[match + i]!;
    else if (length > MOST_IN_WORDS && distance >= length) out.copyWithin(position, match, match + length);
    else copyWords(to, match, to, position, length);
    position += length;
  }
  return position;
}

// Copies `length` bytes four at a time, up to three too many: the views hold them. To itself, from four or more back, it
// repeats what it has just written.
function copyWords(from: DataView, at: number, to: DataView, position: number, length: number): void {
  for (const end = at + length; at < end; at += 4, position += 4) to.setInt32(position, from.getInt32(at, true), true);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** One LZ4 frame as Kafka's Java client writes it: independent blocks of 64 KB, no checksums but the header's. */
export function compressLz4(source: Uint8Array): Uint8Array {
  const blocks = Math.ceil(source.length / BLOCK_BYTES);
  const out = new Uint8Array(7 + blocks * (4 + BLOCK_BYTES) + 4);
  writeUInt32(out, 0, MAGIC);
  out[4] = 0x60;
  out[5] = 0x40;
  out[6] = xxh32(out.subarray(4, 6)) >> 8;
  const scratch = new Uint8Array(BLOCK_BYTES + BLOCK_BYTES / 255 + 16);
  let at = 7;
  for (let start = 0; start < source.length; start += BLOCK_BYTES) {
    const block = source.subarray(start, Math.min(start + BLOCK_BYTES, source.length));
    const size = encodeBlock(block, scratch);
    const stored = size >= block.length;
    writeUInt32(out, at, stored ? (block.length | 0x80000000) >>> 0 : size);
    out.set(stored ? block : scratch.subarray(0, size), at + 4);
    at += 4 + (stored ? block.length : size);
  }
  writeUInt32(out, at, 0);
  return out.subarray(0, at + 4);
}

/** Greedy, one candidate a hash. The last 5 bytes are literals and no match starts in the last 12, as the format asks. */
function encodeBlock(source: Uint8Array, out: Uint8Array): number {
  const table = new Int32Array(1 << 13).fill(-1);
  const matchLimit = source.length - 5;
  let at = 0;
  let literals = 0;
  let position = 0;
  const lengthBytes = (length: number) => {
    let rest = length - 15;
    for (; rest >= 255; rest -= 255) out[position++] = 255;
    out[position++] = rest;
  };
  const sequence = (literalEnd: number, distance: number, match: number) => {
    const length = literalEnd - literals;
    out[position++] = (Math.min(length, 15) << 4) | (match === 0 ? 0 : Math.min(match - 4, 15));
    if (length >= 15) lengthBytes(length);
    out.set(source.subarray(literals, literalEnd), position);
    position += length;
    if (match === 0) return;
    out[position++] = distance;
    out[position++] = distance >> 8;
    if (match - 4 >= 15) lengthBytes(match - 4);
  };
  while (at < source.length - 12) {
    const word = readUInt32(source, at);
    const slot = Math.imul(word, 0x9e3779b1) >>> 19;
    const candidate = table[slot]!;
    table[slot] = at;
    if (candidate < 0 || readUInt32(source, candidate) !== word) {
      at++;
      continue;
    }
    let match = 4;
    while (at + match < matchLimit && source[candidate + match] === source[at + match]) match++;
    sequence(at, at - candidate, match);
    at += match;
    literals = at;
  }
  sequence(source.length, 0, 0);
  return position;
}
