import { MillraceError } from '@millrace/base';
import type { TableSchema } from '@millrace/schema';
import { assemble } from './assemble.ts';
import { ColumnReader } from './column-reader.ts';
import { corrupt, withPlace } from './corrupt.ts';
import { type FileNode, type LeafNode, leavesOf, readFileSchema } from './file-schema.ts';
import { MAGIC } from './format.ts';
import { leafColumns, planLeaves } from './leaf-plan.ts';
import type { LeafRows } from './leaf-rows.ts';
import { readFileMetadata } from './metadata-reader.ts';
import { chunkOffset, type FileMetadata, type RowGroupMetadata } from './metadata-writer.ts';
import { checkNeighbours, neighboursOf } from './neighbours.ts';
import { ParquetBatch } from './parquet-batch.ts';
import { leafPredicate, type Predicate } from './predicate.ts';
import { type ColumnName, fieldOf, project } from './projection.ts';
import { adapt, matchField, missing, prune } from './promote.ts';
import { RowGroupPages } from './row-group-pages.ts';
import { intersectRanges, normalRanges, partsOf, type RowRange, rowsIn, shiftRanges } from './row-ranges.ts';
import { selectRows } from './row-selection.ts';

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
  /** The rows in their order, with the columns that are named, at any depth; default all. */
  read(options?: ReadOptions & { columns?: readonly ColumnName[] }): AsyncIterable<ParquetBatch>;
  /**
   * The rows as a table of this schema has them: fields matched by id (by name where the file has none), missing ones
   * null, types promoted as Iceberg allows. An `invalid` error when a column can't be read so.
   */
  readAs(schema: TableSchema, options?: ReadOptions): AsyncIterable<ParquetBatch>;
}

export interface ReadOptions {
  /** Row groups to read, by number. Default: all. */
  rowGroups?: readonly number[];
  /** Rows to read, by number in the file. Default: all. */
  rows?: readonly RowRange[];
  /** Only rows that fulfil all of these, and of the file little more than the pages that they lie in. */
  where?: readonly Predicate[];
  /** The most rows of a batch, fewer where rows are large. Default 20,000, which is how many many writers put into a page. */
  batchRows?: number;
}

export interface OpenOptions {
  /** The largest page that is allocated, decompressed. Default 256 MiB. */
  maxPageBytes?: number;
  /** Whether pages that have a checksum are checked against it. Default true. */
  verifyChecksums?: boolean;
  /** Named in errors. */
  name?: string;
}

const TAIL_BYTES = 64 << 10;
const BATCH_BYTES = 32 << 20;

/**
 * Opens a Parquet file for reading: one read of its tail, a second when the footer is larger than 64 KiB. Reads V1 and
 * V2 pages in every encoding, and none, snappy, gzip, brotli, zstd, lz4 and lz4_raw. Throws `corrupt` for bytes that are
 * no Parquet file, `unsupported` for encrypted ones and other codecs.
 *
 * Batches hold what they were given until the next one is asked for. Memory: of one row group the bytes of the columns
 * that are read, as they are stored, and for each column a page and a batch of values.
 */
