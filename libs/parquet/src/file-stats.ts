import { comparator, icebergLower, icebergUpper } from './bounds.ts';
import type { WrittenChunk } from './column-writer.ts';
import { PHYSICAL } from './format.ts';
import type { Leaf } from './leaf.ts';

/** A leaf's numbers over the whole file, as an Iceberg manifest wants them. */
export interface ColumnFileStats {
  fieldId: number;
  sizeBytes: number;
  /** Values, nulls and NaN included. */
  valueCount: number;
  nullCount: number;
  /** Of float and double. */
  nanCount?: number;
  /** Iceberg single-value binary form (spec, appendix D). Absent inside lists and maps, and where there is no bound. */
  lowerBound?: Uint8Array;
  upperBound?: Uint8Array;
}

interface Totals {
  leaf: Leaf;
  compare: (a: Uint8Array, b: Uint8Array) => number;
  sizeBytes: number;
  valueCount: number;
  nullCount: number;
  nanCount: number;
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
}

/** Adds up the chunks of a file. */
export class FileStats {
  readonly #totals: Map<Leaf, Totals>;

  constructor(leaves: Leaf[]) {
    this.#totals = new Map(
      leaves.map((leaf) => [
        leaf,
        {
          leaf,
          compare: comparator(leaf.type, leaf.fixedLength),
          sizeBytes: 0,
          valueCount: 0,
          nullCount: 0,
          nanCount: 0,
          min: undefined,
          max: undefined,
        },
      ]),
    );
  }

  add({ leaf, valueCount, nullCount, nanCount, min, max }: WrittenChunk, sizeBytes: number): void {
    const total = this.#totals.get(leaf)!;
    total.sizeBytes += sizeBytes;
    total.valueCount += valueCount;
    total.nullCount += nullCount;
    total.nanCount += nanCount;
    if (min !== undefined && (total.min === undefined || total.compare(min, total.min) < 0)) total.min = min;
    if (max !== undefined && (total.max === undefined || total.compare(max, total.max) > 0)) total.max = max;
  }

  columns(): ColumnFileStats[] {
    const totals = [...this.#totals.values()];
    // A variant is one column to its table, without bounds.
    const columns = totals.filter(({ leaf }) => leaf.variantPart !== 1);
    return columns.map(({ leaf, sizeBytes: ownBytes, valueCount, nullCount, nanCount, min, max }) => {
      const isVariant = leaf.variantPart !== undefined;
      const sizeBytes = isVariant
        ? ownBytes + totals[totals.findIndex((t) => t.leaf === leaf) + 1]!.sizeBytes
        : ownBytes;
      const bounded = leaf.maxRepetition === 0 && !isVariant;
      const lower = bounded && min ? icebergLower(leaf.type, leaf.fixedLength, min) : undefined;
      const upper = bounded && max ? icebergUpper(leaf.type, leaf.fixedLength, max) : undefined;
      const isFloat = leaf.physical === PHYSICAL.FLOAT || leaf.physical === PHYSICAL.DOUBLE;
      return {
        fieldId: leaf.fieldId,
        sizeBytes,
        valueCount,
        nullCount,
        ...(isFloat ? { nanCount } : {}),
        ...(lower !== undefined ? { lowerBound: lower.slice() } : {}),
        ...(upper !== undefined ? { upperBound: upper.slice() } : {}),
      };
    });
  }
}
