import { MillraceError } from '@millrace/base';
import type { ProtobufField, ProtobufMessage, ProtobufScalar, ProtobufType } from './protobuf-schema.ts';
import { wellKnownName } from './protobuf-well-known.ts';
import type { PrimitiveType } from './table-schema.ts';

/**
 * What becomes of a Protobuf type in a table (type mapping version 1, profile portable). Tables are derived from it and
 * decoders follow it.
 *
 * - leaf: a scalar or an enum. wrapper: google.protobuf.Int32Value and its like, the column of the scalar in it.
 * - timestamp, date, time, decimal: the well-known messages that are one column.
 * - json: one string column with Protobuf's JSON of the message: a recursive message from the second time on, a message
 *   without fields, Struct, Value, ListValue, Any.
 */
export type ProtobufShape =
  | { kind: 'leaf'; column: PrimitiveType }
  | { kind: 'wrapper'; column: PrimitiveType }
  | { kind: 'timestamp' | 'date' | 'time' | 'decimal'; column: PrimitiveType }
  | { kind: 'json' }
  | { kind: 'struct'; message: ProtobufMessage; fields: ProtobufMappedField[] };

export interface ProtobufMappedField {
  field: ProtobufField;
  /** Of one value: a list's element, a map's value. */
  shape: ProtobufShape;
}

/**
 * What happens to nanoseconds that microseconds can't hold. exact: columns are timestamps, and a record with such a
 * value can't be decoded. truncate: they are cut off. long: columns are long, nanoseconds since the epoch (of the day).
 */
export type NanosRule = (typeof NANOS_RULES)[number];
export const NANOS_RULES = ['exact', 'truncate', 'long'] as const;

/** The rule that a configuration names; none is exact. Throws `invalid` for another. */
export function nanosRule(name: string): NanosRule {
  const rule = NANOS_RULES.find((known) => known === (name || 'exact'));
  if (rule) return rule;
  throw new MillraceError('invalid', `nanos: ${JSON.stringify(name)} is not known; legal: ${NANOS_RULES.join(', ')}`, {
    code: 'nanos-rule',
  });
}

const MAX_COLUMNS = 10_000;

/** The columns of a message. Throws `unsupported` for what no table can hold, naming the field. */
export const mapProtobuf = (message: ProtobufMessage, nanos: NanosRule = 'exact'): ProtobufShape =>
  mapMessage(message, '', { nanos, within: [] }, { columns: 0 });

interface Place {
  nanos: NanosRule;
  /** The messages around this one. */
  within: ProtobufMessage[];
}

function mapMessage(message: ProtobufMessage, path: string, place: Place, budget: { columns: number }): ProtobufShape {
  const known = wellKnown(message, place.nanos);
  if (known) return known;
  if (place.within.includes(message) || message.fields.length === 0) return { kind: 'json' };
  const inner = { ...place, within: [...place.within, message] };
  const fields = message.fields.map((field): ProtobufMappedField => {
    // A small schema can stand for exponentially many columns: messages that each use the next one twice.
    if (++budget.columns > MAX_COLUMNS)
      throw new MillraceError(
        'unsupported',
        `The schema has more than ${MAX_COLUMNS} columns once its messages are written out`,
        { code: 'too-many-columns' },
      );
    const here = path ? `${path}.${field.name}` : field.name;
    return { field, shape: mapType(field.type, field, here, inner, budget) };
  });
  checkNames(message, path);
  return { kind: 'struct', message, fields };
}

function mapType(
  type: ProtobufType,
  field: ProtobufField,
  path: string,
  place: Place,
  budget: { columns: number },
): ProtobufShape {
  if (type.kind === 'scalar') return { kind: 'leaf', column: scalarColumn(type.scalar) };
  if (type.kind === 'enum') return { kind: 'leaf', column: { kind: 'string' } };
  const mapped = mapMessage(type, path, place, budget);
  return mapped.kind === 'decimal' ? { kind: 'decimal', column: decimalColumn(field, path) } : mapped;
}

