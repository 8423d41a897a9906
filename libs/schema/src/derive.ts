import { MillraceError } from '@millrace/base';
import { writeDefaultOf } from './avro-default.ts';
import { DURATION_FIELDS, type Mapped, type MappedField, mapAvro } from './avro-mapping.ts';
import type { AvroType } from './avro-schema.ts';
import { assignFreshIds } from './field-ids.ts';
import { KAFKA_COLUMN, kafkaColumn } from './kafka-struct.ts';
import type { ColumnType, Field, TableSchema } from './table-schema.ts';

/** How a topic's keys or values are encoded, with their newest schema. `none`: no column. */
export type ColumnSource = { encoding: 'avro'; schema: AvroType } | { encoding: 'bytes' | 'string' | 'none' };

export interface TableSource {
  value: ColumnSource;
  key: ColumnSource;
  /** Parts of `_kafka`; all when empty. */
  kafkaColumns?: readonly string[];
}

/**
 * The schema of a topic's table (type mapping version 1, portable): the value's fields, the key's fields (`key_` before
 * the name where the value, or `_kafka`, has it already), `_kafka`. What is not an Avro record is one column, `value` or
 * `key`. Top-level columns are optional whatever the topic's schema says; below that, required is what Avro says.
 * Throws `unsupported` for what no table can hold.
 */
export function deriveTableSchema(source: TableSource): TableSchema {
  const value = topFields(source.value, 'value');
  const taken = new Set([KAFKA_COLUMN, ...value.map((top) => top.field.name.toLowerCase())]);
  if (taken.size !== value.length + 1)
    throw new MillraceError(
      'unsupported',
      `The value has a field ${KAFKA_COLUMN}, the name of the column for Kafka's metadata: rename it`,
      {
        code: 'column-name-clash',
      },
    );
  const key = topFields(source.key, 'key').map((top) => {
    let name = top.field.name;
    while (taken.has(name.toLowerCase())) name = `key_${name}`;
    taken.add(name.toLowerCase());
    return { ...top, field: { ...top.field, name, source: 'key' as const } };
  });
  let lastColumnId = 0;
  const tops = [...value, ...key];
  const fields = assignFreshIds(
    [...tops.map((top) => top.field), kafkaColumn(source.kafkaColumns)],
    () => ++lastColumnId,
  );
  return {
    schemaId: 0,
    fields: fields.map((field, at) => (tops[at] ? withDefaults(field, tops[at].mapped) : field)),
    lastColumnId,
  };
}

interface TopField {
  field: Field;
  mapped: MappedField | undefined;
}

function topFields(source: ColumnSource, role: 'value' | 'key'): TopField[] {
  switch (source.encoding) {
    case 'none':
      return [];
    case 'bytes':
    case 'string':
      return [
        {
          field: newField(role, { kind: source.encoding === 'bytes' ? 'binary' : 'string' }, false),
          mapped: undefined,
        },
      ];
    case 'avro':
      return topLevelFields(source.schema, role).map((mapped) => ({
        field: { ...fieldOf(mapped), required: false },
        mapped,
      }));
  }
}

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

const newField = (name: string, type: ColumnType, required: boolean, doc?: string): Field => ({
  id: 0,
  name,
  type,
  required,
  ...(doc === undefined ? {} : { doc }),
});

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
