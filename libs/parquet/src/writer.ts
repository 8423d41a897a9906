import { MillraceError } from '@millrace/base';
import type { ColumnBatch } from '@millrace/columns';
import type { TableSchema } from '@millrace/schema';
import { CODEC_OF, type CodecName } from './codec.ts';
import { ColumnWriter, chunkEncodingStats, chunkEncodings, type WrittenChunk } from './column-writer.ts';
import { type ColumnFileStats, FileStats } from './file-stats.ts';
import { MAGIC } from './format.ts';
import { flattenSchema } from './leaf.ts';
import { type ChunkMetadata, chunkOffset, type RowGroupMetadata, writeFileMetadata } from './metadata-writer.ts';
import { columnIndex, offsetIndex } from './page-index.ts';

export interface ParquetWriterOptions {
  /** Default zstd (level 1). */
  codec?: CodecName;
  /** Rows of a row group at the most, default 262,144. */
  rowGroupRows?: number;
  /** Bytes, as they are encoded, at which a row group is flushed: bounds the writer's memory. Default 64 MiB. */
  rowGroupBytes?: number;
  /** Rows of a page at the most, default 20,000. */
  pageRows?: number;
  /** Bytes of values at which a page ends, before compression. Default 1 MiB. */
  pageBytes?: number;
  /** Into the footer, as it is: "iceberg.schema" and the like. */
  keyValueMetadata?: Record<string, string>;
  /** False leaves the field ids out (Delta checkpoints have none). Default true. */
  fieldIds?: boolean;
}

export interface ParquetFileStats {
  sizeBytes: number;
  recordCount: number;
  /** Where each row group begins in the file (Iceberg's split offsets). */
  rowGroupOffsets: number[];
  /** One for each leaf, in the order of the schema. */
  columns: ColumnFileStats[];
}

export interface ParquetWriter {
  /**
   * Takes the rows of a batch; its buffers are free again when the call has returned, or, if it returned a promise
   * (a row group goes to the sink), when that has resolved. Wait for it before the next call.
   */
  append(batch: ColumnBatch): void | Promise<void>;
  /** About how large the file would be if it ended now: for rolling files. */
  readonly bytesEstimate: number;
  readonly rowCount: number;
  /** Ends the file. A file of no rows is legal. */
  finish(): Promise<ParquetFileStats>;
}

const CREATED_BY = 'millrace version 0.1.0';

/**
 * Writes one Parquet file (parquet-format 2.12): V1 data pages, dictionaries with a fall back to PLAIN, statistics, page
 * index, logical types, field ids. The sink gets the file's bytes in order; they may be reused when its promise has
 * resolved. Memory: one row group as it is encoded. Errors of the sink go through, and the file is then lost.
 */
