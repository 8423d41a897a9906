import { compressSync, uncompressSync } from 'snappy';
import { type Arena, append } from './arena.ts';
import { readInt32, writeInt32 } from './integers.ts';

// Snappy in Kafka comes in two forms. Java writes xerial's stream (snappy-java, SnappyOutputStream):
//   82 53 4e 41 50 50 59 00 | version i32 | compatible version i32 | { size i32 big endian | raw Snappy block }*
// others (librdkafka among them) one raw Snappy block (google/snappy, format_description.txt):
//   uncompressed length uvarint | elements
// The native decoder is asked for a copy of what it made: its own memory is then free at once and used again, where it
// would else wait for a garbage collection. Measured with 1 M orders in blocks of 32 KB, CPU seconds with all collection:
// 0.27 so, 0.57 without (most of it in the kernel, and 80 MB more), 0.59 decoded in JavaScript into the arena.

const XERIAL = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const BLOCK_BYTES = 32 << 10;
const OPTIONS = { asBuffer: true, copyOutputData: true };

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
  append(arena, uncompressSync(block, OPTIONS) as Buffer);
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
