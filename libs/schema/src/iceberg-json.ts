import { MillraceError } from '@millrace/base';
import type { ColumnType, Field, PrimitiveType, TableSchema } from './table-schema.ts';

/**
 * TableSchema ↔ Iceberg schema JSON (table specification, appendix C, "Schemas"):
 *
 *   schema := {"type": "struct", "schema-id": int, "fields": [field…]}
 *   field  := {"id", "name", "required", "type", "doc"?, "initial-default"?, "write-default"?}
 *   type   := "long" | "decimal(9, 2)" | "fixed[16]" | … | struct
 *           | {"type": "list", "element-id", "element-required", "element"}
 *           | {"type": "map", "key-id", "key", "value-id", "value-required", "value"}
 *
 * Keys of our own travel between services only: "last-column-id", a field's "millrace-source" and "millrace-origin".
 */
export function toIcebergSchemaJson(schema: TableSchema): string {
  return JSON.stringify({
    ...structToJson(schema.fields, true),
    ...head(schema),
    'last-column-id': schema.lastColumnId,
  });
}

/**
 * The schema object for Iceberg table metadata, strictly as the specification has it. `writeDefaults` only for v3 tables:
 * v2 has no default values.
 */
export function schemaToJsonObject(
  schema: TableSchema,
  options: { writeDefaults?: boolean } = {},
): Record<string, unknown> {
  return { ...structToJson(schema.fields, false, options.writeDefaults ?? false), ...head(schema) };
}

const head = (schema: TableSchema) => ({ type: 'struct', 'schema-id': schema.schemaId });

function structToJson(fields: Field[], internal: boolean, defaults = internal): Record<string, unknown> {
  return {
    type: 'struct',
    fields: fields.map((field) => ({
      id: field.id,
      name: field.name,
      required: field.required,
      type: typeToJson(field.type, internal, defaults),
      ...(field.doc === undefined ? {} : { doc: field.doc }),
      ...(field.writeDefault === undefined || !defaults ? {} : { 'write-default': field.writeDefault }),
      ...(field.source === undefined || !internal ? {} : { 'millrace-source': field.source }),
      ...(field.origin === undefined || !internal ? {} : { 'millrace-origin': field.origin }),
    })),
  };
}

function typeToJson(type: ColumnType, internal: boolean, defaults: boolean): unknown {
  switch (type.kind) {
    case 'struct':
      return structToJson(type.fields, internal, defaults);
    case 'list':
      return {
        type: 'list',
        'element-id': type.elementId,
        element: typeToJson(type.element, internal, defaults),
        'element-required': type.elementRequired,
      };
    case 'map':
      return {
        type: 'map',
        'key-id': type.keyId,
        key: typeToJson(type.key, internal, defaults),
        'value-id': type.valueId,
        value: typeToJson(type.value, internal, defaults),
        'value-required': type.valueRequired,
      };
    default:
      return primitiveName(type);
  }
}

