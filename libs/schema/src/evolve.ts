import { MillraceError } from '@millrace/base';
import { freshType, type NextId } from './field-ids.ts';
import { typeName } from './iceberg-json.ts';
import type { ColumnType, Field, TableSchema } from './table-schema.ts';

export interface SchemaChange {
  kind: 'add' | 'relax' | 'reorder' | 'doc' | 'default';
  /** The field's path: "customer.address.zip"; "items.element.sku" inside a list. Empty: the top level's order. */
  path: string;
}

/**
 * The table's schema once a newer schema of its topic (as deriveTableSchema gives it) is part of it. Fields are matched
 * by name at every depth, Protobuf's by message and number before that. Accepted, and no more than this:
 *
 * - a field that the table lacks is added, optional, with ids after `lastColumnId`; its default becomes the writeDefault
 * - a field that the topic no longer has stays, optional from then on, after the others
 * - required becomes optional (never back)
 * - another order: the table follows, ids stay; new docs and defaults are taken over
 *
 * Refused: any other type, also a wider one (int → long and the like), and a column that would come from the key instead
 * of the value or the other way round. A rename
 * reads as one field gone and one added; that of a Protobuf field changes nothing, the column keeps its name. `schemaId` is one higher when
 * anything changed; without changes the current schema itself is returned.
 * Throws `unsupported` (code "schema-change-refused") naming field, old type, new type and what to do.
 */
export function evolveTableSchema(
  current: TableSchema,
  incoming: TableSchema,
): { schema: TableSchema; changes: SchemaChange[] } {
  const changes: SchemaChange[] = [];
  let lastColumnId = current.lastColumnId;
  const fields = mergeFields(current.fields, incoming.fields, '', { changes, next: () => ++lastColumnId });
  if (changes.length === 0) return { schema: current, changes };
  return { schema: { schemaId: current.schemaId + 1, fields, lastColumnId }, changes };
}

interface Merge {
  changes: SchemaChange[];
  next: NextId;
}

function mergeFields(current: Field[], written: Field[], path: string, merge: Merge): Field[] {
  const incoming = named(current, written, path);
  const byName = new Map(current.map((field) => [field.name, field]));
  const merged = incoming.map((field): Field => {
    const known = byName.get(field.name);
    return known
      ? mergeField(known, field, join(path, field.name), merge)
      : { ...field, id: merge.next(), required: false };
  });
  // Iceberg's order again: what is nested in the new fields comes after all of them.
  const names = new Set(incoming.map((field) => field.name));
  for (const [at, field] of merged.entries()) {
    if (byName.has(field.name)) continue;
    const clash = current.find((old) => old.name.toLowerCase() === field.name.toLowerCase());
    if (clash)
      throw refused(
        join(path, field.name),
        clash.name,
        field.name,
        'engines that ignore case would see one column twice',
      );
    merge.changes.push({ kind: 'add', path: join(path, field.name) });
    merged[at] = withFreshIds(field, merge.next);
  }
  // A field that is gone stays behind the one that it stood behind, so leaving one out moves nothing.
  for (const [at, field] of current.entries()) {
    if (names.has(field.name)) continue;
    const before = at === 0 ? -1 : merged.findIndex((other) => other.id === current[at - 1]!.id);
    const required = relax(field.required, false, join(path, field.name), merge);
    merged.splice(before + 1, 0, { ...field, required });
  }
  const order = merged.filter((field) => byName.has(field.name));
  if (order.some((field, at) => field.id !== current[at]!.id)) merge.changes.push({ kind: 'reorder', path });
  return merged;
}

// A Protobuf field that has got another name, and still its number, is the column that it was: under the name that the
// table has for it, because Delta tables know columns by name alone.
function named(current: Field[], incoming: Field[], path: string): Field[] {
  const fields = incoming.map((field) => {
    const known = current.find((other) => other.origin === field.origin && other.source === field.source);
    return field.origin === undefined || known === undefined ? field : { ...field, name: known.name };
  });
  for (const [at, { name }] of fields.entries())
    if (fields.findIndex((other) => other.name === name) !== at)
      throw refused(
        join(path, name),
        `field ${fields.find((other) => other.name === name)!.origin}`,
        `field ${fields[at]!.origin}`,
        'one name can not stand for two fields',
      );
  return fields;
}

