import { ENCODING, PAGE } from './format.ts';
import { ThriftWriter } from './thrift-writer.ts';

/** The header of a V1 data page (parquet.thrift, PageHeader). `valueCount` counts levels. */
export function dataPageHeader(
  uncompressedBytes: number,
  compressedBytes: number,
  valueCount: number,
  encoding: number,
): Uint8Array {
  const thrift = new ThriftWriter();
  thrift.i32(1, PAGE.DATA);
  thrift.i32(2, uncompressedBytes);
  thrift.i32(3, compressedBytes);
  thrift.struct(5, () => {
    thrift.i32(1, valueCount);
    thrift.i32(2, encoding);
    thrift.i32(3, ENCODING.RLE);
    thrift.i32(4, ENCODING.RLE);
  });
  return thrift.finish();
}

export function dictionaryPageHeader(uncompressedBytes: number, compressedBytes: number, count: number): Uint8Array {
  const thrift = new ThriftWriter();
  thrift.i32(1, PAGE.DICTIONARY);
  thrift.i32(2, uncompressedBytes);
  thrift.i32(3, compressedBytes);
  thrift.struct(7, () => {
    thrift.i32(1, count);
    thrift.i32(2, ENCODING.PLAIN);
  });
  return thrift.finish();
}
