import { MillraceError } from '@millrace/base';
import { writeDefaultOf } from './avro-default.ts';
import { DURATION_FIELDS, type Mapped, type MappedField, mapAvro } from './avro-mapping.ts';
import type { AvroType } from './avro-schema.ts';
import type { ColumnType, Field } from './table-schema.ts';
import { newField, type TopField } from './top-field.ts';

/** The top-level columns that an Avro schema gives, with its defaults. */
export const avroTopFields = (schema: AvroType, role: 'value' | 'key'): TopField[] =>
  topLevelFields(schema, role).map((mapped) => ({
    field: fieldOf(mapped),
    complete: (field) => withDefaults(field, mapped),
  }));

/**
 * The top-level columns that an Avro schema gives: a record's fields, otherwise one named by the role. A union of one
 * record and null counts as the record: its null is the record without a value. Null alone has none.
 */
export function topLevelFields(schema: AvroType, role: 'value' | 'key'): MappedField[] {
  const mapped = mapAvro(schema, `the ${role}`);
  if (mapped.kind === 'record') return mapped.fields;
  if (
    mapped.kind === 'none' ||
    (schema.kind === 'record' && schema.fields.every((field) => mapAvro(field.type).kind === 'none'))
  )
    return [];
  return [{ name: role, position: 0, avro: schema, mapped }];
}

const fieldOf = (mapped: MappedField): Field =>
  newField(mapped.name, columnType(mapped.mapped), !mapped.mapped.optional, mapped.field?.doc);

/** The column type of a mapped Avro type, ids still 0. */
export function columnType(mapped: Mapped): ColumnType {
  switch (mapped.kind) {
    case 'leaf':
      return mapped.column;
    case 'json':
      return { kind: 'string' };
    case 'record':
    case 'union':
      return { kind: 'struct', fields: mapped.fields.map(fieldOf) };
    case 'duration':
      return { kind: 'struct', fields: DURATION_FIELDS.map((name) => newField(name, { kind: 'long' }, true)) };
    case 'list':
      return { kind: 'list', elementId: 0, element: columnType(mapped.item), elementRequired: !mapped.item.optional };
    case 'map':
      return {
        kind: 'map',
        keyId: 0,
        key: { kind: 'string' },
        valueId: 0,
        value: columnType(mapped.value),
        valueRequired: !mapped.value.optional,
      };
    case 'none':
      throw new MillraceError('internal', 'A type without a column was asked for one', { code: 'assertion' });
  }
}

function withDefaults(field: Field, mapped: MappedField | undefined): Field {
  if (mapped === undefined) return field;
  const type = typeWithDefaults(field.type, mapped.mapped);
  const written = mapped.field?.default;
  const writeDefault = written === undefined ? undefined : writeDefaultOf(mapped.avro, mapped.mapped, type, written);
  return { ...field, type, ...(writeDefault === undefined ? {} : { writeDefault }) };
}

function typeWithDefaults(type: ColumnType, mapped: Mapped): ColumnType {
  if (type.kind === 'struct' && (mapped.kind === 'record' || mapped.kind === 'union'))
    return { kind: 'struct', fields: type.fields.map((field, at) => withDefaults(field, mapped.fields[at])) };
  if (type.kind === 'list' && mapped.kind === 'list')
    return { ...type, element: typeWithDefaults(type.element, mapped.item) };
  if (type.kind === 'map' && mapped.kind === 'map')
    return { ...type, value: typeWithDefaults(type.value, mapped.value) };
  return type;
}
