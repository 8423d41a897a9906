import { corrupt } from './corrupt.ts';
import { readThrift } from './thrift-reader.ts';

/** A page as the offset index places it: its bytes in the file, header included, and its first row in the row group. */
export interface PagePlace {
  offset: number;
  sizeBytes: number;
  firstRow: number;
}

/** What the column index says of the values of one page; bounds in PLAIN form, and not always values of the page. */
export interface PageBounds {
  onlyNulls: boolean;
  min: Uint8Array;
  max: Uint8Array;
  nullCount: number | undefined;
}

/**
 * Reads an OffsetIndex (parquet-format, PageIndex.md). Its pages must lie one behind the other within [start, end), and
 * begin with rows that ascend from 0.
 */
export function readOffsetIndex(bytes: Uint8Array, start: number, end: number, rowCount: number): PagePlace[] {
  const pages = readThrift(bytes, 0, 'OffsetIndex')
    .struct.structs(1, 'PageLocation')
    .map((page) => ({ offset: page.size(1), sizeBytes: page.size(2), firstRow: page.size(3) }));
  let offset = start;
  let row = -1;
  for (const page of pages) {
    const wrong =
      page.offset < offset || page.offset + page.sizeBytes > end || page.firstRow <= row || page.firstRow >= rowCount;
    if (wrong || (row === -1 && page.firstRow !== 0)) throw corrupt('its offset index places pages where none can be');
    offset = page.offset + page.sizeBytes;
    row = page.firstRow;
  }
  return pages;
}

/** Reads a ColumnIndex of this many pages. */
export function readColumnIndex(bytes: Uint8Array, pageCount: number): PageBounds[] {
  const { struct } = readThrift(bytes, 0, 'ColumnIndex');
  const onlyNulls = struct.bools(1);
  const mins = struct.binaries(2);
  const maxs = struct.binaries(3);
  const nullCounts = struct.numbers(5);
  const counts = [onlyNulls.length, mins.length, maxs.length, ...(nullCounts.length > 0 ? [nullCounts.length] : [])];
  if (counts.some((count) => count !== pageCount))
    throw corrupt(`its column index describes ${counts.join(', ')} pages where the offset index has ${pageCount}`);
  return onlyNulls.map((nulls, i) => ({ onlyNulls: nulls, min: mins[i]!, max: maxs[i]!, nullCount: nullCounts[i] }));
}
