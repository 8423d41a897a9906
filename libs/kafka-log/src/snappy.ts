import { compressSync } from 'snappy';
import { type Arena, reserve } from './arena.ts';
import { readInt32, writeInt32 } from './integers.ts';

// Snappy in Kafka comes in two forms. Java writes xerial's stream (snappy-java, SnappyOutputStream):
//   82 53 4e 41 50 50 59 00 | version i32 | compatible version i32 | { size i32 big endian | raw Snappy block }*
// others (librdkafka among them) one raw Snappy block (google/snappy, format_description.txt):
//   uncompressed length uvarint | elements
// An element's tag ends in 00: literal of (tag >> 2) + 1 bytes (60 to 63: the length - 1 follows in 1 to 4 bytes);
//   01: copy of ((tag >> 2) & 7) + 4 from distance (tag >> 5) << 8 | u8; 10, 11: copy of (tag >> 2) + 1 from u16, u32.
// Decoded here, into memory that is used again: the native decoder, as fast, takes new memory for every block.

const XERIAL = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const BLOCK_BYTES = 32 << 10;

/** Appends the content to the arena, at most `maxBytes`. Throws a plain Error that says what is wrong. */
export function decompressSnappy(source: Uint8Array, arena: Arena, maxBytes: number): void {
  if (!(source.length >= 16 && XERIAL.every((byte, i) => source[i] === byte))) {
    appendBlock(source, arena, maxBytes);
    return;
  }
  const limit = arena.length + maxBytes;
  for (let at = 16; at < source.length; ) {
    const size = at + 4 > source.length ? -1 : readInt32(source, at);
    at += 4;
    if (size < 0 || at + size > source.length) throw new Error('a Snappy block that is cut off');
    appendBlock(source.subarray(at, at + size), arena, limit - arena.length);
    at += size;
  }
}

function appendBlock(block: Uint8Array, arena: Arena, maxBytes: number): void {
  let length = 0;
  let at = 0;
  for (let scale = 1; ; scale *= 128) {
    if (at === 5 || at >= block.length) throw new Error('a Snappy block without a length');
    const byte = block[at++]!;
    length += (byte & 0x7f) * scale;
    if (byte < 128) break;
  }
  if (length > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
  // A copy element makes at most 64 bytes of 3: what claims more is refused before memory is taken for it.
  if (length > block.length * 22 + 64) throw new Error('a Snappy block whose length can not be true');
  reserve(arena, length);
  decodeElements(block, at, arena.bytes, arena.length, arena.length + length);
  arena.length += length;
}

/** Decodes the elements of a block from `at` on to out[first, end), exactly. */
function decodeElements(block: Uint8Array, at: number, out: Uint8Array, first: number, end: number): void {
  const stop = block.length;
  let position = first;
  while (at < stop) {
    const tag = block[at++]!;
    let length = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      if (length > 60) {
        const bytes = length - 60;
        length = 1;
        for (let i = 0; i < bytes; i++) length += (block[at++] ?? 0) * 2 ** (8 * i);
      }
      if (length > stop - at || length > end - position) throw new Error('Snappy literals that reach too far');
      if (length > 24) {
        out.set(block.subarray(at, at + length), position);
        at += length;
        position += length;
      } else {
        for (const literalEnd = at + length; at < literalEnd; ) out[position++] = block[at++]!;
      }
      continue;
    }
    let distance: number;
    if ((tag & 3) === 1) {
      length = ((tag >> 2) & 7) + 4;
      distance = ((tag >> 5) << 8) | block[at]!;
      at += 1;
    } else if ((tag & 3) === 2) {
      distance = block[at]! | (block[at + 1]! << 8);
      at += 2;
    } else {
      distance = (block[at]! | (block[at + 1]! << 8) | (block[at + 2]! << 16) | (block[at + 3]! << 24)) >>> 0;
      at += 4;
    }
    let from = position - distance;
    if (at > stop || distance === 0 || from < first || length > end - position) {
      throw new Error('a Snappy copy that reaches too far');
    }
    for (const copyEnd = position + length; position < copyEnd; ) out[position++] = out[from++]!;
  }
  if (position !== end) throw new Error('a Snappy block that is shorter than it says');
}

/** xerial's stream with blocks of 32 KB, as the Java client writes it. */
export function compressSnappy(source: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array([...XERIAL, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let start = 0; start < source.length; start += BLOCK_BYTES) {
    const block = compressSync(source.subarray(start, start + BLOCK_BYTES));
    const size = new Uint8Array(4);
    writeInt32(size, 0, block.length);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}
