import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ColumnBatch } from '@millrace/columns';
import type { ObjectStore, ObjectWriter } from '@millrace/object-store';
import { createParquetWriter, type ParquetFileStats, type ParquetWriter } from '@millrace/parquet';
import type { DataFileSchema } from '@millrace/proto/common';
import { schemaToJsonObject, type TableSchema } from '@millrace/schema';
import { failSpan, startSpan } from '@millrace/telemetry';

export type NewDataFile = MessageInitShape<typeof DataFileSchema>;

export interface DataFilesOptions {
  store: ObjectStore;
  /** Key of the n-th file. */
  keyOf: (n: number) => string;
  targetFileBytes: number;
  rowGroupBytes: number;
  rowGroupRows: number;
  /** The offsets that the rows come from: what is left tells whether another file is worth beginning. */
  offsets?: { start: number; end: number };
  /** Another attempt may write the same keys: neither replace nor delete what it wrote. */
  sharedKeys?: boolean;
  signal: AbortSignal;
}

export interface WrittenFile {
  key: string;
  schemaId: number;
  stats: ParquetFileStats;
  /** What came with the last batch that went into it. */
  endOffset: number;
}

/** What is left goes into the file before it when it is less than this share of a file. */
const SMALL_REST = 0.25;

/**
 * Rows into Parquet files, one after another: a file ends at `targetFileBytes`, and where the schema changes. While the
 * store makes one durable, the next is encoded, and no more. No file is empty.
 */
export interface DataFiles {
  /** `endOffset`: one past the last offset that the batch's rows come from (0 where that means nothing). */
  append(batch: ColumnBatch, endOffset: number): Promise<void>;
  /** No further rows: all are encoded when it resolves, and the last file is on its way. */
  end(): Promise<void>;
  /** Every file, once the last one is there. */
  finish(): Promise<WrittenFile[]>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

interface OpenFile {
  key: string;
  schema: TableSchema;
  object: ObjectWriter;
  /** Since the store was told of it, until it is there. */
  span: ReturnType<typeof startSpan>;
  parquet: ParquetWriter;
  endOffset: number;
}

export function createDataFiles(options: DataFilesOptions): DataFiles {
  const { store, targetFileBytes, rowGroupBytes, rowGroupRows, signal } = options;
  const files: WrittenFile[] = [];
  const keys: string[] = [];
  let open: OpenFile | undefined;
  /** The file before: the store has its bytes and makes it visible. Failed: the next `end`, or `finish`, fails. */
  let completing: Promise<void> = Promise.resolve();
  const unfinished = new Set<ObjectWriter>();
  const spans = new Set<OpenFile['span']>();

  async function begin(schema: TableSchema): Promise<OpenFile> {
    const key = options.keyOf(keys.length);
    keys.push(key);
    const span = startSpan('upload file', { attributes: { 'millrace.file': key } });
    spans.add(span);
    const object = await store.writer(key, { signal, ifAbsent: options.sharedKeys ?? false });
    unfinished.add(object);
    const parquet = createParquetWriter({
      schema,
      sink: (bytes) => object.write(bytes),
      options: {
        rowGroupBytes,
        rowGroupRows,
        keyValueMetadata: { 'iceberg.schema': JSON.stringify(schemaToJsonObject(schema)) },
      },
    });
    return { key, schema, object, span, parquet, endOffset: 0 };
  }

  /** Whether what comes after `endOffset` is too little for a file, if it is like what came before. */
  function isNearlyDone(endOffset: number, openBytes: number): boolean {
    const { start, end } = options.offsets ?? { start: 0, end: 0 };
    if (endOffset <= start) return false;
    const bytes = files.reduce((sum, { stats }) => sum + stats.sizeBytes, openBytes);
    return (bytes * (end - endOffset)) / (endOffset - start) < SMALL_REST * targetFileBytes && end > start;
  }

  async function end(): Promise<void> {
    if (open === undefined) return;
    const { key, schema, object, span, parquet, endOffset } = open;
    const stats = await parquet.finish();
    open = undefined;
    await completing;
    completing = object.complete().then(() => {
      unfinished.delete(object);
      spans.delete(span);
      span.setAttributes({ 'millrace.bytes': stats.sizeBytes, 'millrace.records': stats.recordCount }).end();
      files.push({ key, schemaId: schema.schemaId, stats, endOffset });
    });
    completing.catch(() => {});
  }

  return {
    async append(batch, endOffset) {
      if (batch.length === 0) return;
      signal.throwIfAborted();
      if (open !== undefined && open.schema.schemaId !== batch.schema.schemaId) await end();
      open ??= await begin(batch.schema);
      await open.parquet.append(batch);
      open.endOffset = endOffset;
      const bytes = open.parquet.bytesEstimate;
      if (bytes >= targetFileBytes && !isNearlyDone(endOffset, bytes)) await end();
    },
    end,
    async finish() {
      signal.throwIfAborted();
      await end();
      await completing;
      return files;
    },
    async abort() {
      open = undefined;
      await completing.catch(() => {});
      await Promise.all([...unfinished].map((object) => object.abort()));
      unfinished.clear();
      for (const span of spans) {
        failSpan(span, 'given up');
        span.end();
      }
      spans.clear();
      const written = options.sharedKeys ? files.map((file) => file.key) : keys;
      await Promise.all(written.map((key) => store.delete(key)));
    },
  };
}

/** What the ledger keeps of a file. */
export const toDataFile = (file: WrittenFile, offsets: NonNullable<NewDataFile['offsets']>): NewDataFile => ({
  path: file.key,
  sizeBytes: BigInt(file.stats.sizeBytes),
  recordCount: BigInt(file.stats.recordCount),
  schemaId: file.schemaId,
  rowGroupOffsets: file.stats.rowGroupOffsets.map(BigInt),
  columns: file.stats.columns.map(({ sizeBytes, valueCount, nullCount, nanCount, ...column }) => ({
    ...column,
    sizeBytes: BigInt(sizeBytes),
    valueCount: BigInt(valueCount),
    nullCount: BigInt(nullCount),
    ...(nanCount === undefined ? {} : { nanCount: BigInt(nanCount) }),
  })),
  offsets,
});
