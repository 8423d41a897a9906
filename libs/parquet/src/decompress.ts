import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { _NapiBindings as zstd } from '@cloudpss/zstd/napi';
import { uncompressSync as snappyDecompress } from 'snappy';
import { corrupt, unsupported } from './corrupt.ts';
import { CODEC } from './format.ts';
import { decompressHadoopLz4, decompressLz4Block } from './lz4-block.ts';

/** Decompresses one page whose header promises `size` bytes: never more than these are allocated. */
export function decompressPage(codec: number, page: Uint8Array, size: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = decompress(codec, page, size);
  } catch (thrown) {
    if ((thrown as { code?: string }).code === 'parquet-unsupported') throw thrown;
    throw corrupt(`a page can't be decompressed: ${(thrown as Error).message}`);
  }
  if (bytes.length !== size) throw corrupt(`a page of ${size} bytes decompressed to ${bytes.length}`);
  return bytes;
}

function decompress(codec: number, page: Uint8Array, size: number): Uint8Array {
  switch (codec) {
    case CODEC.UNCOMPRESSED:
      return page;
    case CODEC.SNAPPY:
      if (snappySize(page) !== size) throw new Error('snappy holds another size');
      return snappyDecompress(page, { asBuffer: true }) as Buffer;
    case CODEC.GZIP:
      return gunzipSync(page, { maxOutputLength: Math.max(1, size) });
    case CODEC.ZSTD:
      // The native one is nearly twice as fast, but needs a size in the frame; its bound is exclusive.
      return size > 0 && zstdFrameSize(page) === size
        ? zstd.decompress(Buffer.from(page.buffer, page.byteOffset, page.byteLength), size + 1)
        : zstdDecompressSync(page, { maxOutputLength: Math.max(1, size) });
    case CODEC.BROTLI:
      return brotliDecompressSync(page, { maxOutputLength: Math.max(1, size) });
    case CODEC.LZ4_RAW:
      return decompressLz4Block(page, size);
    case CODEC.LZ4:
      return decompressHadoopLz4(page, size);
    default:
      throw unsupported(`compression codec ${codec} is not one of none, snappy, gzip, brotli, zstd, lz4 and lz4_raw`);
  }
}

/** The varint at the begin of a snappy block. */
function snappySize(block: Uint8Array): number {
  let size = 0;
  for (let i = 0; i < 5 && i < block.length; i++) {
    size += (block[i]! & 127) * 128 ** i;
    if (block[i]! < 128) return size;
  }
  return -1;
}

/** The content size that a zstd frame states (RFC 8878, 3.1.1.1); -1 when it states none. */
function zstdFrameSize(frame: Uint8Array): number {
  if (frame.length < 10) return -1;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== 0xfd2fb528) return -1;
  const descriptor = frame[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const width = descriptor >> 6;
  if (width === 0) return singleSegment ? frame[at]! : -1;
  if (width === 1) return at + 2 <= frame.length ? view.getUint16(at, true) + 256 : -1;
  return width === 2 && at + 4 <= frame.length ? view.getUint32(at, true) : -1;
}
