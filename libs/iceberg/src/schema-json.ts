import { isDeepStrictEqual } from 'node:util';
import { MillraceError } from '@millrace/base';

/** Schemas in the JSON form of the specification ("Schemas", appendix C); keys that we don't know stay. */
export interface SchemaJson extends StructJson {
  'schema-id': number;
  'identifier-field-ids'?: number[];
}

export interface StructJson {
  type: 'struct';
  fields: FieldJson[];
}

export interface FieldJson {
  id: number;
  name: string;
  required: boolean;
  type: TypeJson;
  doc?: string;
  'initial-default'?: unknown;
  'write-default'?: unknown;
}

export interface ListJson {
  type: 'list';
  'element-id': number;
  element: TypeJson;
  'element-required': boolean;
}

export interface MapJson {
  type: 'map';
  'key-id': number;
  key: TypeJson;
  'value-id': number;
  value: TypeJson;
  'value-required': boolean;
}

export type TypeJson = string | StructJson | ListJson | MapJson;

const V2_PRIMITIVE =
  /^(boolean|int|long|float|double|date|time|timestamp|timestamptz|string|uuid|binary|fixed\[\d+\]|decimal\(\s*\d+\s*,\s*\d+\s*\))$/;
const V3_PRIMITIVE = /^(variant|unknown|timestamp_ns|timestamptz_ns|geometry(\(.*\))?|geography(\(.*\))?)$/;
const MAX_DEPTH = 100;

export interface Leaf {
  id: number;
  /** Dotted, as in "address.city" and "tags.element". */
  path: string;
  type: TypeJson;
  field?: FieldJson;
}

/** Every id of a type in depth-first order: fields, list elements, map keys and values. */
export function* walkType(type: TypeJson, parent = '', depth = 0): Generator<Leaf> {
  if (typeof type === 'string') return;
  if (depth > MAX_DEPTH) throw invalid(`schema is nested deeper than ${MAX_DEPTH} levels at ${parent}`);
  const prefix = parent === '' ? '' : parent + '.';
  if (type.type === 'struct') {
    for (const field of type.fields) {
      yield { id: field.id, path: prefix + field.name, type: field.type, field };
      yield* walkType(field.type, prefix + field.name, depth + 1);
    }
  } else if (type.type === 'list') {
    yield { id: type['element-id'], path: prefix + 'element', type: type.element };
    yield* walkType(type.element, prefix + 'element', depth + 1);
  } else {
    yield { id: type['key-id'], path: prefix + 'key', type: type.key };
    yield* walkType(type.key, prefix + 'key', depth + 1);
    yield { id: type['value-id'], path: prefix + 'value', type: type.value };
    yield* walkType(type.value, prefix + 'value', depth + 1);
  }
}

/** The largest id in use, 0 for an empty schema. */
export function highestFieldId(schema: StructJson): number {
  let highest = 0;
  for (const leaf of walkType(schema)) highest = Math.max(highest, leaf.id);
  return highest;
}

/** The same columns, whatever the schema's id. */
export const sameSchema = (a: SchemaJson, b: SchemaJson): boolean =>
  isDeepStrictEqual(a.fields, b.fields) &&
  isDeepStrictEqual(a['identifier-field-ids'] ?? [], b['identifier-field-ids'] ?? []);

/**
 * Refuses a schema that breaks the specification for this format version: unknown or later types, ids or names used
 * twice, defaults before version 3, identifier fields that are optional or not there.
 */
export function checkSchema(schema: SchemaJson, formatVersion: number): void {
  if (schema.type !== 'struct' || !Array.isArray(schema.fields)) throw invalid('a schema must be a struct with fields');
  const byId = new Map<number, Leaf>();
  const paths = new Set<string>();
  for (const leaf of walkType(schema)) {
    if (!Number.isSafeInteger(leaf.id)) throw invalid(`field ${leaf.path} has no integer id`);
    const other = byId.get(leaf.id);
    if (other !== undefined) throw invalid(`Multiple entries with same key: ${leaf.id}=${other.path} and ${leaf.path}`);
    if (paths.has(leaf.path)) throw invalid(`multiple fields have the name ${leaf.path}`);
    byId.set(leaf.id, leaf);
    paths.add(leaf.path);
    checkType(leaf, formatVersion);
    if (formatVersion < 3 && leaf.field?.['initial-default'] != null) {
      throw invalid(`Invalid initial default for ${leaf.path}: non-null default is not supported until v3`);
    }
  }
  for (const id of schema['identifier-field-ids'] ?? []) {
    const leaf = byId.get(id);
    if (leaf === undefined) throw invalid(`Cannot add fieldId ${id} as an identifier field: field does not exist`);
    if (typeof leaf.type !== 'string' || leaf.field?.required !== true) {
      throw invalid(`Cannot add field ${leaf.path} as an identifier field: not a required primitive field`);
    }
  }
}

function checkType({ type, path }: Leaf, formatVersion: number): void {
  if (typeof type === 'string') {
    if (V2_PRIMITIVE.test(type)) return;
    if (!V3_PRIMITIVE.test(type)) throw invalid(`Cannot parse type string to primitive: ${type} (column ${path})`);
    if (formatVersion < 3) throw invalid(`Invalid type for ${path}: ${type} is not supported until v3`);
  } else if (type?.type !== 'struct' && type?.type !== 'list' && type?.type !== 'map') {
    throw invalid(`Cannot parse type of column ${path}`);
  }
}

/**
 * The same schema with ids 1, 2, … in Iceberg's order of creation (a struct's own fields first, then what is nested in
 * them), and the map from old ids to new ones.
 */
export function assignFreshIds(schema: SchemaJson): { schema: SchemaJson; newIds: Map<number, number> } {
  const newIds = new Map<number, number>();
  let last = 0;
  const next = (id: number): number => {
    newIds.set(id, ++last);
    return last;
  };
  const fresh = <T extends TypeJson>(type: T): T => {
    const node: TypeJson = type;
    if (typeof node === 'string') return type;
    if (node.type === 'struct') {
      const fields = node.fields.map((field) => ({ ...field, id: next(field.id) }));
      return { ...node, fields: fields.map((field) => ({ ...field, type: fresh(field.type) })) } as T;
    }
    if (node.type === 'list') {
      return { ...node, 'element-id': next(node['element-id']), element: fresh(node.element) } as T;
    }
    const ids = { 'key-id': next(node['key-id']), 'value-id': next(node['value-id']) };
    return { ...node, ...ids, key: fresh(node.key), value: fresh(node.value) } as T;
  };
  const result = fresh<SchemaJson>(schema);
  const identifiers = schema['identifier-field-ids'];
  if (identifiers !== undefined) result['identifier-field-ids'] = identifiers.map((id) => newIds.get(id) ?? id);
  return { schema: result, newIds };
}

const invalid = (message: string): MillraceError =>
  new MillraceError('invalid', message, { code: 'ValidationException' });
