import { comparator, parquetLower, parquetUpper } from './bounds.ts';
import type { WrittenChunk } from './column-writer.ts';
import { ThriftWriter } from './thrift-writer.ts';

const NONE = new Uint8Array(0);
const BOUNDARY_ORDER = { UNORDERED: 0, ASCENDING: 1, DESCENDING: 2 };

/**
 * The ColumnIndex of a chunk (parquet-format PageIndex.md): the range of each page. Undefined when a page holds nothing
 * but NaN: it has no bounds, and no way to say so.
 */
export function columnIndex(chunk: WrittenChunk): Uint8Array | undefined {
  const { pages, leaf } = chunk;
  if (pages.some((page) => page.onlyNan)) return undefined;
  const { type } = leaf;
  const mins = pages.map((page) => (page.min === undefined ? NONE : parquetLower(type, page.min).value));
  const maxs = pages.map((page) => (page.max === undefined ? NONE : parquetUpper(type, page.max).value));
  const thrift = new ThriftWriter();
  thrift.bools(
    1,
    pages.map((page) => page.min === undefined),
  );
  thrift.binaries(2, mins);
  thrift.binaries(3, maxs);
  thrift.i32(4, boundaryOrder(chunk, mins, maxs));
  thrift.i64s(
    5,
    pages.map((page) => page.nullCount),
  );
  return thrift.finish();
}

/** The OffsetIndex of a chunk whose data pages begin at this offset of the file. */
export function offsetIndex(chunk: WrittenChunk, dataPageOffset: number): Uint8Array {
  const thrift = new ThriftWriter();
  thrift.structs(1, chunk.pages, (page) => {
    thrift.i64(1, dataPageOffset + page.offset);
    thrift.i32(2, page.sizeBytes);
    thrift.i64(3, page.firstRow);
  });
  return thrift.finish();
}

function boundaryOrder(chunk: WrittenChunk, mins: Uint8Array[], maxs: Uint8Array[]): number {
  const compare = comparator(chunk.leaf.type, chunk.leaf.fixedLength);
  const shown = chunk.pages.flatMap((page, i) => (page.min === undefined ? [] : [i]));
  const ordered = (sign: 1 | -1) =>
    shown.every((i, n) => {
      if (n === 0) return true;
      const before = shown[n - 1]!;
      return sign * compare(mins[before]!, mins[i]!) <= 0 && sign * compare(maxs[before]!, maxs[i]!) <= 0;
    });
  if (ordered(1)) return BOUNDARY_ORDER.ASCENDING;
  return ordered(-1) ? BOUNDARY_ORDER.DESCENDING : BOUNDARY_ORDER.UNORDERED;
}
