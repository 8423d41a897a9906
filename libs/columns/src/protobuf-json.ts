import { type ProtobufField, type ProtobufMessage, type ProtobufScalar, wellKnownName } from '@millrace/schema';
import { BadRecord } from './avro-value.ts';
import { cursorOf, MAX_DEPTH, type MessageValue, readMessage, within } from './protobuf-value.ts';

/**
 * A message as JSON text (ProtoJSON): lowerCamelCase names, 64-bit integers as text, bytes as base64, enums by name, the
 * well-known messages in their own forms. Fields with implicit presence and their default value are left out.
 * An Any whose type is not known keeps its bytes: {"@type": …, "value": base64}. A number that ProtoJSON has no form for in
 * a Value (NaN, infinity) is its text.
 */
export function protobufJson(
  message: ProtobufMessage,
  value: MessageValue,
  types: ReadonlyMap<string, ProtobufMessage>,
  depth = 0,
): string {
  if (depth > MAX_DEPTH) throw new BadRecord(`messages are nested deeper than ${MAX_DEPTH} levels`);
  const special = specialOf(message);
  if (special) return special(valuesByName(message, value), message, value, types, depth);
  return `{${members(message, value, types, depth).join(',')}}`;
}

type Types = ReadonlyMap<string, ProtobufMessage>;

function members(message: ProtobufMessage, value: MessageValue, types: Types, depth: number): string[] {
  const parts: string[] = [];
  for (const field of message.fields) {
    const found = value.get(field);
    if (found === undefined) continue;
    if (field.cardinality === 'singular' && field.presence === 'implicit' && isDefault(found)) continue;
    const json = within(field.name, () => fieldJson(field, found, types, depth));
    parts.push(`${JSON.stringify(field.jsonName)}:${json}`);
  }
  return parts;
}

const isDefault = (value: unknown): boolean =>
  value === 0
    ? !Object.is(value, -0)
    : value === 0n || value === '' || value === false || (value as Uint8Array).length === 0;

function fieldJson(field: ProtobufField, value: unknown, types: Types, depth: number): string {
  if (field.cardinality === 'list')
    return `[${(value as unknown[]).map((item) => valueJson(field, item, types, depth)).join(',')}]`;
  if (field.cardinality === 'singular') return valueJson(field, value, types, depth);
  const entries = [...(value as Map<unknown, unknown>)];
  return `{${entries.map(([key, item]) => `${JSON.stringify(String(key))}:${valueJson(field, item, types, depth)}`).join(',')}}`;
}

function valueJson({ type }: ProtobufField, value: unknown, types: Types, depth: number): string {
  if (type.kind === 'message') return protobufJson(type, value as MessageValue, types, depth + 1);
  if (type.kind === 'scalar') return scalarJson(type.scalar, value);
  if (type.fullName === 'google.protobuf.NullValue') return 'null';
  const name = type.values.find(({ number }) => number === value)?.name;
  return name === undefined ? String(value) : JSON.stringify(name);
}

function scalarJson(scalar: ProtobufScalar, value: unknown): string {
  if (typeof value === 'bigint') return `"${value}"`;
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`;
  if (typeof value !== 'number') return JSON.stringify(value);
  if (!Number.isFinite(value)) return `"${value}"`;
  if (Object.is(value, -0)) return '-0';
  return scalar === 'float' ? shortFloat(value) : String(value);
}

// The fewest digits that are this float and no other.
function shortFloat(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(9)));
}

type Values = Record<string, unknown>;
type Special = (values: Values, message: ProtobufMessage, value: MessageValue, types: Types, depth: number) => string;

const specialOf = (message: ProtobufMessage): Special | undefined => SPECIAL.get(wellKnownName(message) ?? '');

const valuesByName = (message: ProtobufMessage, value: MessageValue): Values =>
  Object.fromEntries(message.fields.map((field) => [field.name, value.get(field)]));

const wrapped: Special = (_, message, value, types, depth) => {
  const field = message.fields[0]!;
  const found = value.get(field);
  if (found !== undefined) return valueJson(field, found, types, depth);
  const { scalar } = field.type as { scalar: ProtobufScalar };
  if (scalar === 'string' || scalar === 'bytes') return '""';
  return scalar === 'bool' ? 'false' : scalar.endsWith('64') ? '"0"' : '0';
};

const SPECIAL = new Map<string, Special>([
  ...['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map(
    (name): [string, Special] => [`google.protobuf.${name}Value`, wrapped],
  ),
  ['google.protobuf.Timestamp', ({ seconds = 0n, nanos = 0 }) => timestampJson(seconds as bigint, nanos as number)],
  ['google.protobuf.Duration', ({ seconds = 0n, nanos = 0 }) => durationJson(seconds as bigint, nanos as number)],
  ['google.protobuf.FieldMask', ({ paths = [] }) => JSON.stringify((paths as string[]).map(camelCase).join(','))],
  [
    'google.protobuf.Struct',
    (_, message, value, types, depth) => {
      const field = message.fields[0]!;
      return fieldJson(field, value.get(field) ?? new Map(), types, depth);
    },
  ],
  [
    'google.protobuf.ListValue',
    (_, message, value, types, depth) => {
      const field = message.fields[0]!;
      return fieldJson(field, value.get(field) ?? [], types, depth);
    },
  ],
  [
    'google.protobuf.Value',
    (_, message, value, types, depth) => {
      const field = message.fields.find((other) => value.has(other));
      return field === undefined ? 'null' : valueJson(field, value.get(field), types, depth);
    },
  ],
  ['google.protobuf.Any', anyJson],
]);

function anyJson(values: Values, _: ProtobufMessage, __: MessageValue, types: Types, depth: number): string {
  const { type_url: url = '', value: bytes = new Uint8Array(0) } = values as { type_url?: string; value?: Uint8Array };
  if (url === '' && bytes.length === 0) return '{}';
  const type = types.get(url.slice(url.lastIndexOf('/') + 1));
  const head = `"@type":${JSON.stringify(url)}`;
  if (!type) return `{${head},"value":"${Buffer.from(bytes).toString('base64')}"}`;
  const value = within('value', () => readMessage(type, cursorOf(bytes), new Map(), 0, depth + 1));
  const own = protobufJson(type, value, types, depth + 1);
  if (specialOf(type)) return `{${head},"value":${own}}`;
  return own === '{}' ? `{${head}}` : `{${head},${own.slice(1)}`;
}

function timestampJson(seconds: bigint, nanos: number): string {
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n || nanos < 0 || nanos > 999_999_999)
    throw new BadRecord(`a Timestamp of ${seconds} s and ${nanos} ns is not within the years 1 to 9999`);
  return `"${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}${fraction(nanos)}Z"`;
}

function durationJson(seconds: bigint, nanos: number): string {
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0) || Math.abs(nanos) > 999_999_999)
    throw new BadRecord(`a Duration of ${seconds} s and ${nanos} ns is none`);
  return `"${sign}${seconds < 0n ? -seconds : seconds}${fraction(Math.abs(nanos))}s"`;
}

// No digits, or three, six or nine.
const fraction = (nanos: number): string =>
  nanos === 0
    ? ''
    : `.${String(nanos)
        .padStart(9, '0')
        .replace(/(000){1,2}$/, '')}`;

const camelCase = (path: string): string => path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
