import type { NanosRule, ProtobufEnum, ProtobufField, ProtobufMessage, ProtobufScalar } from '@millrace/schema';
import type { Absent, ColumnRef } from './avro-step.ts';

/** What a decoder does with one value of a message, and the column that it goes to. */
export type ValueStep =
  | { kind: 'scalar'; column: ColumnRef; scalar: ProtobufScalar }
  | { kind: 'enum'; column: ColumnRef; type: ProtobufEnum }
  | MessageStep
  /** A well-known message that is one column. */
  | { kind: 'timestamp' | 'date' | 'time' | 'decimal'; column: ColumnRef; message: ProtobufMessage }
  | { kind: 'json'; column: ColumnRef; message: ProtobufMessage }
  /** Passed over: a member of a oneof that the table lacks. It still sets the others aside. */
  | { kind: 'skip' };

export interface MessageStep {
  kind: 'message';
  /** The struct; undefined for the top level, and for a wrapper, whose one field has the column. */
  column?: ColumnRef;
  wrapper?: ColumnRef;
  fields: FieldStep[];
  absent: Absent[];
}

export interface FieldStep {
  field: ProtobufField;
  /** The whole column: the list or map, or the one value. Undefined for skip. */
  column?: ColumnRef;
  key?: ColumnRef;
  value: ValueStep;
}

export interface ProtobufPlan {
  columns: ColumnRef[];
  /** Top-level columns of this role: what a null key or value leaves null. */
  top: ColumnRef[];
  root: ValueStep;
  /** Top-level columns that the writer does not have. */
  absent: Absent[];
  types: ReadonlyMap<string, ProtobufMessage>;
  nanos: NanosRule;
}
