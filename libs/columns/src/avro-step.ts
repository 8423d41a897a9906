import type { AvroEnum, AvroType, ColumnType } from '@millrace/schema';

/**
 * What a decoder does, step by step: a writer schema's values in the order of their bytes, each with the column that it
 * goes to. Columns are known by their place: an index path into RowBuilder.columns and their children, so that no name
 * from a schema reaches generated code.
 */
export type Step =
  /** Read and thrown away: a field that the table lacks, or null. */
  | { kind: 'skip'; avro: AvroType }
  | { kind: 'leaf'; column: ColumnRef; avro: AvroType }
  | { kind: 'enum'; column: ColumnRef; avro: AvroEnum }
  | { kind: 'json'; column: ColumnRef; avro: AvroType }
  | { kind: 'duration'; parts: ColumnRef[] }
  | { kind: 'record'; fields: { name: string; step: Step }[]; absent: Absent[] }
  | { kind: 'list'; column: ColumnRef; item: Step; itemBytes: number }
  | { kind: 'map'; column: ColumnRef; key: ColumnRef; value: Step; itemBytes: number }
  | { kind: 'union'; branches: Branch[] };

/** One branch of a union: what becomes null by it, and the step for its value. */
export interface Branch {
  name: string;
  nulls: ColumnRef[];
  step: Step;
}

/** A column of the table that the writer schema lacks: its default, or null. */
export interface Absent {
  column: ColumnRef;
  json: unknown;
}

export interface ColumnRef {
  /** Index in the plan's `columns`. */
  index: number;
  /** Where it is: the top-level column, then children. */
  path: number[];
  type: ColumnType;
  /** Names, for messages. */
  name: string;
}

export interface Plan {
  columns: ColumnRef[];
  /** Top-level columns of this role: what a null key or value leaves null. */
  top: ColumnRef[];
  root: Step;
}
