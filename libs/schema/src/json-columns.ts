import { MillraceError } from '@millrace/base';
import { newField, type TopField } from './top-field.ts';

/** A parsed JSON Schema. */
export type JsonSchema = object;

/** The top-level columns that JSON gives: those of its schema; without one a single column with the JSON text. */
export function jsonTopFields(schema: JsonSchema | undefined, role: 'value' | 'key'): TopField[] {
  if (schema !== undefined)
    throw new MillraceError('unsupported', 'JSON Schema is not mapped to columns', { code: 'schema-type-unsupported' });
  return [{ field: newField(role, { kind: 'string' }, false) }];
}
