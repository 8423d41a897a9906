import type { Leaf } from './leaf.ts';
import type { LeafColumn } from './leaf-plan.ts';

/** A place in a leaf's rows: the next level and the next value. */
export interface LeafCursor {
  column: LeafColumn;
  level: number;
  value: number;
}

/** Moves behind this many more rows, which must be there. */
export function passRows(cursor: LeafCursor, rows: number): void {
  const { count, definition, repetition, maxDefinition } = cursor.column;
  const from = cursor.level;
  let end = from + rows;
  if (repetition !== undefined) {
    end = from;
    for (let starts = 0; end < count; end++) {
      if (repetition[end] !== 0) continue;
      if (starts === rows) break;
      starts++;
    }
  }
  cursor.level = end;
  cursor.value += definition === undefined ? end - from : valuesIn(definition, from, end, maxDefinition);
}

function valuesIn(definition: Uint8Array, from: number, to: number, greatest: number): number {
  let values = 0;
  for (let i = from; i < to; i++) if (definition[i] === greatest) values++;
  return values;
}

/** Whether these are the leaves of a file's schema, so that their levels and values can be taken as they are. */
export const fitsLeaves = (columns: readonly LeafColumn[], leaves: readonly Leaf[]): boolean =>
  columns.length === leaves.length &&
  leaves.every((leaf, i) => {
    const { type, maxDefinition, maxRepetition } = columns[i]!;
    return (
      type.kind === leaf.type.kind &&
      maxDefinition === leaf.maxDefinition &&
      maxRepetition === leaf.maxRepetition &&
      JSON.stringify(type) === JSON.stringify(leaf.type)
    );
  });
