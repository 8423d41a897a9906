import { gzipSync } from 'node:zlib';
import { compressSync as snappyCompress } from 'snappy';
import { CODEC } from './format.ts';
import { compressLz4Block } from './lz4-compress.ts';
import { compressZstd } from './zstd-compress.ts';
import { suitedZstd } from './zstd-level.ts';

export type CodecName = 'zstd' | 'snappy' | 'gzip' | 'lz4_raw' | 'none';

export const CODEC_OF: Record<CodecName, number> = {
  zstd: CODEC.ZSTD,
  snappy: CODEC.SNAPPY,
  gzip: CODEC.GZIP,
  lz4_raw: CODEC.LZ4_RAW,
  none: CODEC.UNCOMPRESSED,
};

export type CompressPage = (page: Uint8Array) => Uint8Array;

/**
 * What compresses the pages of one column, one after the other; each is valid until the next call, of any column. Where no
 * level is given, gzip has level 1, and zstd takes the level that suits the column.
 */
export function pageCompressor(codec: CodecName, level: number | undefined): CompressPage | undefined {
  if (codec === 'none') return undefined;
  if (codec === 'zstd' && level === undefined) return suitedZstd();
  return (page) => compressAs(codec, page, level ?? 1);
}

function compressAs(codec: Exclude<CodecName, 'none'>, page: Uint8Array, level: number): Uint8Array {
  switch (codec) {
    case 'zstd':
      return compressZstd(page, level);
    case 'snappy':
      return snappyCompress(page as Buffer);
    case 'gzip':
      return gzipSync(page, { level });
    case 'lz4_raw':
      return compressLz4Block(page);
  }
}
