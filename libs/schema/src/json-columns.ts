import { MillraceError } from '@millrace/base';
import { jsonDefault } from './json-default.ts';
import type { JsonProperty, JsonSchema } from './json-schema.ts';
import type { ColumnType, Field } from './table-schema.ts';
import { newField, type TopField } from './top-field.ts';

export type { JsonSchema } from './json-schema.ts';

/**
 * The top-level columns that JSON gives (type mapping version 1, "JSON Schema"): an object's properties, otherwise one
 * column named by the role; without a schema that column has the JSON text. All columns are optional, at every depth.
 */
export function jsonTopFields(schema: JsonSchema | undefined, role: 'value' | 'key'): TopField[] {
  return jsonProperties(schema, role).map((property) => ({
    field: fieldOf(property),
    complete: (field) => withDefaults(field, property),
  }));
}

/** The properties that become top-level columns; one that stands for the whole value has the role's name. */
export function jsonProperties(schema: JsonSchema | undefined, role: 'value' | 'key'): JsonProperty[] {
  if (schema?.kind === 'object') return schema.properties;
  return schema?.kind === 'none' ? [] : [{ name: role, schema: schema ?? { kind: 'any' } }];
}

const fieldOf = ({ name, schema, doc }: JsonProperty): Field => newField(name, jsonColumnType(schema), false, doc);

/** The column type of a JSON value, ids still 0. */
export function jsonColumnType(schema: JsonSchema): ColumnType {
  switch (schema.kind) {
    case 'any':
      return { kind: 'string' };
    case 'boolean':
      return { kind: 'boolean' };
    case 'integer':
      return { kind: 'long' };
    case 'number':
      return { kind: 'double' };
    case 'decimal':
      return { kind: 'decimal', precision: 38, scale: schema.scale };
    case 'string':
      return schema.format === undefined ? { kind: 'string' } : FORMATS[schema.format];
    case 'object':
      return { kind: 'struct', fields: schema.properties.map(fieldOf) };
    case 'union':
      return {
        kind: 'struct',
        fields: schema.branches.map(({ name, object }) => newField(name, jsonColumnType(object), false)),
      };
    case 'array':
      return { kind: 'list', elementId: 0, element: jsonColumnType(schema.items), elementRequired: false };
    case 'map':
      return {
        kind: 'map',
        keyId: 0,
        key: { kind: 'string' },
        valueId: 0,
        value: jsonColumnType(schema.values),
        valueRequired: false,
      };
    case 'none':
      throw new MillraceError('internal', 'A type without a column was asked for one', { code: 'assertion' });
  }
}

// Portable profile: a time of day is a long (microseconds), a uuid its text.
const FORMATS = {
  'date-time': { kind: 'timestamp', adjusted: true },
  date: { kind: 'date' },
  time: { kind: 'long' },
  uuid: { kind: 'string' },
  base64: { kind: 'binary' },
} as const;

function withDefaults(field: Field, property: JsonProperty): Field {
  const type = typeWithDefaults(field.type, property.schema);
  const writeDefault =
    property.default === undefined ? undefined : jsonDefault(property.schema, type, property.default);
  return { ...field, type, ...(writeDefault === undefined ? {} : { writeDefault }) };
}

function typeWithDefaults(type: ColumnType, schema: JsonSchema): ColumnType {
  if (type.kind === 'struct' && schema.kind === 'object')
    return { kind: 'struct', fields: type.fields.map((field, at) => withDefaults(field, schema.properties[at]!)) };
  if (type.kind === 'struct' && schema.kind === 'union')
    return {
      kind: 'struct',
      fields: type.fields.map((field, at) => ({
        ...field,
        type: typeWithDefaults(field.type, schema.branches[at]!.object),
      })),
    };
  if (type.kind === 'list' && schema.kind === 'array')
    return { ...type, element: typeWithDefaults(type.element, schema.items) };
  if (type.kind === 'map' && schema.kind === 'map')
    return { ...type, value: typeWithDefaults(type.value, schema.values) };
  return type;
}
