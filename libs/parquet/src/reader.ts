import { MillraceError, toMillraceError } from '@millrace/base';
import type { ColumnBatch, Vector } from '@millrace/columns';
import type { TableSchema } from '@millrace/schema';
import { assemble } from './assemble.ts';
import { readChunks } from './chunk-ranges.ts';
import { ColumnReader, type LeafRows } from './column-reader.ts';
import { corrupt } from './corrupt.ts';
import { type FileNode, type LeafNode, leavesOf, readFileSchema } from './file-schema.ts';
import { MAGIC } from './format.ts';
import { readFileMetadata } from './metadata-reader.ts';
import { chunkOffset, type FileMetadata, type RowGroupMetadata } from './metadata-writer.ts';
import { adapt, matchField, missing, prune } from './promote.ts';

/** A file's bytes: its size, and bytes [start, end) of it. */
export interface ParquetSource {
  size: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

export interface ParquetFile {
  /** Ids are the file's own; a file without any gets ids in depth-first order, and is matched by name. */
  schema: TableSchema;
  hasFieldIds: boolean;
  rowCount: number;
  rowGroups: { rowCount: number; offset: number; sizeBytes: number }[];
  keyValueMetadata: Record<string, string>;
  createdBy: string;
  /** The rows in their order, in batches of at most `batchRows`. `columns` = ids of top-level fields. */
  read(options?: ReadOptions & { columns?: number[] }): AsyncIterable<ColumnBatch>;
  /**
   * The rows as a table of this schema has them: fields matched by id (by name where the file has none), missing ones
   * null, types promoted as Iceberg allows. An `invalid` error when a column can't be read so.
   */
  readAs(schema: TableSchema, options?: ReadOptions): AsyncIterable<ColumnBatch>;
}

export interface ReadOptions {
  /** Row groups to read, by number. Default: all. */
  rowGroups?: number[];
  /** Default 16,384, fewer where rows are large. */
  batchRows?: number;
}

export interface OpenOptions {
  /** The largest page that is allocated, decompressed. Default 256 MiB. */
  maxPageBytes?: number;
  /** Named in errors. */
  name?: string;
}

const TAIL_BYTES = 64 << 10;
const BATCH_BYTES = 32 << 20;

/**
 * Opens a Parquet file for reading: one read of its tail, a second when the footer is larger than 64 KiB. Reads V1 and
 * V2 pages in every encoding but the obsolete BIT_PACKED, and none, snappy, gzip, zstd and lz4_raw. Throws `corrupt` for
 * bytes that are no Parquet file, `unsupported` for encrypted ones and other codecs.
 */
export async function openParquet(source: ParquetSource, options: OpenOptions = {}): Promise<ParquetFile> {
  const { maxPageBytes = 256 << 20, name } = options;
  const context = name === undefined ? {} : { file: name };
  const metadata = await inContext(context, () => readFooter(source));
  const { schema, fields, leafCount } = await inContext(context, async () => readFileSchema(metadata.elements));
  for (const group of metadata.rowGroups) {
    if (group.chunks.length !== leafCount)
      throw corrupt(`a row group has ${group.chunks.length} columns, the schema ${leafCount}`, context);
  }

  async function* batches(
    nodes: FileNode[],
    { rowGroups, batchRows = 16_384 }: ReadOptions,
    toColumns: (rows: Map<LeafNode, LeafRows>, length: number) => Vector[],
    batchSchema: TableSchema,
  ): AsyncGenerator<ColumnBatch> {
    const leaves = nodes.flatMap(leavesOf);
    for (const index of rowGroups ?? metadata.rowGroups.keys()) {
      const group = metadata.rowGroups[index];
      if (group === undefined) throw new MillraceError('invalid', `The file has no row group ${index}`, { context });
      const readers = await inContext({ ...context, rowGroup: index }, () =>
        openRowGroup(source, group, leaves, maxPageBytes),
      );
      const most = Math.min(batchRows, rowsOfBytes(group, leaves, BATCH_BYTES));
      for (let row = 0; row < group.rowCount; row += most) {
        const length = Math.min(most, group.rowCount - row);
        yield await inContext({ ...context, rowGroup: index, row }, async () => {
          const rows = new Map(readers.map(([leaf, reader]) => [leaf, reader.read(length)]));
          return { schema: batchSchema, length, columns: toColumns(rows, length) };
        });
      }
    }
  }

  return {
    schema,
    hasFieldIds: fields.every((field) => field.hasOwnId),
    rowCount: metadata.rowCount,
    rowGroups: metadata.rowGroups.map((group) => ({
      rowCount: group.rowCount,
      offset: group.chunks[0] === undefined ? 0 : chunkOffset(group.chunks[0]),
      sizeBytes: group.chunks.reduce((total, chunk) => total + chunk.compressedBytes, 0),
    })),
    keyValueMetadata: metadata.keyValueMetadata,
    createdBy: metadata.createdBy,
    read({ columns, ...options } = {}) {
      const wanted = columns === undefined ? fields : fields.filter((field) => columns.includes(field.id));
      if (columns !== undefined && wanted.length !== new Set(columns).size) {
        throw new MillraceError('invalid', `The file has no columns with all of the ids ${columns.join(', ')}`, {
          context,
        });
      }
      const ids = new Set(wanted.map((field) => field.id));
      const picked = { ...schema, fields: schema.fields.filter((field) => ids.has(field.id)) };
      const toColumns = (rows: Map<LeafNode, LeafRows>, length: number) =>
        wanted.map((field) => assemble(field, rows, length));
      return batches(wanted, options, toColumns, picked);
    },
    readAs(wanted, options = {}) {
      const found = wanted.fields.map((field) => {
        const node = matchField(fields, field);
        return node && prune(node, field.type);
      });
      const toColumns = (rows: Map<LeafNode, LeafRows>, length: number) =>
        wanted.fields.map((field, i) => {
          const node = found[i];
          if (node === undefined) return missing(field, length, 0);
          return adapt(assemble(node, rows, length), node, field.type);
        });
      return batches(
        found.filter((node) => node !== undefined),
        options,
        toColumns,
        wanted,
      );
    },
  };
}

/** Whatever hostile bytes lead to is `corrupt`, with the place. */
async function inContext<T>(context: Record<string, string | number>, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (thrown instanceof RangeError) throw corrupt(thrown.message, context);
    throw toMillraceError(thrown, context);
  }
}

