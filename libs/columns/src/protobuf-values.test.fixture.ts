import type { JsonValue } from '@bufbuild/protobuf';
import fc from 'fast-check';
import type { FieldModel, MessageModel, ProtoModel } from './protobuf-models.test.fixture.ts';

type Json = { [name: string]: JsonValue };

/** Values of a model, in ProtoJSON. */
export const jsonOf = ({ syntax, message }: ProtoModel): fc.Arbitrary<Json> => messageJson(message, syntax, 2);

function messageJson({ fields, ...model }: MessageModel, syntax: string, depth: number): fc.Arbitrary<Json> {
  const members = fields.filter(({ label }) => label === 'oneof');
  const arbitraries = fields.map((field) => fieldJson(field, { fields, ...model }, syntax, depth));
  return fc.tuple(fc.nat(members.length), ...arbitraries).map(([chosen, ...values]) => {
    const json: Json = {};
    for (const [at, field] of fields.entries()) {
      const value = values[at] as JsonValue | undefined;
      if (value === undefined || (field.label === 'oneof' && members[chosen as number] !== field)) continue;
      json[field.name] = value;
    }
    return json;
  });
}

function fieldJson(
  field: FieldModel,
  within: MessageModel,
  syntax: string,
  depth: number,
): fc.Arbitrary<JsonValue | undefined> {
  const value = valueJson(field, field.kind, within, syntax, depth);
  if (value === undefined) return fc.constant(undefined);
  if (field.label === 'required') return value;
  if (field.label === 'repeated') return fc.array(value, { maxLength: 4 });
  if (field.label !== 'map') return fc.option(value, { nil: undefined, freq: 4 });
  const key = valueJson(field, field.key!, within, syntax, depth)!;
  return fc
    .array(fc.tuple(key.map(String), value), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries.filter(([name]) => name !== '__proto__')));
}

const integer = (min: number, max: number) =>
  fc.oneof(fc.integer({ min: Math.max(min, -3), max: 130 }), fc.integer({ min, max }));
const big = (min: bigint, max: bigint) =>
  fc.oneof(fc.bigInt({ min: min < 0n ? -2n : 0n, max: 200n }), fc.bigInt({ min, max })).map(String);
const float = (numbers: fc.Arbitrary<number>) =>
  numbers.map((value): JsonValue => (Number.isFinite(value) ? value : String(value)));
const text = fc.string({ unit: 'binary', maxLength: 30 });

