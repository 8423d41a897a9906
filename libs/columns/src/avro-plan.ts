import { MillraceError } from '@millrace/base';
import {
  type AvroType,
  type ColumnType,
  type Field,
  type Mapped,
  type MappedField,
  type StructType,
  type TableSchema,
  topLevelFields,
  typeName,
} from '@millrace/schema';
import type { Absent, Branch, ColumnRef, Plan, Step } from './avro-step.ts';
import { leastBytes } from './avro-value.ts';

/**
 * Matches a writer schema with a table's columns (Avro specification, "Schema Resolution", with the table as the reader):
 * by name, or by a name among the writer field's aliases; int → long, float, double; long → float, double; float →
 * double; string ↔ bytes. Throws `unsupported` (code "schema-mismatch") when a column can't take what is written.
 */
export function planAvro(writer: AvroType, table: TableSchema, role: 'value' | 'key'): Plan {
  const columns: ColumnRef[] = [];
  const fields = table.fields
    .map((field, at) => ({ field, at }))
    .filter(({ field }) => field.source === (role === 'key' ? 'key' : undefined));
  const planner: Planner = { columns };
  const top = fields.map(({ field, at }) => addRef(planner, [at], field.type, field.name));
  const mapped = topLevelFields(writer, role);
  const targets = fields.map(({ field }, at) => ({ field, column: top[at]! }));
  const rename = role === 'key' ? keyNames(targets.map(({ field }) => field.name)) : (name: string) => name;
  return { columns, top, root: planRoot(planner, writer, mapped, targets, rename) };
}

interface Planner {
  columns: ColumnRef[];
}

interface Target {
  field: Field;
  column: ColumnRef;
}

// A key column has "key_" before its name where the value's column has the name.
export const keyNames = (names: string[]) => {
  const known = new Set(names);
  return (name: string): string => {
    let found = name;
    while (!known.has(found) && found.length < name.length + 64) found = `key_${found}`;
    return known.has(found) ? found : name;
  };
};

function planRoot(
  planner: Planner,
  writer: AvroType,
  mapped: MappedField[],
  targets: Target[],
  rename: (name: string) => string,
): Step {
  if (mapped.length === 1 && mapped[0]!.field === undefined) {
    const name = rename(mapped[0]!.name);
    const target = targets.find(({ field }) => field.name === name);
    const absent = absentOf(targets.filter((other) => other !== target));
    if (target === undefined)
      return { kind: 'record', fields: [{ name: '', step: { kind: 'skip', avro: writer } }], absent };
    return { kind: 'record', fields: [{ name, step: planField(planner, mapped[0]!, target) }], absent };
  }
  if (writer.kind === 'union') return planNullableRecord(planner, writer.branches, mapped, targets, rename);
  if (writer.kind === 'record')
    return planRecord(
      planner,
      writer.fields.map((field) => field.type),
      mapped,
      targets,
      rename,
    );
  return { kind: 'record', fields: [{ name: '', step: { kind: 'skip', avro: writer } }], absent: absentOf(targets) };
}

// A value schema [null, record]: the record's fields are the columns, all null for null.
function planNullableRecord(
  planner: Planner,
  branches: AvroType[],
  mapped: MappedField[],
  targets: Target[],
  rename: (name: string) => string,
): Step {
  return {
    kind: 'union',
    branches: branches.map((branch): Branch => {
      if (branch.kind !== 'record')
        return { name: 'null', nulls: targets.map((target) => target.column), step: { kind: 'skip', avro: branch } };
      return {
        name: '',
        nulls: [],
        step: planRecord(
          planner,
          branch.fields.map((field) => field.type),
          mapped,
          targets,
          rename,
        ),
      };
    }),
  };
}

function planRecord(
  planner: Planner,
  written: AvroType[],
  mapped: MappedField[],
  targets: Target[],
  rename = (name: string) => name,
): Step {
  const taken = new Map<number, Target>();
  const exact = new Set<Target>();
  for (const field of mapped) {
    const target = targets.find((other) => other.field.name === rename(field.name));
    if (target) {
      taken.set(field.position, target);
      exact.add(target);
    }
  }
  for (const field of mapped) {
    if (taken.has(field.position)) continue;
    const target = targets.find(
      (other) => !exact.has(other) && field.field?.aliases?.some((alias) => rename(alias) === other.field.name),
    );
    if (!target) continue;
    taken.set(field.position, target);
    exact.add(target);
  }
  return {
    kind: 'record',
    fields: written.map((avro, position) => {
      const field = mapped.find((other) => other.position === position);
      const target = taken.get(position);
      if (field === undefined || target === undefined) return { name: field?.name ?? '', step: { kind: 'skip', avro } };
      return { name: field.name, step: planField(planner, field, target) };
    }),
    absent: absentOf(targets.filter((target) => !exact.has(target))),
  };
}

function absentOf(targets: Target[]): Absent[] {
  for (const { field, column } of targets)
    if (field.required && field.writeDefault === undefined)
      throw mismatch(column, 'is required and has no default, but the records lack it');
  return targets.map(({ field, column }) => ({ column, json: field.writeDefault }));
}

