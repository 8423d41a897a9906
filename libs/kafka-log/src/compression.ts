import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Arena, append } from './arena.ts';
import { inflateInto } from './inflate.ts';
import { compressLz4, decompressLz4 } from './lz4.ts';
import type { CompressionCodec } from './record-batch.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';

/** Appends what `source` holds to the arena: at most `maxBytes`. Throws a plain Error that says what is wrong. */
export function decompressInto(codec: CompressionCodec, source: Uint8Array, arena: Arena, maxBytes: number): void {
  if (codec === 'lz4') decompressLz4(source, arena, maxBytes);
  else if (codec === 'snappy') decompressSnappy(source, arena, maxBytes);
  else if (codec === 'none') append(arena, source);
  else inflateInto(codec, source, arena, maxBytes);
}

/** Compresses in the form that Kafka's Java client writes. */
export function compress(codec: CompressionCodec, source: Uint8Array): Uint8Array {
  switch (codec) {
    case 'none':
      return source;
    case 'gzip':
      return gzipSync(source);
    case 'snappy':
      return compressSnappy(source);
    case 'lz4':
      return compressLz4(source);
    case 'zstd':
      return zstdCompressSync(source);
  }
}
