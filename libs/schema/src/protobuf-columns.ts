import {
  mapProtobuf,
  type NanosRule,
  type ProtobufMappedField,
  type ProtobufShape,
  scalarColumn,
} from './protobuf-mapping.ts';
import type { ProtobufField, ProtobufMessage } from './protobuf-schema.ts';
import type { ColumnType, Field } from './table-schema.ts';
import { newField, type TopField } from './top-field.ts';

/** The message that keys or values are, and what becomes of nanoseconds (default: exact). */
export interface ProtobufColumns {
  schema: ProtobufMessage;
  nanos?: NanosRule;
}

/** The top-level columns that a message gives: its fields; one named by the role when the message is one column. */
export function protobufTopFields({ schema, nanos }: ProtobufColumns, role: 'value' | 'key'): TopField[] {
  const shape = mapProtobuf(schema, nanos);
  if (shape.kind === 'struct') return shape.fields.map((mapped) => ({ field: fieldOf(schema, mapped) }));
  return [{ field: newField(role, columnOf(shape), false) }];
}

/** Which field a column comes from, whatever its name: Field.origin. */
export const originOf = (message: ProtobufMessage, { number }: ProtobufField): string =>
  `${message.fullName}#${number}`;

function fieldOf(message: ProtobufMessage, { field, shape }: ProtobufMappedField): Field {
  const required = field.cardinality !== 'singular' || field.presence !== 'explicit';
  return { ...newField(field.name, fieldType(field, shape), required, field.doc), origin: originOf(message, field) };
}

function fieldType({ cardinality, key }: ProtobufMappedField['field'], shape: ProtobufShape): ColumnType {
  const type = columnOf(shape);
  switch (cardinality) {
    case 'singular':
      return type;
    case 'list':
      return { kind: 'list', elementId: 0, element: type, elementRequired: true };
    case 'map':
      return { kind: 'map', keyId: 0, key: scalarColumn(key!), valueId: 0, value: type, valueRequired: true };
  }
}

const columnOf = (shape: ProtobufShape): ColumnType => {
  if (shape.kind === 'json') return { kind: 'string' };
  return shape.kind === 'struct'
    ? { kind: 'struct', fields: shape.fields.map((mapped) => fieldOf(shape.message, mapped)) }
    : shape.column;
};
