import type { ColumnBatch, Vector } from '@millrace/columns';
import type { TableSchema } from '@millrace/schema';
import type { LeafColumn } from './leaf-plan.ts';
import type { RowRange } from './row-ranges.ts';

/**
 * Rows that were read: vectors when they are asked for, and where the file's leaves are those of the schema, these leaves,
 * from which a writer of that schema makes a file without building a vector. All is valid until the next batch is read.
 */
export class ParquetBatch implements ColumnBatch {
  readonly schema: TableSchema;
  readonly length: number;
  /** Which rows of the file these are, by number. */
  readonly rows: RowRange[];
  readonly #assemble: () => Vector[];
  readonly #shred: () => LeafColumn[] | undefined;
  #columns: Vector[] | undefined;

  constructor(
    schema: TableSchema,
    length: number,
    rows: RowRange[],
    assemble: () => Vector[],
    shred: () => LeafColumn[] | undefined,
  ) {
    this.schema = schema;
    this.length = length;
    this.rows = rows;
    this.#assemble = assemble;
    this.#shred = shred;
  }

  /** Throws `corrupt` when the levels of neighbouring columns don't agree. */
  get columns(): Vector[] {
    this.#columns ??= this.#assemble();
    return this.#columns;
  }

  /** In the order of the schema; undefined where the file's leaves are others. */
  leaves(): LeafColumn[] | undefined {
    return this.#shred();
  }
}
