export type { CodecName } from './codec.ts';
export type { ColumnFileStats } from './file-stats.ts';
export { type OpenOptions, openParquet, type ParquetFile, type ParquetSource, type ReadOptions } from './reader.ts';
export { type Row, rowsFromBatch, vectorsFromRows } from './rows.ts';
export { createParquetWriter, type ParquetFileStats, type ParquetWriter } from './writer.ts';
export type { ColumnOptions, ParquetWriterOptions } from './writer-options.ts';
