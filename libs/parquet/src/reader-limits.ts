import { MillraceError } from '@millrace/base';
import type { CodecName } from './codec.ts';
import { PHYSICAL } from './format.ts';
import { type EncodingName, PHYSICAL_OF } from './value-encoding.ts';

/** What of a Parquet file not every reader reads. */
export interface ReaderLimits {
  /** By encoding: the physical types that are read in it. */
  encodings: Readonly<Record<EncodingName, readonly number[]>>;
  pageVersions: readonly (1 | 2)[];
  codecs: readonly CodecName[];
}

const NONE: readonly number[] = [];
const FLOATS = [PHYSICAL.FLOAT, PHYSICAL.DOUBLE];

/** What every reader in use reads, and all that is assumed of those that were not tried. */
const PORTABLE: ReaderLimits = {
  encodings: {
    ...PHYSICAL_OF,
    rle: NONE,
    delta_binary_packed: NONE,
    delta_length_byte_array: NONE,
    delta_byte_array: NONE,
    byte_stream_split: NONE,
  },
  pageVersions: [1],
  codecs: ['zstd', 'snappy', 'gzip', 'none'],
};

const ALL: ReaderLimits = {
  encodings: PHYSICAL_OF,
  pageVersions: [1, 2],
  codecs: ['zstd', 'snappy', 'gzip', 'lz4_raw', 'none'],
};

/** Each read files of this writer with every value equal, nulls and lists among them; the rest it refused. */
const TRIED: Readonly<Record<string, ReaderLimits>> = {
  // pyarrow 26.0, delta-rs 1.6 (arrow-rs, DataFusion).
  pyarrow: ALL,
  'delta-rs': ALL,
  datafusion: ALL,
  // Spark 4.1 reads Delta tables' files with its own vectorised reader, which takes all but byte streams, and Iceberg's
  // with Iceberg's (1.12), which takes all but RLE.
  spark: { ...ALL, encodings: { ...PHYSICAL_OF, rle: NONE, byte_stream_split: NONE } },
  // DuckDB 1.5.5.
  duckdb: { ...ALL, encodings: { ...PHYSICAL_OF, byte_stream_split: FLOATS } },
  // Polars 2.1.
  polars: {
    ...ALL,
    encodings: {
      ...PHYSICAL_OF,
      delta_byte_array: [PHYSICAL.BYTE_ARRAY],
      byte_stream_split: [...FLOATS, PHYSICAL.INT32, PHYSICAL.INT64],
    },
  },
};

/**
 * What all of these readers read; of none, what all that were tried do. One that was not tried is taken to read what every
 * one does: PLAIN, dictionaries, V1 pages, and zstd, snappy, gzip or no codec.
 */
export function readerLimits(readers: readonly string[]): ReaderLimits {
  const limits = (readers.length > 0 ? readers : Object.keys(TRIED)).map((reader) => TRIED[reader] ?? PORTABLE);
  return limits.reduce((both, one) => ({
    encodings: { ...both.encodings, ...shared(both, one) },
    pageVersions: both.pageVersions.filter((version) => one.pageVersions.includes(version)),
    codecs: both.codecs.filter((codec) => one.codecs.includes(codec)),
  }));
}

function shared(a: ReaderLimits, b: ReaderLimits): Partial<ReaderLimits['encodings']> {
  const names = Object.keys(PHYSICAL_OF) as EncodingName[];
  return Object.fromEntries(
    names.map((name) => [name, a.encodings[name].filter((type) => b.encodings[name].includes(type))]),
  );
}

/** Throws `unsupported` when one of the readers can't read what a file is to hold. */
export function refuseUnread(
  readers: readonly string[],
  wanted: {
    codec: CodecName;
    pageVersion: 1 | 2;
    encodings: readonly { column: string; encoding: EncodingName; physical: number }[];
  },
): void {
  for (const reader of readers) {
    const limits = TRIED[reader] ?? PORTABLE;
    const unread = wanted.encodings.find(({ encoding, physical }) => !limits.encodings[encoding].includes(physical));
    const what =
      unread !== undefined
        ? `the encoding ${unread.encoding} of column "${unread.column}"`
        : !limits.pageVersions.includes(wanted.pageVersion)
          ? `data pages of version ${wanted.pageVersion}`
          : !limits.codecs.includes(wanted.codec)
            ? `the codec ${wanted.codec}`
            : undefined;
    if (what === undefined) continue;
    throw new MillraceError(
      'unsupported',
      `The reader "${reader}" ${reader in TRIED ? 'cannot read' : 'is not known to read'} ${what}: change that, or take the reader out of the list`,
      { code: 'parquet-reader', context: { reader } },
    );
  }
}