export async function openParquet(source: ParquetSource, options: OpenOptions = {}): Promise<ParquetFile> {
  const { maxPageBytes = 256 << 20, verifyChecksums = true, name } = options;
  const context = name === undefined ? {} : { file: name };
  const limits = { maxPageBytes, verifyChecksums };
  const metadata = await inContext(context, () => readFooter(source));
  const { schema, fields, leafCount } = await inContext(context, async () => readFileSchema(metadata.elements));
  for (const group of metadata.rowGroups) {
    if (group.chunks.length !== leafCount)
      throw corrupt(`a row group has ${group.chunks.length} columns, the schema ${leafCount}`, context);
  }
  const firstRows: number[] = [];
  metadata.rowGroups.reduce((row, group, i) => {
    firstRows[i] = row;
    return row + group.rowCount;
  }, 0);

  // Page indexes are kept: keys are looked up again and again.
  const opened = new Map<number, RowGroupPages>();
  const pagesOf = (index: number, group: RowGroupMetadata): RowGroupPages => {
    const pages =
      opened.get(index) ?? new RowGroupPages(group, (start, end) => readExactly(source, start, end), maxPageBytes);
    opened.set(index, pages);
    return pages;
  };

  async function* batches(
    nodes: FileNode[],
    { rowGroups, rows: onlyRows, where = [], batchRows = 20_000 }: ReadOptions,
    toBatch: (rows: Map<LeafNode, LeafRows>, length: number, ranges: RowRange[]) => ParquetBatch,
  ): AsyncGenerator<ParquetBatch> {
    const leaves = nodes.flatMap(leavesOf);
    const neighbours = neighboursOf(nodes);
    const predicates = where.map((predicate) => leafPredicate(fields, predicate));
    const wanted = onlyRows && normalRanges(onlyRows);
    for (const index of rowGroups ?? metadata.rowGroups.keys()) {
      const group = metadata.rowGroups[index];
      if (group === undefined) throw new MillraceError('invalid', `The file has no row group ${index}`, { context });
      const place = { ...context, rowGroup: index };
      const firstRow = firstRows[index]!;
      let ranges = normalRanges([{ start: 0, end: group.rowCount }]);
      if (wanted !== undefined) ranges = intersectRanges(ranges, shiftRanges(wanted, -firstRow));
      const pages = pagesOf(index, group);
      if (predicates.length > 0 && ranges.length > 0)
        ranges = await inContext(place, () => selectRows(pages, group.rowCount, ranges, predicates, limits));
      if (ranges.length === 0) continue;
      const readers: [LeafNode, ColumnReader][] = [];
      try {
        const fetched = await inContext(place, () => pages.fetch(leaves, ranges));
        await inContext(place, async () => {
          for (const [i, leaf] of leaves.entries())
            readers.push([leaf, new ColumnReader(leaf, group.chunks[leaf.chunk]!, fetched[i]!, limits)]);
        });
        for (const part of partsOf(ranges, Math.min(batchRows, rowsOfBytes(group, leaves, BATCH_BYTES)))) {
          const rows = await inContext({ ...place, row: part[0]!.start }, async () => {
            const read = new Map(readers.map(([leaf, reader]) => [leaf, reader.read(part)]));
            checkNeighbours(neighbours, read);
            return read;
          });
          yield toBatch(rows, rowsIn(part), shiftRanges(part, firstRow));
        }
      } finally {
        for (const [, reader] of readers) reader.close();
      }
    }
  }

  /** Assembling finds what is wrong between columns. */
  const located =
    <T>(run: () => T) =>
    (): T => {
      try {
        return run();
      } catch (thrown) {
        throw withPlace(thrown, context);
      }
    };

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
      const wanted = columns === undefined ? fields : project(fields, columns);
      const picked = { ...schema, fields: wanted.map(fieldOf) };
      const plans = planLeaves(wanted, picked.fields);
      return batches(wanted, options, (rows, length, ranges) => {
        const toColumns = located(() => wanted.map((field) => assemble(field, rows, length)));
        const toLeaves = located(() => plans && leafColumns(plans, rows, length));
        return new ParquetBatch(picked, length, ranges, toColumns, toLeaves);
      });
    },
    readAs(wanted, options = {}) {
      const found = wanted.fields.map((field) => {
        const node = matchField(fields, field);
        return node && prune(node, field.type);
      });
      const nodes = found.filter((node) => node !== undefined);
      const plans = planLeaves(nodes, wanted.fields);
      return batches(nodes, options, (rows, length, ranges) => {
        const toColumns = located(() =>
          wanted.fields.map((field, i) => {
            const node = found[i];
            if (node === undefined) return missing(field, length, 0);
            return adapt(assemble(node, rows, length), node, field.type);
          }),
        );
        const toLeaves = located(() => plans && leafColumns(plans, rows, length));
        return new ParquetBatch(wanted, length, ranges, toColumns, toLeaves);
      });
    },
  };
}

async function inContext<T>(context: Record<string, string | number>, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    throw withPlace(thrown, context);
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

async function readExactly(source: ParquetSource, start: number, end: number): Promise<Uint8Array> {
  if (start > end || end > source.size) throw corrupt(`bytes ${start} to ${end} of a file of ${source.size}`);
  const bytes = await source.read(start, end);
  if (bytes.length !== end - start) throw corrupt(`bytes ${start} to ${end} are not there`);
  return bytes;
}

/** How many rows of a row group come to about this many bytes, decompressed. */
function rowsOfBytes(group: RowGroupMetadata, leaves: LeafNode[], bytes: number): number {
  const total = leaves.reduce((sum, leaf) => sum + group.chunks[leaf.chunk]!.uncompressedBytes, 0);
  return Math.max(1, Math.floor((bytes * group.rowCount) / Math.max(1, total)));
}
