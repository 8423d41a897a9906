import { MillraceError } from '@millrace/base';
import { comparator } from './bounds.ts';
import type { WrittenChunk } from './column-writer.ts';
import type { Leaf } from './leaf.ts';
import { unknownColumn } from './writer-options.ts';

/** One column by which the rows of every row group are sorted (parquet.thrift, SortingColumn). */
export interface SortingColumn {
  /** The path of a leaf that is in no list and no map. */
  column: string;
  /** Default false. */
  descending?: boolean;
  /** Default: first when ascending, last when descending, as in Iceberg. */
  nullsFirst?: boolean;
}

export interface Sorting {
  column: number;
  descending: boolean;
  nullsFirst: boolean;
}

/** Throws `invalid` for a column that is not there or repeats. */
export function resolveSorting(leaves: Leaf[], columns: readonly SortingColumn[]): Sorting[] {
  return columns.map(({ column: path, descending = false, nullsFirst = !descending }) => {
    const column = leaves.findIndex((leaf) => leaf.path.join('.') === path);
    const single = leaves.filter((leaf) => leaf.maxRepetition === 0).map((leaf) => leaf.path.join('.'));
    if (column < 0 || leaves[column]!.maxRepetition > 0) throw unknownColumn(path, single);
    return { column, descending, nullsFirst };
  });
}

/**
 * Sees from the ranges of the pages whether a chunk may be sorted so, and throws `invalid` when it is not: a reader that
 * trusts the footer would miss rows. The order within a page, and of further columns, is the caller's word.
 */
export function checkSorted(chunk: WrittenChunk, { descending, nullsFirst }: Sorting): void {
  const compare = comparator(chunk.leaf.type, chunk.leaf.fixedLength);
  let last: Uint8Array | undefined;
  let valuesSeen = false;
  let nullsSeen = false;
  for (const { min, max, isExact, nullCount, valueCount } of chunk.pages) {
    const hasValues = valueCount > nullCount;
    const [first, end] = descending ? [max, min] : [min, max];
    const nullsWrong = nullsFirst ? valuesSeen && nullCount > 0 : nullsSeen && hasValues;
    const order = isExact && last !== undefined && first !== undefined ? compare(last, first) : 0;
    if (nullsWrong || (descending ? order < 0 : order > 0)) {
      throw new MillraceError(
        'invalid',
        `Column "${chunk.leaf.path.join('.')}" is declared as sorted, but its rows are not: sort them, or leave sortingColumns out`,
        { code: 'parquet-not-sorted' },
      );
    }
    valuesSeen ||= hasValues;
    nullsSeen ||= nullCount > 0;
    last = isExact ? (end ?? last) : undefined;
  }
}