function mergeField(current: Field, incoming: Field, path: string, merge: Merge): Field {
  if (current.source !== incoming.source)
    throw refused(
      path,
      `the ${current.source ?? 'value'}'s`,
      `the ${incoming.source ?? 'value'}'s`,
      'its rows would mix two meanings',
    );
  const type = mergeType(current.type, incoming.type, path, merge);
  const merged: Field = { ...current, type, required: relax(current.required, incoming.required, path, merge) };
  if (current.doc === undefined && incoming.doc !== undefined) {
    merged.doc = incoming.doc;
    merge.changes.push({ kind: 'doc', path });
  }
  if (current.writeDefault === undefined && incoming.writeDefault !== undefined) {
    merged.writeDefault = moveDefault(incoming.writeDefault, incoming.type, type);
    merge.changes.push({ kind: 'default', path });
  }
  return merged;
}

function mergeType(current: ColumnType, incoming: ColumnType, path: string, merge: Merge): ColumnType {
  if (current.kind === 'struct' && incoming.kind === 'struct')
    return { kind: 'struct', fields: mergeFields(current.fields, incoming.fields, path, merge) };
  if (current.kind === 'list' && incoming.kind === 'list') {
    const here = join(path, 'element');
    const element = mergeType(current.element, incoming.element, here, merge);
    return {
      ...current,
      element,
      elementRequired: relax(current.elementRequired, incoming.elementRequired, here, merge),
    };
  }
  if (current.kind === 'map' && incoming.kind === 'map') {
    const here = join(path, 'value');
    const [from, to] = [typeName(current.key), typeName(incoming.key)];
    if (from !== to) throw refused(join(path, 'key'), from, to, 'the type of a map’s key can not change');
    const value = mergeType(current.value, incoming.value, here, merge);
    return { ...current, value, valueRequired: relax(current.valueRequired, incoming.valueRequired, here, merge) };
  }
  const [from, to] = [typeName(current), typeName(incoming)];
  if (from === to) return current;
  throw refused(path, from, to, 'this version of Millrace does not change the type of a column');
}

function relax(current: boolean, incoming: boolean, path: string, merge: Merge): boolean {
  if (current && !incoming) merge.changes.push({ kind: 'relax', path });
  return current && incoming;
}

function withFreshIds(field: Field, next: NextId): Field {
  const type = freshType(field.type, next);
  if (field.writeDefault === undefined) return { ...field, type };
  return { ...field, type, writeDefault: moveDefault(field.writeDefault, field.type, type) };
}

// A struct's default is keyed by field id: the same value under the ids of the type that it moves to, by position or name.
function moveDefault(value: unknown, from: ColumnType, to: ColumnType): unknown {
  if (from.kind === 'struct' && to.kind === 'struct') {
    const values = value as Record<string, unknown>;
    return Object.fromEntries(
      from.fields
        .filter((field) => values[field.id] !== undefined)
        .map((field) => {
          const target = to.fields.find((other) => other.name === field.name)!;
          return [target.id, moveDefault(values[field.id], field.type, target.type)];
        }),
    );
  }
  if (from.kind === 'list' && to.kind === 'list')
    return (value as unknown[]).map((item) => moveDefault(item, from.element, to.element));
  if (from.kind === 'map' && to.kind === 'map') {
    const { keys, values } = value as { keys: unknown[]; values: unknown[] };
    return { keys, values: values.map((item) => moveDefault(item, from.value, to.value)) };
  }
  return value;
}

const join = (path: string, name: string): string => (path ? `${path}.${name}` : name);

const refused = (path: string, from: string, to: string, why: string) =>
  new MillraceError(
    'unsupported',
    `The topic's schema changes column ${path} from ${from} to ${to}, which the table can't follow: ${why}. ` +
      'Add a field with a new name and the new type, or change the schema back, then resume the topic',
    { code: 'schema-change-refused', context: { field: path, from, to } },
  );
