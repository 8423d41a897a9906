import type { JsonLeaf } from '@millrace/schema';
import type { Absent, ColumnRef } from './avro-step.ts';

/**
 * What a JSON decoder does, by the shape of the value. Columns are known by their place, properties by their number: no
 * name from a schema reaches generated code. Null makes the step's column null; what a property or branch has no column
 * for is passed over.
 */
export type JsonStep =
  | { kind: 'leaf'; column: ColumnRef; leaf: JsonLeaf }
  /** The value's own text; without a column it is only checked. */
  | { kind: 'text'; column: ColumnRef | undefined }
  | JsonObjectStep
  | { kind: 'list'; column: ColumnRef; item: JsonStep }
  | { kind: 'map'; column: ColumnRef; key: ColumnRef; value: JsonStep }
  | { kind: 'union'; column: ColumnRef; branches: JsonBranchStep[]; absent: Absent[] };

export interface JsonObjectStep {
  kind: 'object';
  /** Undefined: the whole value, whose properties are top-level columns. */
  column: ColumnRef | undefined;
  fields: JsonField[];
  /** Columns that the schema has no property for. */
  absent: Absent[];
}

export interface JsonField {
  name: string;
  step: JsonStep;
  column: ColumnRef;
  /** For a record without the property, in Iceberg's JSON single-value form; undefined = null. */
  default: unknown;
}

export interface JsonBranchStep {
  name: string;
  /** Undefined: the table lacks the branch. */
  object: (JsonObjectStep & { column: ColumnRef }) | undefined;
  property: string;
  values: readonly (string | number | boolean)[] | undefined;
}

export interface JsonPlan {
  columns: ColumnRef[];
  /** Top-level columns of this role: what a null key or value leaves null. */
  top: ColumnRef[];
  root: JsonStep;
  /** Columns beside the one that takes the whole value. */
  absent: Absent[];
}
