import { MillraceError } from '@millrace/base';
import { avroTopFields } from './avro-columns.ts';
import type { AvroType } from './avro-schema.ts';
import { assignFreshIds } from './field-ids.ts';
import { jsonTopFields } from './json-columns.ts';
import type { JsonSchema } from './json-schema.ts';
import { KAFKA_COLUMN, kafkaColumn } from './kafka-struct.ts';
import { type ProtobufColumns, protobufTopFields } from './protobuf-columns.ts';
import type { TableSchema } from './table-schema.ts';
import { newField, type TopField } from './top-field.ts';

/** How a topic's keys or values are encoded, with their newest schema. `none`: no column. */
export type ColumnSource =
  | { encoding: 'avro'; schema: AvroType }
  | ({ encoding: 'protobuf' } & ProtobufColumns)
  /** Without a schema: one column with the JSON text. */
  | { encoding: 'json'; schema?: JsonSchema }
  | { encoding: 'bytes' | 'string' | 'none' };

export interface TableSource {
  value: ColumnSource;
  key: ColumnSource;
  /** Parts of `_kafka`; all when empty. */
  kafkaColumns?: readonly string[];
}

/**
 * The schema of a topic's table (type mapping version 1, portable): the value's fields, the key's fields (`key_` before
 * the name where the value, or `_kafka`, has it already), `_kafka`. What is not a record, message or object is one column,
 * `value` or `key`. Top-level columns are optional whatever the topic's schema says; below that, required is what it says.
 * Throws `unsupported` for what no table can hold.
 */
export function deriveTableSchema(source: TableSource): TableSchema {
  const value = topFields(source.value, 'value').map(optional);
  const taken = new Set([KAFKA_COLUMN, ...value.map((top) => top.field.name.toLowerCase())]);
  if (taken.size !== value.length + 1)
    throw new MillraceError(
      'unsupported',
      `The value has a field ${KAFKA_COLUMN}, the name of the column for Kafka's metadata: rename it`,
      {
        code: 'column-name-clash',
      },
    );
  const key = topFields(source.key, 'key')
    .map(optional)
    .map((top) => {
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
    fields: fields.map((field, at) => tops[at]?.complete?.(field) ?? field),
    lastColumnId,
  };
}

const optional = (top: TopField): TopField => ({ ...top, field: { ...top.field, required: false } });

function topFields(source: ColumnSource, role: 'value' | 'key'): TopField[] {
  switch (source.encoding) {
    case 'none':
      return [];
    case 'bytes':
    case 'string':
      return [{ field: newField(role, { kind: source.encoding === 'bytes' ? 'binary' : 'string' }, false) }];
    case 'avro':
      return avroTopFields(source.schema, role);
    case 'protobuf':
      return protobufTopFields(source, role);
    case 'json':
      return jsonTopFields(source.schema, role);
  }
}
