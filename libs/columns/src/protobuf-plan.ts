import { MillraceError } from '@millrace/base';
import {
  type ColumnType,
  type Field,
  mapProtobuf,
  originOf,
  type PrimitiveType,
  type ProtobufMappedField,
  type ProtobufMessage,
  type ProtobufShape,
  type ProtobufWriter,
  type StructType,
  scalarColumn,
  type TableSchema,
  typeName,
} from '@millrace/schema';
import { keyNames } from './avro-plan.ts';
import type { Absent, ColumnRef } from './avro-step.ts';
import type { FieldStep, MessageStep, ProtobufPlan, ValueStep } from './protobuf-step.ts';

/**
 * Matches a writer's message with a table's columns: by message and field number where the column knows them, else by
 * name. int → long, double; float → double; string → binary; bytes → string. Throws `unsupported` (code
 * "schema-mismatch") when a column can't take what is written.
 */
export function planProtobuf(writer: ProtobufWriter, table: TableSchema, role: 'value' | 'key'): ProtobufPlan {
  const columns: ColumnRef[] = [];
  const targets = table.fields
    .map((field, at) => ({ field, at }))
    .filter(({ field }) => field.source === (role === 'key' ? 'key' : undefined))
    .map(({ field, at }): Target => ({ field, column: addRef(columns, [at], field.type, field.name) }));
  const shape = mapProtobuf(writer.message, writer.nanos);
  const plan = {
    columns,
    top: targets.map(({ column }) => column),
    types: writer.types,
    nanos: writer.nanos ?? 'exact',
  };
  const rename = role === 'key' ? keyNames(targets.map(({ field }) => field.name)) : (name: string) => name;
  if (shape.kind === 'struct') {
    const root = planMessage(columns, shape, targets, rename);
    return { ...plan, root, absent: [] };
  }
  const name = rename(role);
  const target = targets.find(({ field }) => field.name === name);
  const absent = absentOf(targets.filter((other) => other !== target));
  if (target === undefined) return { ...plan, root: { kind: 'skip' }, absent };
  return { ...plan, root: planMessageValue(columns, shape, writer.message, target.column), absent };
}

interface Target {
  field: Field;
  column: ColumnRef;
}

function planMessage(
  columns: ColumnRef[],
  { message, fields }: ProtobufShape & { kind: 'struct' },
  targets: Target[],
  rename = (name: string) => name,
  column?: ColumnRef,
): MessageStep {
  const taken = matchFields(message, fields, targets, rename);
  const left = new Set(targets);
  const steps: FieldStep[] = [];
  for (const mapped of fields) {
    const target = taken.get(mapped);
    if (target) left.delete(target);
    if (target) steps.push(planField(columns, mapped, target));
    else if (mapped.field.oneof !== undefined) steps.push({ field: mapped.field, value: { kind: 'skip' } });
  }
  steps.sort((a, b) => a.field.number - b.field.number);
  return { kind: 'message', ...(column ? { column } : {}), fields: steps, absent: absentOf([...left]) };
}

function matchFields(
  message: ProtobufMessage,
  fields: ProtobufMappedField[],
  targets: Target[],
  rename: (name: string) => string,
): Map<ProtobufMappedField, Target> {
  const taken = new Map<ProtobufMappedField, Target>();
  const free = new Set(targets);
  const take = (mapped: ProtobufMappedField, fits: (target: Target) => boolean): void => {
    const target = taken.has(mapped) ? undefined : [...free].find(fits);
    if (target === undefined) return;
    taken.set(mapped, target);
    free.delete(target);
  };
  for (const mapped of fields) take(mapped, ({ field }) => field.origin === originOf(message, mapped.field));
  for (const mapped of fields) take(mapped, ({ field }) => field.name === rename(mapped.field.name));
  return taken;
}

function absentOf(targets: Target[]): Absent[] {
  for (const { field, column } of targets)
    if (field.required && field.writeDefault === undefined)
      throw mismatch(column, 'is required and has no default, but the records lack it');
  return targets.map(({ field, column }) => ({ column, json: field.writeDefault }));
}

