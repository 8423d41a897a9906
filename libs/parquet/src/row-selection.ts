import { assemble } from './assemble.ts';
import { ColumnReader } from './column-reader.ts';
import type { LeafNode } from './file-schema.ts';
import type { LeafRows } from './leaf-rows.ts';
import type { PageLimits } from './page-reader.ts';
import type { LeafPredicate } from './predicate.ts';
import type { RowGroupPages } from './row-group-pages.ts';
import { intersectRanges, normalRanges, partsOf, type RowRange, rowsIn } from './row-ranges.ts';

/** Rows that a predicate is tried on at a time. */
const TRIED_ROWS = 16_384;

/**
 * Which of some rows of a row group fulfil all predicates: what its statistics, bloom filters and column indexes can tell
 * comes first; then the columns of the predicates are read where rows are left, and nowhere else.
 */
export async function selectRows(
  pages: RowGroupPages,
  rowCount: number,
  candidates: RowRange[],
  predicates: readonly LeafPredicate[],
  limits: PageLimits,
): Promise<RowRange[]> {
  let rows = candidates;
  for (const { leaf, mayMatch } of predicates) {
    const { min, max, nullCount } = pages.chunkOf(leaf);
    if (!mayMatch({ min: min?.value, max: max?.value, nullCount, count: rowCount })) return [];
  }
  for (const { leaf, keys } of predicates) {
    if (keys === undefined) continue;
    const filter = await pages.bloomFilter(leaf);
    if (filter !== undefined && !keys.some((key) => filter.mightContain(key))) return [];
  }
  for (const { leaf, mayMatch } of predicates) {
    const indexed = await pages.bounds(leaf);
    if (indexed === undefined) continue;
    const matching = indexed.filter(({ rows: { start, end }, bounds: { onlyNulls, min, max, nullCount } }) => {
      const count = end - start;
      if (onlyNulls) return mayMatch({ min: undefined, max: undefined, nullCount: count, count });
      return mayMatch({ min, max, nullCount, count });
    });
    rows = intersectRanges(rows, normalRanges(matching.map((page) => page.rows)));
    if (rows.length === 0) return [];
  }
  for (const predicate of predicates) {
    rows = await matchingRows(pages, rows, predicate, limits);
    if (rows.length === 0) return [];
  }
  return rows;
}

async function matchingRows(
  pages: RowGroupPages,
  rows: RowRange[],
  { leaf, matcher }: LeafPredicate,
  limits: PageLimits,
): Promise<RowRange[]> {
  const [fetched] = await pages.fetch([leaf], rows);
  const reader = new ColumnReader(leaf, pages.chunkOf(leaf), fetched!, limits);
  const found: RowRange[] = [];
  try {
    for (const part of partsOf(rows, TRIED_ROWS)) {
      const vector = assemble(leaf, new Map<LeafNode, LeafRows>([[leaf, reader.read(part)]]), rowsIn(part));
      const matches = matcher(vector);
      let i = 0;
      for (const { start, end } of part) {
        for (let row = start; row < end; row++) {
          if (!matches(i++)) continue;
          const last = found.at(-1);
          if (last !== undefined && last.end === row) last.end = row + 1;
          else found.push({ start: row, end: row + 1 });
        }
      }
    }
    return found;
  } finally {
    reader.close();
  }
}
