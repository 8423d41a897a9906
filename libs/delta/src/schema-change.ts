import { MillraceError } from '@millrace/base';
import type { DeltaField, DeltaStruct, DeltaType } from './schema.ts';

export interface SchemaChange {
  schema: DeltaStruct;
  /** Paths of columns that were not there: "payload.note". */
  added: string[];
}

/** One entry of `delta.typeChanges` (protocol, "Type Change Metadata"). */
interface TypeChange {
  fromType: string;
  toType: string;
  fieldPath?: string;
}

/**
 * The table's schema once `wanted` is in it. What is in the table stays: a column that `wanted` lacks, a comment or
 * other metadata that a column has, nullability. A wider type is taken over and recorded in the column's metadata,
 * which makes the table need `typeWidening`; any other change of type is `unsupported` (code "delta-type-change",
 * context "field").
 */
export function evolveSchema(now: DeltaStruct, wanted: DeltaStruct): SchemaChange {
  const added: string[] = [];
  return { schema: evolveStruct(now, wanted, '', added), added };
}

function evolveStruct(now: DeltaStruct, wanted: DeltaStruct, parent: string, added: string[]): DeltaStruct {
  const old = new Map(now.fields.map((field) => [field.name, field]));
  const fields = wanted.fields.map((field): DeltaField => {
    const path = parent + field.name;
    const before = old.get(field.name);
    if (before === undefined) {
      added.push(path);
      return { ...field, nullable: true };
    }
    old.delete(field.name);
    const changes: TypeChange[] = [];
    const type = evolveType(before.type, field.type, path, '', changes, added);
    const known = (before.metadata['delta.typeChanges'] as TypeChange[] | undefined) ?? [];
    const metadata = { ...field.metadata, ...before.metadata };
    if (changes.length > 0) metadata['delta.typeChanges'] = [...known, ...changes];
    return { name: field.name, type, nullable: before.nullable || field.nullable, metadata };
  });
  return { type: 'struct', fields: [...fields, ...old.values()] };
}

function evolveType(
  now: DeltaType,
  wanted: DeltaType,
  path: string,
  fieldPath: string,
  changes: TypeChange[],
  added: string[],
): DeltaType {
  const inside = (step: string) => (fieldPath === '' ? step : `${fieldPath}.${step}`);
  if (typeof now === 'string' && typeof wanted === 'string') {
    if (now === wanted) return now;
    if (!isWider(now, wanted)) throw refusal(path, now, wanted);
    changes.push({ fromType: now, toType: wanted, ...(fieldPath === '' ? {} : { fieldPath }) });
    return wanted;
  }
  if (typeof now === 'string' || typeof wanted === 'string') throw refusal(path, now, wanted);
  if (now.type === 'struct' && wanted.type === 'struct') return evolveStruct(now, wanted, `${path}.`, added);
  if (now.type === 'array' && wanted.type === 'array') {
    return {
      type: 'array',
      elementType: evolveType(now.elementType, wanted.elementType, path, inside('element'), changes, added),
      containsNull: now.containsNull || wanted.containsNull,
    };
  }
  if (now.type === 'map' && wanted.type === 'map') {
    return {
      type: 'map',
      keyType: evolveType(now.keyType, wanted.keyType, path, inside('key'), changes, added),
      valueType: evolveType(now.valueType, wanted.valueType, path, inside('value'), changes, added),
      valueContainsNull: now.valueContainsNull || wanted.valueContainsNull,
    };
  }
  throw refusal(path, now, wanted);
}

/** The changes that Delta and Iceberg both have (protocol, "Type Widening"). */
function isWider(now: string, wanted: string): boolean {
  if (now === 'integer') return wanted === 'long';
  if (now === 'float') return wanted === 'double';
  if (now === 'date') return wanted === 'timestamp_ntz';
  const from = /^decimal\((\d+),(\d+)\)$/.exec(now);
  const to = /^decimal\((\d+),(\d+)\)$/.exec(wanted);
  return from !== null && to !== null && from[2] === to[2] && Number(to[1]) > Number(from[1]);
}

const refusal = (field: string, now: DeltaType, wanted: DeltaType) =>
  new MillraceError(
    'unsupported',
    `column ${JSON.stringify(field)} can't change from ${JSON.stringify(now)} to ${JSON.stringify(wanted)} in a Delta table; give the new values a column of their own`,
    { code: 'delta-type-change', context: { field } },
  );
