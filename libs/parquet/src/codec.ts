import { gzipSync } from 'node:zlib';
import { compressSync as snappyCompress } from 'snappy';
import { CODEC } from './format.ts';
import { compressLz4Block } from './lz4-compress.ts';
import { compressZstd } from './zstd-compress.ts';

export type CodecName = 'zstd' | 'snappy' | 'gzip' | 'lz4_raw' | 'none';

export const CODEC_OF: Record<CodecName, number> = {
  zstd: CODEC.ZSTD,
  snappy: CODEC.SNAPPY,
  gzip: CODEC.GZIP,
  lz4_raw: CODEC.LZ4_RAW,
  none: CODEC.UNCOMPRESSED,
};

/**
 * Compresses one page; what comes out is valid until the next call. zstd and gzip at level 1 where none is given: zstd's
 * own 3 is half as fast for a tenth less.
 */
export function compressPage(codec: CodecName, page: Uint8Array, level = 1): Uint8Array {
  switch (codec) {
    case 'zstd':
      return compressZstd(page, level);
    case 'snappy':
      return snappyCompress(page as Buffer);
    case 'gzip':
      return gzipSync(page, { level });
    case 'lz4_raw':
      return compressLz4Block(page);
    case 'none':
      return page;
  }
}
