import type { ColumnType, Field, TableSchema } from '@millrace/schema';
import { openParquet, type ParquetFile } from './reader.ts';
import { type Row, rowsFromBatch, vectorsFromRows } from './rows.ts';
import { createParquetWriter, type ParquetFileStats } from './writer.ts';
import type { ParquetWriterOptions } from './writer-options.ts';

/** A table schema whose fields get ids in order, nested ones as they are given. */
export function tableOf(columns: Record<string, ColumnType>, required: string[] = []): TableSchema {
  const fields: Field[] = Object.entries(columns).map(([name, type], i) => ({
    id: i + 1,
    name,
    type,
    required: required.includes(name),
  }));
  return { schemaId: 0, fields, lastColumnId: 1000 };
}

/** Writes rows into memory, some at a time. */
export async function writeRows(
  schema: TableSchema,
  rows: Row[],
  options: ParquetWriterOptions & { batchRows?: number } = {},
): Promise<{ bytes: Uint8Array; stats: ParquetFileStats }> {
  const { batchRows = 1000, ...writerOptions } = options;
  const parts: Uint8Array[] = [];
  const writer = createParquetWriter({
    schema,
    sink: async (bytes) => void parts.push(bytes.slice()),
    options: writerOptions,
  });
  for (let at = 0; at < rows.length; at += batchRows)
    await writer.append(vectorsFromRows(schema, rows.slice(at, at + batchRows)));
  const stats = await writer.finish();
  return { bytes: Buffer.concat(parts), stats };
}

export const openBytes = (bytes: Uint8Array): Promise<ParquetFile> =>
  openParquet({ size: bytes.length, read: async (start, end) => bytes.subarray(start, end) });

export async function rowsOf(batches: ReturnType<ParquetFile['read']>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of batches) rows.push(...rowsFromBatch(batch));
  return rows;
}