/** The column of a scalar. */
export function scalarColumn(scalar: ProtobufScalar): PrimitiveType {
  switch (scalar) {
    case 'bool':
      return { kind: 'boolean' };
    case 'int32':
    case 'sint32':
    case 'sfixed32':
      return { kind: 'int' };
    case 'uint32':
    case 'fixed32':
    case 'int64':
    case 'sint64':
    case 'sfixed64':
      return { kind: 'long' };
    case 'uint64':
    case 'fixed64':
      return { kind: 'decimal', precision: 20, scale: 0 };
    case 'bytes':
      return { kind: 'binary' };
    default:
      return { kind: scalar };
  }
}

const DECIMALS = new Set(['google.type.Decimal', 'confluent.type.Decimal']);
const JSON_MESSAGES = new Set(['Struct', 'Value', 'ListValue', 'Any'].map((name) => `google.protobuf.${name}`));

/** The scalar in each of google.protobuf's wrappers. */
export const WRAPPERS: ReadonlyMap<string, ProtobufScalar> = new Map([
  ['google.protobuf.DoubleValue', 'double'],
  ['google.protobuf.FloatValue', 'float'],
  ['google.protobuf.Int64Value', 'int64'],
  ['google.protobuf.UInt64Value', 'uint64'],
  ['google.protobuf.Int32Value', 'int32'],
  ['google.protobuf.UInt32Value', 'uint32'],
  ['google.protobuf.BoolValue', 'bool'],
  ['google.protobuf.StringValue', 'string'],
  ['google.protobuf.BytesValue', 'bytes'],
]);

function wellKnown(message: ProtobufMessage, nanos: NanosRule): ProtobufShape | undefined {
  const fullName = wellKnownName(message);
  if (fullName === undefined) return undefined;
  const long = nanos === 'long';
  if (fullName === 'google.protobuf.Timestamp')
    return { kind: 'timestamp', column: long ? { kind: 'long' } : { kind: 'timestamp', adjusted: true } };
  if (fullName === 'google.type.TimeOfDay') return { kind: 'time', column: { kind: 'long' } };
  if (fullName === 'google.type.Date') return { kind: 'date', column: { kind: 'date' } };
  if (DECIMALS.has(fullName)) return { kind: 'decimal', column: DEFAULT_DECIMAL };
  if (JSON_MESSAGES.has(fullName)) return { kind: 'json' };
  const scalar = WRAPPERS.get(fullName);
  return scalar && { kind: 'wrapper', column: scalarColumn(scalar) };
}

// Neither message says in its schema how many digits it has; (confluent.field_meta) of the field may.
const DEFAULT_DECIMAL = { kind: 'decimal', precision: 38, scale: 18 } as const;

function decimalColumn({ decimal = {} }: ProtobufField, path: string): PrimitiveType {
  if (decimal.precision === undefined && decimal.scale === undefined) return DEFAULT_DECIMAL;
  const { precision = 38, scale = 0 } = decimal;
  if (precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision)
    return { kind: 'decimal', precision, scale };
  throw new MillraceError(
    'unsupported',
    `Field ${path} is decimal(${precision}, ${scale}): Iceberg and Delta hold up to 38 digits, and as many of them after the point`,
    { code: 'decimal-too-wide', context: { field: path } },
  );
}

// Delta and most engines do not tell upper from lower case.
function checkNames(message: ProtobufMessage, path: string): void {
  const seen = new Map<string, string>();
  for (const { name } of message.fields) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined)
      throw new MillraceError(
        'unsupported',
        `In ${path || message.fullName} the fields "${other}" and "${name}" are the same column name to engines that ignore case: rename one of them`,
        { code: 'column-name-clash', context: { field: path } },
      );
    seen.set(name.toLowerCase(), name);
  }
}