export function createParquetWriter(init: {
  schema: TableSchema;
  sink: (bytes: Uint8Array) => Promise<void>;
  options?: ParquetWriterOptions;
}): ParquetWriter {
  const { schema, sink, options = {} } = init;
  const { codec = 'zstd', rowGroupRows = 262_144, rowGroupBytes = 64 << 20, fieldIds = true } = options;
  const { pageRows = 20_000, pageBytes = 1 << 20, keyValueMetadata = {} } = options;
  const { elements, leaves } = flattenSchema(schema, fieldIds);
  if (elements.some((element) => element.physical === undefined && element.childCount === 0)) {
    throw new MillraceError(
      'invalid',
      'A Parquet file can hold no struct without fields, nor a table without columns',
      {
        code: 'parquet-empty-struct',
      },
    );
  }
  const columns = leaves.map((leaf) => new ColumnWriter(leaf, { codec, rowGroupRows, pageRows, pageBytes }));
  const stats = new FileStats(leaves);
  const rowGroups: RowGroupMetadata[] = [];
  const indexes: { metadata: ChunkMetadata; column: Uint8Array | undefined; offset: Uint8Array }[] = [];
  let position = 0;
  let rowsInGroup = 0;
  let rowCount = 0;

  const write = async (bytes: Uint8Array): Promise<void> => {
    if (bytes.length === 0) return;
    position += bytes.length;
    await sink(bytes);
  };

  const heldBytes = () => columns.reduce((total, column) => total + column.heldBytes, 0);

  const writeChunk = async (chunk: WrittenChunk): Promise<ChunkMetadata> => {
    const begin = position;
    if (chunk.dictionaryPage !== undefined) await write(chunk.dictionaryPage);
    const dataPageOffset = position;
    const metadata: ChunkMetadata = {
      physical: chunk.leaf.physical,
      encodings: chunkEncodings(chunk),
      path: chunk.leaf.path,
      codec: CODEC_OF[codec],
      valueCount: chunk.valueCount,
      uncompressedBytes: chunk.uncompressedBytes,
      compressedBytes: dataPageOffset - begin + chunk.dataPages.length,
      dataPageOffset,
      dictionaryPageOffset: chunk.dictionaryPage === undefined ? undefined : begin,
      nullCount: chunk.nullCount,
      min: chunk.lower,
      max: chunk.upper,
      encodingStats: chunkEncodingStats(chunk),
      offsetIndex: undefined,
      columnIndex: undefined,
    };
    indexes.push({ metadata, column: columnIndex(chunk), offset: offsetIndex(chunk, dataPageOffset) });
    stats.add(chunk, metadata.compressedBytes);
    await write(chunk.dataPages);
    return metadata;
  };

  const flushRowGroup = async (): Promise<void> => {
    if (position === 0) await write(MAGIC);
    const chunks: ChunkMetadata[] = [];
    for (const column of columns) chunks.push(await writeChunk(column.endChunk()));
    rowGroups.push({ rowCount: rowsInGroup, chunks });
    rowsInGroup = 0;
  };

  const appendFrom = (batch: ColumnBatch, begin: number): void | Promise<void> => {
    for (let from = begin; from < batch.length; ) {
      const to = Math.min(batch.length, from + Math.min(pageRows, rowGroupRows - rowsInGroup));
      for (const column of columns) column.append(batch.columns, from, to);
      rowsInGroup += to - from;
      rowCount += to - from;
      from = to;
      if (rowsInGroup >= rowGroupRows || heldBytes() >= rowGroupBytes)
        return flushRowGroup().then(() => appendFrom(batch, from));
    }
  };

  const writeIndexes = async (): Promise<void> => {
    for (const { metadata, column } of indexes) {
      if (column === undefined) continue;
      metadata.columnIndex = { offset: position, length: column.length };
      await write(column);
    }
    for (const { metadata, offset } of indexes) {
      metadata.offsetIndex = { offset: position, length: offset.length };
      await write(offset);
    }
  };

  return {
    append(batch) {
      if (batch.columns.length !== schema.fields.length) {
        throw new MillraceError(
          'internal',
          `A batch of ${batch.columns.length} columns does not fit a file of ${schema.fields.length}`,
          { code: 'parquet-batch-shape' },
        );
      }
      return appendFrom(batch, 0);
    },
    get bytesEstimate() {
      return position + heldBytes();
    },
    get rowCount() {
      return rowCount;
    },
    async finish() {
      if (rowsInGroup > 0) await flushRowGroup();
      if (position === 0) await write(MAGIC);
      await writeIndexes();
      const footer = writeFileMetadata({ elements, rowCount, rowGroups, keyValueMetadata, createdBy: CREATED_BY });
      await write(footer);
      const tail = new Uint8Array(8);
      new DataView(tail.buffer).setUint32(0, footer.length, true);
      tail.set(MAGIC, 4);
      await write(tail);
      for (const column of columns) column.end();
      return {
        sizeBytes: position,
        recordCount: rowCount,
        rowGroupOffsets: rowGroups.map((group) => chunkOffset(group.chunks[0]!)),
        columns: stats.columns(),
      };
    },
  };
}
