import { booleanValues } from './boolean-values.ts';
import { bytesValues } from './bytes-values.ts';
import { PHYSICAL } from './format.ts';
import type { Leaf } from './leaf.ts';
import { type LevelBytes, levelBytes } from './levels.ts';
import { numberValues } from './number-values.ts';
import type { ValueWriter } from './values.ts';

/** What a column's chunks are gathered in, empty between files. */
export interface ColumnMemory {
  values: ValueWriter;
  levels: LevelBytes;
}

/** What is kept at the most for the files to come. */
const KEPT_BYTES = 64 << 20;
const kept = new Map<string, ColumnMemory[]>();
let keptBytes = 0;

/** Memory for a column of the leaf's kind: that of a file that has ended, or new. */
export function takeMemory(leaf: Leaf): ColumnMemory {
  const memory = kept.get(kindOf(leaf))?.pop();
  if (memory === undefined) return { values: valuesOf(leaf), levels: levelBytes() };
  keptBytes -= sizeOf(memory);
  return memory;
}

/**
 * Gives memory back, for which all must have been written. Megabytes of arrays for every small file made the garbage
 * collector run several times a file, and the kernel clear their pages each time.
 */
export function giveMemory(leaf: Leaf, memory: ColumnMemory): void {
  const size = sizeOf(memory);
  if (keptBytes + size > KEPT_BYTES) return;
  keptBytes += size;
  const kind = kindOf(leaf);
  const others = kept.get(kind);
  if (others === undefined) kept.set(kind, [memory]);
  else others.push(memory);
}

const sizeOf = ({ values, levels }: ColumnMemory): number =>
  values.capacityBytes + levels.definition.length + levels.repetition.length;

const kindOf = ({ physical, fixedLength, type }: Leaf): string =>
  `${physical} ${fixedLength}${type.kind === 'decimal' ? ' signed' : ''}`;

function valuesOf(leaf: Leaf): ValueWriter {
  switch (leaf.physical) {
    case PHYSICAL.BOOLEAN:
      return booleanValues();
    case PHYSICAL.INT32:
      return numberValues('int32');
    case PHYSICAL.INT64:
      return numberValues('int64');
    case PHYSICAL.FLOAT:
      return numberValues('float');
    case PHYSICAL.DOUBLE:
      return numberValues('double');
    default:
      return bytesValues({ fixedLength: leaf.fixedLength, signed: leaf.type.kind === 'decimal' });
  }
}