/** A primitive type as Iceberg writes it: "long", "decimal(9, 2)", "timestamptz", "fixed[16]". */
export function primitiveName(type: PrimitiveType): string {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision}, ${type.scale})`;
    case 'fixed':
      return `fixed[${type.length}]`;
    case 'timestamp':
      return type.adjusted ? 'timestamptz' : 'timestamp';
    case 'timestamp_ns':
      return type.adjusted ? 'timestamptz_ns' : 'timestamp_ns';
    default:
      return type.kind;
  }
}

/** A type in one line, for messages: "list<struct<sku: string, price: decimal(9, 2)>>". */
export function typeName(type: ColumnType): string {
  switch (type.kind) {
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}: ${typeName(field.type)}`).join(', ')}>`;
    case 'list':
      return `list<${typeName(type.element)}>`;
    case 'map':
      return `map<${typeName(type.key)}, ${typeName(type.value)}>`;
    default:
      return primitiveName(type);
  }
}

const MAX_DEPTH = 100;
const SIMPLE = new Set([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'string',
  'uuid',
  'binary',
  'variant',
]);

/**
 * Reads Iceberg schema JSON. Without "last-column-id" the largest id in the schema is taken, without "schema-id" 0.
 * Throws `invalid` (code "schema-json") with the path of the offending part, `unsupported` for types that tables of
 * this version never have.
 */
export function fromIcebergSchemaJson(text: string): TableSchema {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new MillraceError('invalid', `A table schema is not JSON: ${(cause as Error).message}`, {
      code: 'schema-json',
      cause,
    });
  }
  const ids = new Set<number>();
  const root = object(json, 'the schema');
  const type = readStruct(root, '', ids, 0);
  const schemaId = root['schema-id'] === undefined ? 0 : integer(root['schema-id'], '"schema-id"');
  const lastColumnId = root['last-column-id'] === undefined ? 0 : integer(root['last-column-id'], '"last-column-id"');
  let largest = lastColumnId;
  for (const id of ids) largest = Math.max(largest, id);
  return { schemaId, fields: type, lastColumnId: largest };
}

function readStruct(json: Record<string, unknown>, path: string, ids: Set<number>, depth: number): Field[] {
  const fields = json['fields'];
  if (!Array.isArray(fields)) throw bad(`${path || 'the schema'} has no "fields" list`);
  const names = new Set<string>();
  return fields.map((item: unknown, at): Field => {
    const field = object(item, `field ${at} of ${path || 'the schema'}`);
    const name = field['name'];
    if (typeof name !== 'string') throw bad(`field ${at} of ${path || 'the schema'} has no name`);
    const here = path ? `${path}.${name}` : name;
    if (names.has(name)) throw bad(`${here} is there twice`);
    names.add(name);
    const doc = field['doc'];
    const source = field['millrace-source'];
    const origin = field['millrace-origin'];
    return {
      id: takeId(field['id'], here, ids),
      name,
      type: readType(field['type'], here, ids, depth + 1),
      required: flag(field['required'], `${here}: "required"`),
      ...(typeof doc === 'string' ? { doc } : {}),
      ...(field['write-default'] == null ? {} : { writeDefault: field['write-default'] }),
      ...(source === 'key' || source === 'kafka' ? { source } : {}),
      ...(typeof origin === 'string' ? { origin } : {}),
    };
  });
}

function readType(json: unknown, path: string, ids: Set<number>, depth: number): ColumnType {
  if (depth > MAX_DEPTH) throw bad(`${path} is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof json === 'string') return readPrimitive(json, path);
  const type = object(json, `the type of ${path}`);
  switch (type['type']) {
    case 'struct':
      return { kind: 'struct', fields: readStruct(type, path, ids, depth) };
    case 'list':
      return {
        kind: 'list',
        elementId: takeId(type['element-id'], `${path}.element`, ids),
        element: readType(type['element'], `${path}.element`, ids, depth + 1),
        elementRequired: flag(type['element-required'], `${path}: "element-required"`),
      };
    case 'map':
      return {
        kind: 'map',
        keyId: takeId(type['key-id'], `${path}.key`, ids),
        key: readType(type['key'], `${path}.key`, ids, depth + 1),
        valueId: takeId(type['value-id'], `${path}.value`, ids),
        value: readType(type['value'], `${path}.value`, ids, depth + 1),
        valueRequired: flag(type['value-required'], `${path}: "value-required"`),
      };
    default:
      throw bad(`the type of ${path} is neither a name nor a struct, list or map`);
  }
}

function readPrimitive(name: string, path: string): PrimitiveType {
  if (SIMPLE.has(name)) return { kind: name } as PrimitiveType;
  if (name === 'timestamp' || name === 'timestamptz') return { kind: 'timestamp', adjusted: name === 'timestamptz' };
  if (name === 'timestamp_ns' || name === 'timestamptz_ns')
    return { kind: 'timestamp_ns', adjusted: name === 'timestamptz_ns' };
  const decimal = /^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$/.exec(name);
  if (decimal) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    if (precision < 1 || precision > 38 || scale > precision) throw bad(`${path} has an impossible type "${name}"`);
    return { kind: 'decimal', precision, scale };
  }
  const fixed = /^fixed\[(\d{1,9})\]$/.exec(name);
  if (fixed) return { kind: 'fixed', length: Number(fixed[1]) };
  throw new MillraceError(
    'unsupported',
    `Column ${path} has the type "${name.slice(0, 60)}", which no topic table has`,
    {
      code: 'schema-json',
      context: { field: path },
    },
  );
}

function takeId(value: unknown, path: string, ids: Set<number>): number {
  const id = integer(value, `the id of ${path}`);
  if (ids.has(id)) throw bad(`the id ${id} of ${path} is used twice`);
  ids.add(id);
  return id;
}

function integer(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw bad(`${what} is not a whole number`);
}

function flag(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw bad(`${what} is not true or false`);
  return value;
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw bad(`${what} is not an object`);
}

const bad = (what: string) => new MillraceError('invalid', `Table schema: ${what}`, { code: 'schema-json' });
