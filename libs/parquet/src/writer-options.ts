import { MillraceError } from '@millrace/base';
import { type BloomFilterOptions, createBloomFilter, hasBloomFilter } from './bloom-filter.ts';
import { type CodecName, pageCompressor } from './codec.ts';
import { ColumnWriter } from './column-writer.ts';
import type { Leaf } from './leaf.ts';
import { unsealed } from './module-seal.ts';
import { readerLimits, refuseUnread } from './reader-limits.ts';
import type { SortingColumn } from './sorting.ts';
import { chooseEncoding, defaultEncoding, type EncodingName } from './value-encoding.ts';

export interface ParquetWriterOptions {
  /** Default zstd. */
  codec?: CodecName;
  /** Of zstd (1 to 22) or gzip (0 to 9). Default: 1 for gzip; of zstd 1, or where that is no larger a fast one. */
  codecLevel?: number;
  /** Rows of a row group at the most, default 262,144. */
  rowGroupRows?: number;
  /**
   * Bytes, as they are encoded, at which a row group ends. Bounds the writer's memory: one row group that is being encoded
   * and one that waits for the sink. Default 64 MiB.
   */
  rowGroupBytes?: number;
  /** Rows of a page at the most, default 20,000. */
  pageRows?: number;
  /** Bytes of values at which a page ends, before compression. Default 1 MiB. */
  pageBytes?: number;
  /** Bytes of page indexes that are held for the end of the file; beyond them they go between row groups. Default 4 MiB. */
  indexBytes?: number;
  /** Into the footer, as it is: "iceberg.schema" and the like. */
  keyValueMetadata?: Record<string, string>;
  /** False leaves the field ids out (Delta checkpoints have none). Default true. */
  fieldIds?: boolean;
  /** Version of the data pages. Default 1, which every reader reads. */
  pageVersion?: 1 | 2;
  /** A CRC-32 in every page's header. Default false. */
  pageChecksums?: boolean;
  /**
   * `portable`, the default: dictionaries, else PLAIN. `compact`: what takes no dictionary is written in the delta, RLE
   * and byte-stream encodings, as far as all `readers` read them.
   */
  encodings?: 'portable' | 'compact';
  /** Of single columns, by the path of their leaf in the file: "amount", "items.list.element.sku". */
  columns?: Readonly<Record<string, ColumnOptions>>;
  /** Who is going to read the file (readerLimits): what one of them can't read is refused when the writer is created. */
  readers?: readonly string[];
  /** How the caller has sorted the rows of each row group, the first column first. */
  sortingColumns?: readonly SortingColumn[];
}

export interface ColumnOptions {
  encoding?: EncodingName;
  /** Default false. */
  bloomFilter?: boolean | BloomFilterOptions;
}

/**
 * The writers of a file's columns. Throws `invalid` for an option that names no column or does not fit its type, and
 * `unsupported` for one that a named reader can't read.
 */
export function createColumnWriters(leaves: Leaf[], options: ParquetWriterOptions): ColumnWriter[] {
  const { codec = 'zstd', codecLevel, pageVersion = 1, pageChecksums = false, columns = {}, readers } = options;
  const { rowGroupRows = 262_144, pageRows = 20_000, pageBytes = 1 << 20 } = options;
  checkLevel(codec, codecLevel);
  const paths = new Set(leaves.map((leaf) => leaf.path.join('.')));
  for (const path of Object.keys(columns)) {
    if (!paths.has(path)) throw unknownColumn(path, [...paths]);
  }
  const encodings = leaves.flatMap(({ path, physical }) => {
    const name = path.join('.');
    const encoding = columns[name]?.encoding;
    return encoding === undefined ? [] : { column: name, encoding, physical };
  });
  if (readers !== undefined) refuseUnread(readers, { codec, pageVersion, encodings });
  const limits = options.encodings === 'compact' ? readerLimits(readers ?? []) : undefined;
  return leaves.map((leaf, column) => {
    const { encoding, bloomFilter = false } = columns[leaf.path.join('.')] ?? {};
    if (bloomFilter !== false && !hasBloomFilter(leaf.physical)) {
      throw new MillraceError('invalid', `Column "${leaf.path.join('.')}" of type boolean can have no Bloom filter`, {
        code: 'parquet-bloom-filter',
      });
    }
    const mostValues = leaf.maxRepetition === 0 ? rowGroupRows : Number.POSITIVE_INFINITY;
    return new ColumnWriter(leaf, {
      codec,
      compress: pageCompressor(codec, codecLevel),
      compressDictionary: pageCompressor(codec, codecLevel ?? 1),
      pageVersion,
      pageChecksums,
      rowGroupRows,
      pageRows,
      pageBytes,
      column,
      seal: unsealed,
      encoding:
        encoding === undefined
          ? defaultEncoding(leaf, (name, physical) => limits?.encodings[name].includes(physical) ?? false)
          : chooseEncoding(leaf, encoding),
      bloomFilter:
        bloomFilter === false
          ? undefined
          : createBloomFilter(leaf, mostValues, bloomFilter === true ? {} : bloomFilter),
    });
  });
}

export function unknownColumn(path: string, paths: string[]): MillraceError {
  return new MillraceError(
    'invalid',
    `The file has no column "${path}": its columns are ${paths.slice(0, 50).join(', ')}${paths.length > 50 ? ', …' : ''}`,
    { code: 'parquet-column' },
  );
}

const LEVELS: Partial<Record<CodecName, [least: number, most: number]>> = { zstd: [1, 22], gzip: [0, 9] };

function checkLevel(codec: CodecName, level: number | undefined): void {
  if (level === undefined) return;
  const [least, most] = LEVELS[codec] ?? [0, -1];
  if (Number.isInteger(level) && level >= least && level <= most) return;
  throw new MillraceError(
    'invalid',
    most < least
      ? `The codec ${codec} has no levels: leave codecLevel out`
      : `codecLevel ${level} is not one of ${codec}'s ${least} to ${most}`,
    { code: 'parquet-codec-level' },
  );
}
