import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { _NapiBindings as zstd } from '@cloudpss/zstd/napi';
import { type Arena, append } from './arena.ts';
import { compressLz4, decompressLz4 } from './lz4.ts';
import type { CompressionCodec } from './record-batch.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';

/** Appends what `source` holds to the arena: at most `maxBytes`. Throws a plain Error that says what is wrong. */
export function decompressInto(codec: CompressionCodec, source: Uint8Array, arena: Arena, maxBytes: number): void {
  if (codec === 'lz4') decompressLz4(source, arena, maxBytes);
  else if (codec === 'snappy') decompressSnappy(source, arena, maxBytes);
  else append(arena, codec === 'none' ? source : inflate(codec, source, maxBytes));
}

function inflate(codec: 'gzip' | 'zstd', source: Uint8Array, maxBytes: number): Uint8Array {
  // The zstd package's own `decompress` is this call with a bound of 1 GB.
  if (codec === 'zstd') return zstd.decompress(asBuffer(source), maxBytes);
  return gunzipSync(source, { maxOutputLength: maxBytes, chunkSize: gzipChunk(source, maxBytes) });
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

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** One output chunk of the right size is faster than many; the trailer's size is believed as far as deflate can reach (1,032 to 1). */
function gzipChunk(source: Uint8Array, maxBytes: number): number {
  const claimed = source.length < 18 ? 0 : asBuffer(source).readUInt32LE(source.length - 4);
  return Math.max(4096, Math.min(claimed, source.length * 1032, maxBytes));
}