async function readFooter(source: ParquetSource): Promise<FileMetadata> {
  const { size } = source;
  if (size < 12) throw corrupt(`${size} bytes are no Parquet file`);
  const tailStart = Math.max(0, size - TAIL_BYTES);
  let tail = await readExactly(source, tailStart, size);
  const magic = String.fromCharCode(...tail.subarray(tail.length - 4));
  if (magic === 'PARE')
    throw new MillraceError('unsupported', 'The Parquet file is encrypted', { code: 'parquet-encrypted' });
  if (!MAGIC.every((byte, i) => tail[tail.length - 4 + i] === byte)) throw corrupt('it does not end in PAR1');
  const length = new DataView(tail.buffer, tail.byteOffset + tail.length - 8, 4).getUint32(0, true);
  if (length > size - 12) throw corrupt(`a footer of ${length} bytes in a file of ${size}`);
  const start = size - 8 - length;
  if (start < tailStart) tail = await readExactly(source, start, size);
  const from = tail.length - 8 - length;
  const metadata = readFileMetadata(tail.subarray(from, from + length));
  for (const chunk of metadata.rowGroups.flatMap((group) => group.chunks)) {
    if (chunkOffset(chunk) + chunk.compressedBytes > start) throw corrupt('a column chunk lies beyond the data');
  }
  return metadata;
}

export async function readExactly(source: ParquetSource, start: number, end: number): Promise<Uint8Array> {
  const bytes = await source.read(start, end);
  if (bytes.length !== end - start) throw corrupt(`bytes ${start} to ${end} are not there`);
  return bytes;
}

async function openRowGroup(
  source: ParquetSource,
  group: RowGroupMetadata,
  leaves: LeafNode[],
  maxPageBytes: number,
): Promise<[LeafNode, ColumnReader][]> {
  const chunks = leaves.map((leaf) => group.chunks[leaf.chunk]!);
  const bytes = await readChunks(chunks, (start, end) => readExactly(source, start, end));
  return leaves.map((leaf, i) => [leaf, new ColumnReader(leaf, chunks[i]!, bytes[i]!, maxPageBytes)]);
}

/** How many rows of a row group come to about this many bytes, decompressed. */
function rowsOfBytes(group: RowGroupMetadata, leaves: LeafNode[], bytes: number): number {
  const total = leaves.reduce((sum, leaf) => sum + group.chunks[leaf.chunk]!.uncompressedBytes, 0);
  return Math.max(1, Math.floor((bytes * group.rowCount) / Math.max(1, total)));
}