function valueJson(
  field: FieldModel,
  kind: string,
  within: MessageModel,
  syntax: string,
  depth: number,
): fc.Arbitrary<JsonValue> | undefined {
  switch (kind) {
    case 'double':
      return float(fc.double());
    case 'float':
      return float(fc.float());
    case 'int32':
    case 'sint32':
    case 'sfixed32':
      return integer(-(2 ** 31), 2 ** 31 - 1);
    case 'uint32':
    case 'fixed32':
    case 'UInt32Value':
      return integer(0, 2 ** 32 - 1);
    case 'int64':
    case 'sint64':
    case 'sfixed64':
    case 'Int64Value':
      return big(-(2n ** 63n), 2n ** 63n - 1n);
    case 'uint64':
    case 'fixed64':
      return big(0n, 2n ** 64n - 1n);
    case 'bool':
    case 'BoolValue':
      return fc.boolean();
    case 'string':
    case 'StringValue':
      return text;
    case 'bytes':
      return fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString('base64'));
    case 'enum':
      return fc.constantFrom<JsonValue>(
        'ZERO',
        'ONE',
        'BIG',
        'MINUS',
        ...(syntax === 'proto2' ? [] : [77, -99, 70001]),
      );
    case 'Timestamp':
      return fc
        .record({ ms: fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), micros: fc.nat(999) })
        .map(({ ms, micros }) => new Date(ms).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`));
    case 'Duration':
      return fc
        .record({ seconds: fc.nat(315_576_000_000), nanos: fc.nat(999_999_999), sign: fc.constantFrom('', '-') })
        .map(({ seconds, nanos, sign }) => `${sign}${seconds}.${String(nanos).padStart(9, '0')}s`);
    case 'Struct':
      return fc.dictionary(
        text.filter((name) => name !== '__proto__'),
        fc.jsonValue({ maxDepth: 2 }),
        { maxKeys: 3, noNullPrototype: true },
      ) as fc.Arbitrary<JsonValue>;
    case 'self':
      return depth === 0 ? undefined : messageJson(within, syntax, depth - 1);
    default:
      return messageJson(field.message!, syntax, depth);
  }
}

/** The row that a message's columns must show, from its ProtoJSON as protobuf-es gives it. */
export const rowOf = ({ message }: ProtoModel, json: Json): Record<string, unknown> => structOf(message, json);

const structOf = ({ fields }: MessageModel, json: Json) =>
  Object.fromEntries(fields.map((field) => [field.name, fieldOf(field, json[field.name])]));

function fieldOf(field: FieldModel, json: JsonValue | undefined): unknown {
  if (field.label === 'repeated') return ((json ?? []) as JsonValue[]).map((item) => rowValue(field, field.kind, item));
  if (field.label === 'map')
    return sorted(
      Object.entries((json ?? {}) as Json).map(([key, item]) => [
        keyOf(field.key!, key),
        rowValue(field, field.kind, item),
      ]),
    );
  if (json !== undefined) return rowValue(field, field.kind, json);
  return field.label === 'implicit' ? defaultOf(field.kind) : null;
}

const keyOf = (kind: string, key: string): unknown =>
  kind === 'bool' ? key === 'true' : rowValue({} as FieldModel, kind, key);

const sorted = (entries: unknown[][]): unknown[][] => entries.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));

function defaultOf(kind: string): unknown {
  if (kind === 'enum') return 'ZERO';
  if (kind === 'string') return '';
  if (kind === 'bytes') return Buffer.alloc(0);
  if (kind === 'bool') return false;
  return isLong(kind) ? 0n : 0;
}

const isLong = (kind: string): boolean => /64/.test(kind) || /^(uint32|fixed32|UInt32Value)$/.test(kind);

function rowValue(field: FieldModel, kind: string, json: JsonValue): unknown {
  if (isLong(kind)) return BigInt(json as string);
  switch (kind) {
    case 'double':
    case 'float':
      return Number(json);
    case 'int32':
    case 'sint32':
    case 'sfixed32':
      return Number(json);
    case 'bytes':
      return Buffer.from(json as string, 'base64');
    case 'enum':
      return String(json);
    case 'Timestamp': {
      const [, seconds, fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(json as string)!;
      return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0').slice(0, 6));
    }
    case 'Duration': {
      const [, sign, seconds, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?s$/.exec(json as string)!;
      const [whole, nanos] = [BigInt(seconds!), Number(fraction.padEnd(9, '0'))];
      return sign ? { seconds: -whole, nanos: nanos === 0 ? 0 : -nanos } : { seconds: whole, nanos };
    }
    case 'Struct':
    case 'self':
      return { json: rounded(json) };
    case 'message':
      return field.message!.fields.length === 0 ? { json: rounded(json) } : structOf(field.message!, json as Json);
    default:
      return json;
  }
}

/** A decoded row made comparable: JSON texts parsed, maps in the order of their keys. */
export const comparable = ({ message }: ProtoModel, row: Record<string, unknown>) => comparableStruct(message, row);

const comparableStruct = ({ fields }: MessageModel, row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    fields.map((field) => {
      const value = row[field.name];
      if (value === null || value === undefined) return [field.name, value];
      if (field.label === 'repeated')
        return [field.name, (value as unknown[]).map((item) => comparableValue(field, item))];
      if (field.label !== 'map') return [field.name, comparableValue(field, value)];
      return [field.name, sorted((value as unknown[][]).map(([key, item]) => [key, comparableValue(field, item)]))];
    }),
  );

function comparableValue(field: FieldModel, value: unknown): unknown {
  if (field.kind === 'Struct' || field.kind === 'self') return { json: rounded(JSON.parse(value as string)) };
  if (field.kind !== 'message') return value;
  if (field.message!.fields.length === 0) return { json: rounded(JSON.parse(value as string)) };
  return comparableStruct(field.message!, value as Record<string, unknown>);
}

// The digits of a float in JSON are as many as are needed, and protobuf-es writes those of the double.
const rounded = (json: JsonValue): JsonValue => {
  if (typeof json === 'number') return Math.fround(json);
  if (Array.isArray(json)) return json.map(rounded);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, rounded(value)]));
};
