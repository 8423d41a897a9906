import { MillraceError } from '@millrace/base';
import {
  type ColumnType,
  type Field,
  type JsonLeaf,
  type JsonObject,
  type JsonProperty,
  type JsonSchema,
  type JsonUnion,
  jsonColumnType,
  jsonDefault,
  jsonProperties,
  type TableSchema,
  typeName,
} from '@millrace/schema';
import { keyNames } from './avro-plan.ts';
import type { Absent, ColumnRef } from './avro-step.ts';
import type { JsonBranchStep, JsonField, JsonObjectStep, JsonPlan, JsonStep } from './json-step.ts';

/**
 * Matches a JSON Schema with a table's columns: properties by name; an integer also fits a decimal, double or int column,
 * a string of any format a string column. Throws `unsupported` (code "schema-mismatch") when a column can't take what is written.
 */
export function planJson(writer: JsonSchema | undefined, table: TableSchema, role: 'value' | 'key'): JsonPlan {
  const columns: ColumnRef[] = [];
  const own = table.fields
    .map((field, at) => ({ field, at }))
    .filter(({ field }) => field.source === (role === 'key' ? 'key' : undefined));
  const targets = own.map(({ field, at }) => ({ field, column: addRef(columns, [at], field.type, field.name) }));
  const top = targets.map(({ column }) => column);
  const rename = role === 'key' ? keyNames(own.map(({ field }) => field.name)) : (name: string) => name;
  if (writer?.kind === 'object')
    return { columns, top, root: planObject(columns, writer, undefined, targets, rename), absent: [] };
  const [whole] = jsonProperties(writer, role);
  const target = whole && targets.find(({ field }) => field.name === rename(whole.name));
  const root: JsonStep =
    whole && target ? planType(columns, whole.schema, target.column) : { kind: 'text', column: undefined };
  return { columns, top, root, absent: absentOf(targets.filter((other) => other !== target)) };
}

interface Target {
  field: Field;
  column: ColumnRef;
}

function planObject<C extends ColumnRef | undefined>(
  columns: ColumnRef[],
  object: JsonObject,
  column: C,
  targets: Target[],
  rename = (name: string) => name,
): JsonObjectStep & { column: C } {
  const taken = new Set<Target>();
  const fields = object.properties.flatMap((property): JsonField[] => {
    const target = targets.find(({ field }) => field.name === rename(property.name));
    if (target === undefined) return [];
    taken.add(target);
    return [planProperty(columns, property, target)];
  });
  return { kind: 'object', column, fields, absent: absentOf(targets.filter((target) => !taken.has(target))) };
}

function planProperty(columns: ColumnRef[], { name, schema, default: given }: JsonProperty, target: Target): JsonField {
  const { field, column } = target;
  if (field.required) throw mismatch(column, 'is required, but a JSON property may be left out');
  const fallback = given === undefined ? undefined : jsonDefault(schema, field.type, given);
  return { name, column, step: planType(columns, schema, column), default: fallback };
}

function absentOf(targets: Target[]): Absent[] {
  for (const { field, column } of targets)
    if (field.required && field.writeDefault === undefined)
      throw mismatch(column, 'is required and has no default, but the records lack it');
  return targets.map(({ field, column }) => ({ column, json: field.writeDefault }));
}

function planType(columns: ColumnRef[], schema: JsonSchema, column: ColumnRef): JsonStep {
  const { type } = column;
  switch (schema.kind) {
    case 'any':
      if (type.kind !== 'string' && type.kind !== 'variant') throw mismatch(column, 'can not take JSON text');
      return { kind: 'text', column };
    case 'object':
      if (type.kind !== 'struct') throw mismatch(column, 'can not take an object');
      return planObject(columns, schema, column, children(columns, column, type.fields));
    case 'union':
      if (type.kind !== 'struct') throw mismatch(column, 'can not take one of several objects');
      return planUnion(columns, schema, column, children(columns, column, type.fields));
    case 'array':
      if (type.kind !== 'list') throw mismatch(column, 'can not take an array');
      if (type.elementRequired) throw mismatch(column, 'must not have null in it, but JSON may');
      return {
        kind: 'list',
        column,
        item: planType(columns, schema.items, child(columns, column, 0, type.element, 'element')),
      };
    case 'map': {
      if (type.kind !== 'map' || type.key.kind !== 'string') throw mismatch(column, 'can not take a map');
      if (type.valueRequired) throw mismatch(column, 'must not have null in it, but JSON may');
      const key = child(columns, column, 0, type.key, 'key');
      const value = child(columns, column, 1, type.value, 'value');
      return { kind: 'map', column, key, value: planType(columns, schema.values, value) };
    }
    case 'none':
      throw new MillraceError('internal', 'A type without a column was planned', { code: 'assertion' });
    default:
      if (!fits(schema, type)) throw mismatch(column, `can not take ${typeName(jsonColumnType(schema))}`);
      return { kind: 'leaf', column, leaf: schema };
  }
}

function fits(leaf: JsonLeaf, type: ColumnType): boolean {
  if (typeName(jsonColumnType(leaf)) === typeName(type)) return true;
  switch (leaf.kind) {
    case 'integer':
      return ['int', 'decimal', 'double', 'float'].includes(type.kind);
    case 'decimal':
      return ['decimal', 'double', 'float'].includes(type.kind);
    case 'number':
      return type.kind === 'float';
    case 'string':
      return (
        type.kind === 'string' ||
        (type.kind === 'uuid' && leaf.format === 'uuid') ||
        (type.kind === 'time' && leaf.format === 'time')
      );
    case 'boolean':
      return false;
  }
}

function planUnion(columns: ColumnRef[], union: JsonUnion, column: ColumnRef, targets: Target[]): JsonStep {
  const taken = new Set<Target>();
  const branches = union.branches.map(({ name, object, property, values }): JsonBranchStep => {
    const target = targets.find(({ field }) => field.name === name);
    if (target === undefined) return { name, property, values, object: undefined };
    taken.add(target);
    const { type } = target.column;
    if (type.kind !== 'struct') throw mismatch(target.column, 'can not take an object');
    const below = children(columns, target.column, type.fields);
    return { name, property, values, object: planObject(columns, object, target.column, below) };
  });
  return { kind: 'union', column, branches, absent: absentOf(targets.filter((target) => !taken.has(target))) };
}

const children = (columns: ColumnRef[], column: ColumnRef, fields: Field[]): Target[] =>
  fields.map((field, at) => ({ field, column: child(columns, column, at, field.type, field.name) }));

const child = (columns: ColumnRef[], column: ColumnRef, at: number, type: ColumnType, name: string): ColumnRef =>
  addRef(columns, [...column.path, at], type, `${column.name}.${name}`);

function addRef(columns: ColumnRef[], path: number[], type: ColumnType, name: string): ColumnRef {
  const ref: ColumnRef = { index: columns.length, path, type, name };
  columns.push(ref);
  return ref;
}

const mismatch = (column: ColumnRef, why: string): MillraceError =>
  new MillraceError(
    'unsupported',
    `Column ${column.name} (${typeName(column.type)}) ${why}: the table has not followed the topic's schema`,
    { code: 'schema-mismatch', context: { field: column.name } },
  );
