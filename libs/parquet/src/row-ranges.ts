/** Rows [start, end), counted from the first row of a file or of a row group. */
export interface RowRange {
  start: number;
  end: number;
}

export const rowsIn = (ranges: readonly RowRange[]): number =>
  ranges.reduce((total, { start, end }) => total + end - start, 0);

/** The same rows in ascending order, each once, ranges that touch joined. */
export function normalRanges(ranges: readonly RowRange[]): RowRange[] {
  const joined: RowRange[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    if (start >= end) continue;
    const last = joined.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** The rows that are in both; each side in its normal form. */
export function intersectRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const both: RowRange[] = [];
  for (let i = 0, k = 0; i < a.length && k < b.length; ) {
    const start = Math.max(a[i]!.start, b[k]!.start);
    const end = Math.min(a[i]!.end, b[k]!.end);
    if (start < end) both.push({ start, end });
    if (a[i]!.end < b[k]!.end) i++;
    else k++;
  }
  return both;
}

export const shiftRanges = (ranges: readonly RowRange[], by: number): RowRange[] =>
  ranges.map(({ start, end }) => ({ start: start + by, end: end + by }));

/** Cuts ranges into parts of at most this many rows. */
export function* partsOf(ranges: readonly RowRange[], rows: number): Generator<RowRange[]> {
  let part: RowRange[] = [];
  let left = rows;
  for (const { start, end } of ranges) {
    for (let at = start; at < end; ) {
      const to = Math.min(end, at + left);
      part.push({ start: at, end: to });
      left -= to - at;
      at = to;
      if (left > 0) continue;
      yield part;
      part = [];
      left = rows;
    }
  }
  if (part.length > 0) yield part;
}
