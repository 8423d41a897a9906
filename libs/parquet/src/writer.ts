import { MillraceError } from '@millrace/base';
import type { ColumnBatch } from '@millrace/columns';
import type { TableSchema } from '@millrace/schema';
import { CODEC_OF } from './codec.ts';
import { chunkEncodingStats, chunkEncodings, type WrittenChunk } from './column-writer.ts';
import { type ColumnFileStats, FileStats } from './file-stats.ts';
import { MAGIC } from './format.ts';
import { flattenSchema } from './leaf.ts';
import { fitsLeaves, type LeafCursor } from './leaf-cursor.ts';
import { type ChunkMetadata, chunkOffset, type RowGroupMetadata, writeFileMetadata } from './metadata-writer.ts';
import { MODULE, type ModulePlace, unsealed } from './module-seal.ts';
import { giveBack } from './page-blocks.ts';
import { columnIndex, offsetIndex } from './page-index.ts';
import { ParquetBatch } from './parquet-batch.ts';
import { checkSorted, resolveSorting } from './sorting.ts';
import { createColumnWriters, type ParquetWriterOptions } from './writer-options.ts';

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
 * Writes one Parquet file (parquet-format 2.12): dictionaries with a fall back to PLAIN (or the options' encodings),
 * statistics, page index, logical types, field ids; Bloom filters, V2 pages, checksums and sorting columns on request. The
 * sink gets the file's bytes in order, one call at a time; they may be reused when its promise has resolved. While it takes
 * one row group the next is encoded, and no more: then append() waits. Errors of the sink go through append() or finish(),
 * and the file is then lost. Throws for options that do not fit (createColumnWriters).
 */
export function createParquetWriter(init: {
  schema: TableSchema;
  sink: (bytes: Uint8Array) => Promise<void>;
  options?: ParquetWriterOptions;
}): ParquetWriter {
  const { schema, sink, options = {} } = init;
  const { codec = 'zstd', rowGroupRows = 262_144, rowGroupBytes = 64 << 20, fieldIds = true } = options;
  const { pageRows = 20_000, pageVersion = 1, indexBytes = 4 << 20, keyValueMetadata = {} } = options;
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
  const columns = createColumnWriters(leaves, options);
  const sorting = resolveSorting(leaves, options.sortingColumns ?? []);
  const seal = unsealed;
  const stats = new FileStats(leaves);
  const rowGroups: RowGroupMetadata[] = [];
  let indexes: { metadata: ChunkMetadata; column: Uint8Array | undefined; offset: Uint8Array; place: ModulePlace }[] =
    [];
  let heldIndexBytes = 0;
  let position = 0;
  let rowsInGroup = 0;
  let rowCount = 0;
  /** What the sink has still to take, in the file's order; position is behind it already. */
  let parts: Uint8Array[] = [];
  let sending: Promise<void> | undefined;
  let failure: { error: unknown } | undefined;

  const put = (bytes: Uint8Array): { offset: number; length: number } => {
    const place = { offset: position, length: bytes.length };
    position += bytes.length;
    parts.push(bytes);
    return place;
  };

  const send = async (bytes: Uint8Array[]): Promise<void> => {
    for (const part of bytes) {
      if (part.length > 0) await sink(part);
      giveBack(part);
    }
  };

  const sent = async (): Promise<void> => {
    await sending;
    sending = undefined;
    if (failure !== undefined) throw failure.error;
  };

  const heldBytes = () => columns.reduce((total, column) => total + column.heldBytes, 0);

  const putChunk = (chunk: WrittenChunk, column: number): ChunkMetadata => {
    const begin = position;
    if (chunk.dictionaryPage !== undefined) put(chunk.dictionaryPage);
    const dataPageOffset = position;
    for (const part of chunk.dataPages) put(part);
    const metadata: ChunkMetadata = {
      physical: chunk.leaf.physical,
      encodings: chunkEncodings(chunk),
      path: chunk.leaf.path,
      codec: CODEC_OF[codec],
      valueCount: chunk.valueCount,
      uncompressedBytes: chunk.uncompressedBytes,
      compressedBytes: position - begin,
      dataPageOffset,
      dictionaryPageOffset: chunk.dictionaryPage === undefined ? undefined : begin,
      nullCount: chunk.nullCount,
      min: chunk.lower,
      max: chunk.upper,
      encodingStats: chunkEncodingStats(chunk, pageVersion),
      unencodedBytes: chunk.unencodedBytes,
      bloomFilter: undefined,
      offsetIndex: undefined,
      columnIndex: undefined,
    };
    const place = { module: 0, rowGroup: rowGroups.length, column, page: 0 };
    const index = { metadata, column: columnIndex(chunk), offset: offsetIndex(chunk, dataPageOffset), place };
    indexes.push(index);
    heldIndexBytes += (index.column?.length ?? 0) + index.offset.length;
    stats.add(chunk, metadata.compressedBytes);
    return metadata;
  };

  const putIndexes = (): void => {
    const sealed = (bytes: Uint8Array, place: ModulePlace, module: number) =>
      put(Buffer.concat(seal([bytes], { ...place, module })));
    for (const { metadata, column, place } of indexes)
      if (column !== undefined) metadata.columnIndex = sealed(column, place, MODULE.COLUMN_INDEX);
    for (const { metadata, offset, place } of indexes)
      metadata.offsetIndex = sealed(offset, place, MODULE.OFFSET_INDEX);
    indexes = [];
    heldIndexBytes = 0;
  };

  const putRowGroup = (): void => {
    if (position === 0) put(MAGIC);
    const ended = columns.map((column) => column.endChunk());
    if (sorting[0] !== undefined) checkSorted(ended[sorting[0].column]!, sorting[0]);
    const chunks = ended.map((chunk, column) => putChunk(chunk, column));
    for (const [i, { bloomFilter }] of ended.entries())
      if (bloomFilter !== undefined) chunks[i]!.bloomFilter = put(bloomFilter);
    rowGroups.push({ rowCount: rowsInGroup, chunks, sorting });
    rowsInGroup = 0;
    if (heldIndexBytes > indexBytes) putIndexes();
  };

  const flushRowGroup = async (): Promise<void> => {
    await sent();
    putRowGroup();
    const group = parts;
    parts = [];
    sending = send(group).catch((error: unknown) => {
      failure = { error };
    });
    // Native codecs let go of their outputs, and the sink begins, only when the event loop turns.
    await new Promise((resolve) => setImmediate(resolve));
  };

  /** A batch that was read from a file of this schema gives its levels and values, and no vector is built. */
  const cursorsOf = (batch: ColumnBatch): LeafCursor[] | undefined => {
    const read = batch instanceof ParquetBatch ? batch.leaves() : undefined;
    return read && fitsLeaves(read, leaves) ? read.map((column) => ({ column, level: 0, value: 0 })) : undefined;
  };

  const appendFrom = (batch: ColumnBatch, begin: number, cursors: LeafCursor[] | undefined): void | Promise<void> => {
    for (let from = begin; from < batch.length; ) {
      const to = Math.min(batch.length, from + Math.min(pageRows, rowGroupRows - rowsInGroup));
      for (const [i, column] of columns.entries()) {
        if (cursors === undefined) column.append(batch.columns, from, to);
        else column.appendLeaf(cursors[i]!, to - from);
      }
      rowsInGroup += to - from;
      rowCount += to - from;
      from = to;
      if (rowsInGroup >= rowGroupRows || heldBytes() >= rowGroupBytes)
        return flushRowGroup().then(() => appendFrom(batch, from, cursors));
    }
  };

  return {
    append(batch) {
      const cursors = cursorsOf(batch);
      if (cursors === undefined && batch.columns.length !== schema.fields.length) {
        throw new MillraceError(
          'internal',
          `A batch of ${batch.columns.length} columns does not fit a file of ${schema.fields.length}`,
          { code: 'parquet-batch-shape' },
        );
      }
      return appendFrom(batch, 0, cursors);
    },
    get bytesEstimate() {
      return position + heldBytes() + heldIndexBytes;
    },
    get rowCount() {
      return rowCount;
    },
    async finish() {
      await sent();
      if (rowsInGroup > 0) putRowGroup();
      if (position === 0) put(MAGIC);
      putIndexes();
      const footer = writeFileMetadata({ elements, rowCount, rowGroups, keyValueMetadata, createdBy: CREATED_BY });
      const footerPlace = put(
        Buffer.concat(seal([footer], { module: MODULE.FOOTER, rowGroup: 0, column: 0, page: 0 })),
      );
      const tail = new Uint8Array(8);
      new DataView(tail.buffer).setUint32(0, footerPlace.length, true);
      tail.set(MAGIC, 4);
      put(tail);
      await send(parts);
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
