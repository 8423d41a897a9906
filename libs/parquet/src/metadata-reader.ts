import { corrupt } from './corrupt.ts';
import { LOGICAL } from './format.ts';
import type { LogicalType, SchemaElement } from './leaf.ts';
import type { ChunkMetadata, FileMetadata, RowGroupMetadata } from './metadata-writer.ts';
import { readThrift, type ThriftStruct } from './thrift-reader.ts';

/** Reads FileMetaData (parquet.thrift). Whether it fits the file is for the caller to see. */
export function readFileMetadata(bytes: Uint8Array): FileMetadata {
  const file = readThrift(bytes, 0, 'FileMetaData').struct;
  const elements = file.structs(2, 'SchemaElement').map(readElement);
  if (elements.length === 0) throw corrupt('the footer has no schema');
  // TypeDefinedOrder is member 1: without it min_value and max_value mean nothing.
  const ordered = file.structs(7, 'ColumnOrder').map((order) => order.member()?.id === 1);
  return {
    elements,
    rowCount: file.size(3),
    rowGroups: file.structs(4, 'RowGroup').map((group) => readRowGroup(group, ordered)),
    keyValueMetadata: Object.fromEntries(
      file.structs(5, 'KeyValue').map((pair) => [pair.string(1) ?? '', pair.string(2) ?? '']),
    ),
    createdBy: file.string(6) ?? '',
  };
}

function readElement(element: ThriftStruct): SchemaElement {
  const logical = element.struct(10, 'LogicalType')?.member();
  const known: [keyof SchemaElement, number | LogicalType | undefined][] = [
    ['physical', element.optionalNumber(1)],
    ['typeLength', element.optionalNumber(2)],
    ['repetition', element.optionalNumber(3)],
    ['childCount', element.optionalNumber(5)],
    ['converted', element.optionalNumber(6)],
    ['scale', element.optionalNumber(7)],
    ['precision', element.optionalNumber(8)],
    ['fieldId', element.optionalNumber(9)],
    ['logical', logical && readLogical(logical.id, logical.fields)],
  ];
  const read: SchemaElement = { name: element.string(4) ?? '' };
  Object.assign(read, Object.fromEntries(known.filter(([, value]) => value !== undefined)));
  if (logical?.id === LOGICAL.DECIMAL) {
    read.scale = logical.fields.number(1);
    read.precision = logical.fields.number(2);
  }
  return read;
}

function readLogical(id: number, fields: ThriftStruct): LogicalType {
  if (id === LOGICAL.TIME || id === LOGICAL.TIMESTAMP) {
    return { id, adjusted: fields.bool(1, true), unit: fields.struct(2, 'TimeUnit')?.member()?.id ?? 2 };
  }
  if (id === LOGICAL.INTEGER) return { id, bitWidth: fields.number(1), signed: fields.bool(2, true) };
  return { id };
}

function readRowGroup(group: ThriftStruct, ordered: boolean[]): RowGroupMetadata {
  return {
    rowCount: group.size(3),
    chunks: group.structs(1, 'ColumnChunk').map((chunk, i) => readChunk(chunk, ordered[i] === true)),
    sorting: group.structs(4, 'SortingColumn').map((column) => ({
      column: column.size(1),
      descending: column.bool(2, false),
      nullsFirst: column.bool(3, false),
    })),
  };
}

function readChunk(chunk: ThriftStruct, ordered: boolean): ChunkMetadata {
  if (chunk.string(1) !== undefined) throw corrupt('a column chunk lies in another file');
  const meta = chunk.struct(3, 'ColumnMetaData');
  if (meta === undefined) throw corrupt('a column chunk has no metadata: the file is encrypted or broken');
  const statistics = meta.struct(12, 'Statistics');
  const bound = (id: number, exactId: number) => {
    const value = ordered ? statistics?.binary(id) : undefined;
    return value && { value, exact: statistics!.bool(exactId, false) };
  };
  // A dictionary page can't lie at 0, yet some writers say so where there is none.
  const dictionaryPageOffset = meta.optionalNumber(11) || undefined;
  const place = (offsetId: number, lengthId: number) =>
    chunk.optionalNumber(offsetId) === undefined
      ? undefined
      : { offset: chunk.size(offsetId), length: chunk.size(lengthId) };
  return {
    physical: meta.number(1),
    encodings: meta.numbers(2),
    path: meta.strings(3),
    codec: meta.number(4),
    valueCount: meta.size(5),
    uncompressedBytes: meta.size(6),
    compressedBytes: meta.size(7),
    dataPageOffset: meta.size(9),
    dictionaryPageOffset: dictionaryPageOffset === undefined ? undefined : meta.size(11),
    nullCount: statistics?.optionalNumber(3),
    max: bound(5, 7),
    min: bound(6, 8),
    encodingStats: meta.structs(13, 'PageEncodingStats').map((page) => ({
      pageType: page.number(1),
      encoding: page.number(2),
      count: page.number(3),
    })),
    unencodedBytes: meta.struct(16, 'SizeStatistics')?.optionalNumber(1),
    bloomFilter:
      meta.optionalNumber(14) === undefined
        ? undefined
        : { offset: meta.size(14), length: meta.optionalNumber(15) ?? -1 },
    offsetIndex: place(4, 5),
    // Without TypeDefinedOrder its bounds mean nothing either.
    columnIndex: ordered ? place(6, 7) : undefined,
  };
}
