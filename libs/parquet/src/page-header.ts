import { ENCODING, PAGE } from './format.ts';
import { ThriftWriter } from './thrift-writer.ts';

export interface PageSizes {
  uncompressedBytes: number;
  compressedBytes: number;
  /** CRC-32 (IEEE) of the page as it is written, without its header. */
  crc: number | undefined;
}

export interface DataPageFields extends PageSizes {
  /** Levels, that is values and nulls. */
  valueCount: number;
  encoding: number;
}

/** The header of a V1 data page (parquet.thrift, PageHeader). */
export function dataPageHeader(page: DataPageFields): Uint8Array {
  const thrift = begin(PAGE.DATA, page);
  thrift.struct(5, () => {
    thrift.i32(1, page.valueCount);
    thrift.i32(2, page.encoding);
    thrift.i32(3, ENCODING.RLE);
    thrift.i32(4, ENCODING.RLE);
  });
  return thrift.finish();
}

/** The header of a V2 data page, whose levels lie before the values and are never compressed. */
export function dataPageHeaderV2(
  page: DataPageFields & {
    nullCount: number;
    rowCount: number;
    definitionBytes: number;
    repetitionBytes: number;
    isCompressed: boolean;
  },
): Uint8Array {
  const thrift = begin(PAGE.DATA_V2, page);
  thrift.struct(8, () => {
    thrift.i32(1, page.valueCount);
    thrift.i32(2, page.nullCount);
    thrift.i32(3, page.rowCount);
    thrift.i32(4, page.encoding);
    thrift.i32(5, page.definitionBytes);
    thrift.i32(6, page.repetitionBytes);
    thrift.bool(7, page.isCompressed);
  });
  return thrift.finish();
}

export function dictionaryPageHeader(page: PageSizes & { count: number }): Uint8Array {
  const thrift = begin(PAGE.DICTIONARY, page);
  thrift.struct(7, () => {
    thrift.i32(1, page.count);
    thrift.i32(2, ENCODING.PLAIN);
  });
  return thrift.finish();
}

function begin(type: number, { uncompressedBytes, compressedBytes, crc }: PageSizes): ThriftWriter {
  const thrift = new ThriftWriter();
  thrift.i32(1, type);
  thrift.i32(2, uncompressedBytes);
  thrift.i32(3, compressedBytes);
  if (crc !== undefined) thrift.i32(4, crc | 0);
  return thrift;
}
