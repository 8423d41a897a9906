import { LOGICAL } from './format.ts';
import type { LogicalType, SchemaElement } from './leaf.ts';
import type { Sorting } from './sorting.ts';
import { ThriftWriter } from './thrift-writer.ts';

/** A column chunk as the footer describes it (parquet.thrift, ColumnChunk with its ColumnMetaData). */
export interface ChunkMetadata {
  physical: number;
  encodings: number[];
  path: string[];
  codec: number;
  valueCount: number;
  uncompressedBytes: number;
  compressedBytes: number;
  dataPageOffset: number;
  dictionaryPageOffset: number | undefined;
  /** Unknown in some files of others. */
  nullCount: number | undefined;
  min: { value: Uint8Array; exact: boolean } | undefined;
  max: { value: Uint8Array; exact: boolean } | undefined;
  encodingStats: { pageType: number; encoding: number; count: number }[];
  /** Of BYTE_ARRAY: the bytes of all values, without their lengths. Unknown in many files of others. */
  unencodedBytes: number | undefined;
  /** Its length is unknown in files of older writers: -1. */
  bloomFilter: { offset: number; length: number } | undefined;
  offsetIndex: { offset: number; length: number } | undefined;
  columnIndex: { offset: number; length: number } | undefined;
}

export interface RowGroupMetadata {
  rowCount: number;
  chunks: ChunkMetadata[];
  /** By which columns its rows are sorted, if it says so. */
  sorting: Sorting[];
}

export interface FileMetadata {
  elements: SchemaElement[];
  rowCount: number;
  rowGroups: RowGroupMetadata[];
  keyValueMetadata: Record<string, string>;
  createdBy: string;
}

/** FileMetaData, without the length and the magic number that follow it. */
export function writeFileMetadata(file: FileMetadata): Uint8Array {
  const thrift = new ThriftWriter();
  thrift.i32(1, 2);
  thrift.structs(2, file.elements, (element) => writeElement(thrift, element));
  thrift.i64(3, file.rowCount);
  let ordinal = 0;
  thrift.structs(4, file.rowGroups, (group) => writeRowGroup(thrift, group, ordinal++));
  const pairs = Object.entries(file.keyValueMetadata);
  if (pairs.length > 0) {
    thrift.structs(5, pairs, ([key, value]) => {
      thrift.string(1, key);
      thrift.string(2, value);
    });
  }
  thrift.string(6, file.createdBy);
  // TypeDefinedOrder for every leaf: without it readers must not trust min_value and max_value.
  thrift.structs(
    7,
    file.elements.filter((element) => element.physical !== undefined),
    () => thrift.struct(1, () => {}),
  );
  return thrift.finish();
}

function writeElement(thrift: ThriftWriter, element: SchemaElement): void {
  const numbers: [number, number | undefined][] = [
    [1, element.physical],
    [2, element.typeLength],
    [3, element.repetition],
  ];
  for (const [id, value] of numbers) if (value !== undefined) thrift.i32(id, value);
  thrift.string(4, element.name);
  const more: [number, number | undefined][] = [
    [5, element.childCount],
    [6, element.converted],
    [7, element.scale],
    [8, element.precision],
    [9, element.fieldId],
  ];
  for (const [id, value] of more) if (value !== undefined) thrift.i32(id, value);
  const { logical } = element;
  if (logical !== undefined)
    thrift.struct(10, () => thrift.struct(logical.id, () => writeLogical(thrift, element, logical)));
}

function writeLogical(thrift: ThriftWriter, element: SchemaElement, logical: LogicalType): void {
  if (logical.id === LOGICAL.DECIMAL) {
    thrift.i32(1, element.scale!);
    thrift.i32(2, element.precision!);
  } else if (logical.id === LOGICAL.TIME || logical.id === LOGICAL.TIMESTAMP) {
    thrift.bool(1, logical.adjusted!);
    thrift.struct(2, () => thrift.struct(logical.unit!, () => {}));
  } else if (logical.id === LOGICAL.VARIANT) thrift.i8(1, 1);
}

function writeRowGroup(thrift: ThriftWriter, group: RowGroupMetadata, ordinal: number): void {
  const sum = (of: (chunk: ChunkMetadata) => number) => group.chunks.reduce((total, chunk) => total + of(chunk), 0);
  thrift.structs(1, group.chunks, (chunk) => writeChunk(thrift, chunk));
  thrift.i64(
    2,
    sum((chunk) => chunk.uncompressedBytes),
  );
  thrift.i64(3, group.rowCount);
  if (group.sorting.length > 0) {
    thrift.structs(4, group.sorting, ({ column, descending, nullsFirst }) => {
      thrift.i32(1, column);
      thrift.bool(2, descending);
      thrift.bool(3, nullsFirst);
    });
  }
  thrift.i64(5, chunkOffset(group.chunks[0]!));
  thrift.i64(
    6,
    sum((chunk) => chunk.compressedBytes),
  );
  // An i16: a file of more row groups goes without.
  if (ordinal < 32_768) thrift.i16(7, ordinal);
}

/** Where a chunk begins: at its dictionary page if it has one. */
export const chunkOffset = (chunk: ChunkMetadata): number => chunk.dictionaryPageOffset ?? chunk.dataPageOffset;

function writeChunk(thrift: ThriftWriter, chunk: ChunkMetadata): void {
  thrift.i64(2, 0);
  thrift.struct(3, () => {
    thrift.i32(1, chunk.physical);
    thrift.i32s(2, chunk.encodings);
    thrift.strings(3, chunk.path);
    thrift.i32(4, chunk.codec);
    thrift.i64(5, chunk.valueCount);
    thrift.i64(6, chunk.uncompressedBytes);
    thrift.i64(7, chunk.compressedBytes);
    thrift.i64(9, chunk.dataPageOffset);
    if (chunk.dictionaryPageOffset !== undefined) thrift.i64(11, chunk.dictionaryPageOffset);
    thrift.struct(12, () => writeStatistics(thrift, chunk));
    thrift.structs(13, chunk.encodingStats, ({ pageType, encoding, count }) => {
      thrift.i32(1, pageType);
      thrift.i32(2, encoding);
      thrift.i32(3, count);
    });
    if (chunk.bloomFilter !== undefined) {
      thrift.i64(14, chunk.bloomFilter.offset);
      thrift.i32(15, chunk.bloomFilter.length);
    }
    const { unencodedBytes } = chunk;
    if (unencodedBytes !== undefined) thrift.struct(16, () => thrift.i64(1, unencodedBytes));
  });
  if (chunk.offsetIndex !== undefined) {
    thrift.i64(4, chunk.offsetIndex.offset);
    thrift.i32(5, chunk.offsetIndex.length);
  }
  if (chunk.columnIndex !== undefined) {
    thrift.i64(6, chunk.columnIndex.offset);
    thrift.i32(7, chunk.columnIndex.length);
  }
}

function writeStatistics(thrift: ThriftWriter, { nullCount, min, max }: ChunkMetadata): void {
  if (nullCount !== undefined) thrift.i64(3, nullCount);
  if (max !== undefined) thrift.binary(5, max.value);
  if (min !== undefined) thrift.binary(6, min.value);
  if (max !== undefined) thrift.bool(7, max.exact);
  if (min !== undefined) thrift.bool(8, min.exact);
}
