import type { ColumnType, Field } from './table-schema.ts';

/**
 * A top-level column as one language's mapping gives it. All ids in it are still 0; `required` is what the schema says
 * (deriveTableSchema makes top-level columns optional). `field.writeDefault`, at any depth, may have anything in it that
 * is not keyed by field id.
 */
export interface TopField {
  field: Field;
  /** Puts in the defaults that are keyed by field id: structs'. Given `field` with its ids, answers what to keep. */
  complete?: (field: Field) => Field;
}

/** A field without an id. */
export const newField = (name: string, type: ColumnType, required: boolean, doc?: string): Field => ({
  id: 0,
  name,
  type,
  required,
  ...(doc === undefined ? {} : { doc }),
});