function planField(planner: Planner, field: MappedField, target: Target): Step {
  if (field.mapped.optional && target.field.required)
    throw mismatch(target.column, 'is required, but the records may have null in it');
  return planType(planner, field.avro, field.mapped, target.column);
}

function planType(planner: Planner, avro: AvroType, mapped: Mapped, column: ColumnRef): Step {
  if (avro.kind === 'union') return planUnion(planner, avro.branches, mapped, column);
  const { type } = column;
  switch (mapped.kind) {
    case 'leaf':
      checkLeaf(avro, mapped.column, column);
      return avro.kind === 'enum' ? { kind: 'enum', column, avro } : { kind: 'leaf', column, avro };
    case 'json':
      if (type.kind !== 'string' && type.kind !== 'variant')
        throw mismatch(column, 'can not take the JSON text of a recursive or empty value');
      return { kind: 'json', column, avro };
    case 'record':
      if (type.kind !== 'struct' || avro.kind !== 'record') throw mismatch(column, 'can not take a record');
      return planRecord(
        planner,
        avro.fields.map((field) => field.type),
        mapped.fields,
        children(planner, column, type),
      );
    case 'duration':
      if (type.kind !== 'struct' || type.fields.length !== 3 || type.fields.some((field) => field.type.kind !== 'long'))
        throw mismatch(column, 'can not take a duration');
      return { kind: 'duration', parts: children(planner, column, type).map((target) => target.column) };
    case 'list': {
      if (type.kind !== 'list' || avro.kind !== 'array') throw mismatch(column, 'can not take an array');
      const element = child(planner, column, 0, type.element, 'element');
      if (type.elementRequired && mapped.item.optional)
        throw mismatch(element, 'is required, but the records may have null in it');
      return {
        kind: 'list',
        column,
        item: planType(planner, avro.items, mapped.item, element),
        itemBytes: leastBytes(avro.items),
      };
    }
    case 'map': {
      if (type.kind !== 'map' || type.key.kind !== 'string' || avro.kind !== 'map')
        throw mismatch(column, 'can not take a map');
      const key = child(planner, column, 0, type.key, 'key');
      const value = child(planner, column, 1, type.value, 'value');
      if (type.valueRequired && mapped.value.optional)
        throw mismatch(value, 'is required, but the records may have null in it');
      return {
        kind: 'map',
        column,
        key,
        value: planType(planner, avro.values, mapped.value, value),
        itemBytes: 1 + leastBytes(avro.values),
      };
    }
    default:
      throw new MillraceError('internal', 'A type without a column was planned', { code: 'assertion' });
  }
}

function planUnion(planner: Planner, branches: AvroType[], mapped: Mapped, column: ColumnRef): Step {
  if (mapped.kind === 'union') return planBranches(planner, branches, mapped.fields, column);
  return {
    kind: 'union',
    branches: branches.map((branch): Branch => {
      if (branch.kind === 'null') return { name: 'null', nulls: [column], step: { kind: 'skip', avro: branch } };
      return { name: '', nulls: [], step: planType(planner, branch, mapped, column) };
    }),
  };
}

function planBranches(planner: Planner, branches: AvroType[], fields: MappedField[], column: ColumnRef): Step {
  if (column.type.kind !== 'struct') throw mismatch(column, 'can not take a union of several types');
  const targets = children(planner, column, column.type);
  return {
    kind: 'union',
    branches: branches.map((branch, position): Branch => {
      const field = fields.find((other) => other.position === position);
      if (field === undefined) return { name: 'null', nulls: [column], step: { kind: 'skip', avro: branch } };
      const target = targets.find((other) => other.field.name === field.name);
      const nulls = targets.filter((other) => other !== target).map((other) => other.column);
      if (target === undefined) return { name: field.name, nulls, step: { kind: 'skip', avro: branch } };
      return { name: field.name, nulls, step: planField(planner, field, target) };
    }),
  };
}

const children = (planner: Planner, column: ColumnRef, type: StructType): Target[] =>
  type.fields.map((field, at) => ({ field, column: child(planner, column, at, field.type, field.name) }));

const child = (planner: Planner, column: ColumnRef, at: number, type: ColumnType, name: string): ColumnRef =>
  addRef(planner, [...column.path, at], type, `${column.name}.${name}`);

function addRef(planner: Planner, path: number[], type: ColumnType, name: string): ColumnRef {
  const ref: ColumnRef = { index: planner.columns.length, path, type, name };
  planner.columns.push(ref);
  return ref;
}

const PROMOTIONS: Record<string, readonly string[]> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['binary'],
  bytes: ['string'],
};

function checkLeaf(avro: AvroType, mapped: ColumnType, column: ColumnRef): void {
  if (typeName(mapped) === typeName(column.type)) return;
  const logical = 'logical' in avro && avro.logical !== undefined;
  if (!logical && PROMOTIONS[avro.kind]?.includes(column.type.kind)) return;
  throw mismatch(column, `can not take ${typeName(mapped)}`);
}

const mismatch = (column: ColumnRef, why: string): MillraceError =>
  new MillraceError(
    'unsupported',
    `Column ${column.name} (${typeName(column.type)}) ${why}: the table has not followed the topic's schema`,
    {
      code: 'schema-mismatch',
      context: { field: column.name },
    },
  );