function planField(
  columns: ColumnRef[],
  { field, shape }: ProtobufMappedField,
  { field: to, column }: Target,
): FieldStep {
  const { type } = column;
  if (field.cardinality === 'list') {
    if (type.kind !== 'list') throw mismatch(column, 'can not take a repeated field');
    const element = child(columns, column, 0, type.element, 'element');
    return { field, column, value: planValue(columns, field, shape, element) };
  }
  if (field.cardinality === 'map') {
    if (type.kind !== 'map' || typeName(type.key) !== typeName(scalarColumn(field.key!)))
      throw mismatch(column, 'can not take a map');
    const key = child(columns, column, 0, type.key, 'key');
    const value = child(columns, column, 1, type.value, 'value');
    return { field, column, key, value: planValue(columns, field, shape, value) };
  }
  if (to.required && field.presence === 'explicit')
    throw mismatch(column, 'is required, but the records may have none of it');
  return { field, column, value: planValue(columns, field, shape, column) };
}

function planValue(
  columns: ColumnRef[],
  { type }: ProtobufMappedField['field'],
  shape: ProtobufShape,
  column: ColumnRef,
): ValueStep {
  if (type.kind === 'message') return planMessageValue(columns, shape, type, column);
  if (shape.kind === 'leaf') checkLeaf(shape.column, column);
  return type.kind === 'enum' ? { kind: 'enum', column, type } : { kind: 'scalar', column, scalar: type.scalar };
}

function planMessageValue(
  columns: ColumnRef[],
  shape: ProtobufShape,
  message: ProtobufMessage,
  column: ColumnRef,
): ValueStep {
  const { type } = column;
  switch (shape.kind) {
    case 'struct':
      if (type.kind !== 'struct') throw mismatch(column, 'can not take a message');
      return planMessage(columns, shape, children(columns, column, type), undefined, column);
    case 'json':
      if (type.kind !== 'string' && type.kind !== 'variant')
        throw mismatch(column, 'can not take the JSON text of a message');
      return { kind: 'json', column, message };
    case 'wrapper': {
      checkLeaf(shape.column, column);
      const field = message.fields[0]!;
      const value: ValueStep = {
        kind: 'scalar',
        column,
        scalar: field.type.kind === 'scalar' ? field.type.scalar : 'bytes',
      };
      return { kind: 'message', wrapper: column, fields: [{ field, column, value }], absent: [] };
    }
    case 'leaf':
      throw new MillraceError('internal', 'A message was planned as a scalar', { code: 'assertion' });
    default:
      if (typeName(shape.column) !== typeName(type)) throw mismatch(column, `can not take ${message.fullName}`);
      return { kind: shape.kind, column, message };
  }
}

const children = (columns: ColumnRef[], column: ColumnRef, type: StructType): Target[] =>
  type.fields.map((field, at) => ({ field, column: child(columns, column, at, field.type, field.name) }));

const child = (columns: ColumnRef[], column: ColumnRef, at: number, type: ColumnType, name: string): ColumnRef =>
  addRef(columns, [...column.path, at], type, `${column.name}.${name}`);

function addRef(columns: ColumnRef[], path: number[], type: ColumnType, name: string): ColumnRef {
  const ref: ColumnRef = { index: columns.length, path, type, name };
  columns.push(ref);
  return ref;
}

const PROMOTIONS: Partial<Record<ColumnType['kind'], readonly string[]>> = {
  int: ['long', 'double'],
  float: ['double'],
  string: ['binary'],
  binary: ['string'],
};

function checkLeaf(written: PrimitiveType, column: ColumnRef): void {
  if (typeName(written) === typeName(column.type)) return;
  if (!PROMOTIONS[written.kind]?.includes(column.type.kind))
    throw mismatch(column, `can not take ${typeName(written)}`);
}

const mismatch = (column: ColumnRef, why: string): MillraceError =>
  new MillraceError(
    'unsupported',
    `Column ${column.name} (${typeName(column.type)}) ${why}: the table has not followed the topic's schema`,
    { code: 'schema-mismatch', context: { field: column.name } },
  );
