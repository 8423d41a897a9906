import type { ProtobufField, ProtobufMessage, ProtobufScalar } from '@millrace/schema';
import { BadRecord, text } from './avro-value.ts';

/**
 * Reads Protobuf's binary encoding plainly, one value at a time: the generated decoders are proved against it. The last
 * of a singular field wins, messages are merged, packed or not makes no difference, what is unknown is passed over.
 *
 *   message := (tag value)*                       tag := varint: field number << 3 | wire type
 *   value   := varint | 8 bytes | length: varint, bytes | (message end-tag) | 4 bytes      (wire types 0, 1, 2, 3, 5)
 */
export type MessageValue = Map<ProtobufField, unknown>;

export interface ProtobufCursor {
  bytes: Uint8Array;
  at: number;
  end: number;
}

/** How deep messages and groups may be nested. */
export const MAX_DEPTH = 100;

export const cursorOf = (bytes: Uint8Array): ProtobufCursor => ({ bytes, at: 0, end: bytes.length });

/** 64 bits, unsigned; what a tenth byte has beyond them is dropped, as Protobuf's own parsers do. */
function readVarint(cursor: ProtobufCursor): bigint {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (cursor.at >= cursor.end) throw new BadRecord('the record ends inside a number');
    if (shift > 63n) throw new BadRecord('a number has more than ten bytes');
    const byte = cursor.bytes[cursor.at++]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
}

/** A field's number and wire type in one. */
function readTag(cursor: ProtobufCursor): number {
  const tag = readVarint(cursor);
  if (tag > 0xffffffffn || tag < 8n) throw new BadRecord(`${tag >> 3n} is no number of a field`);
  return Number(tag);
}

function take(cursor: ProtobufCursor, length: bigint | number): ProtobufCursor {
  if (length > cursor.end - cursor.at)
    throw new BadRecord(`${length} bytes are announced where ${cursor.end - cursor.at} are left`);
  const inner = { bytes: cursor.bytes, at: cursor.at, end: cursor.at + Number(length) };
  cursor.at = inner.end;
  return inner;
}

const bytesOf = ({ bytes, at, end }: ProtobufCursor): Uint8Array => bytes.subarray(at, end);
const takeView = (cursor: ProtobufCursor, length: number): DataView => {
  const bytes = bytesOf(take(cursor, length));
  return new DataView(bytes.buffer, bytes.byteOffset, length);
};

/** Reads a message up to the cursor's end, or to the end tag of its group. `into`: what it is merged with. */
export function readMessage(
  message: ProtobufMessage,
  cursor: ProtobufCursor,
  into: MessageValue = new Map(),
  group = 0,
  depth = 0,
): MessageValue {
  if (depth > MAX_DEPTH) throw new BadRecord(`messages are nested deeper than ${MAX_DEPTH} levels`);
  const byNumber = fieldsOf(message);
  while (cursor.at < cursor.end || group !== 0) {
    const tag = readTag(cursor);
    const number = tag >>> 3;
    const wireType = tag & 7;
    if (wireType === 4) {
      if (number !== group) throw new BadRecord(`a group ends that did not begin (field ${number})`);
      return into;
    }
    const field = byNumber.get(number);
    if (field === undefined || !fits(field, wireType)) skip(cursor, number, wireType, depth);
    else within(field.name, () => readField(message, field, wireType, cursor, into, depth));
  }
  return into;
}

const known = new WeakMap<ProtobufMessage, Map<number, ProtobufField>>();

function fieldsOf(message: ProtobufMessage): Map<number, ProtobufField> {
  let fields = known.get(message);
  if (!fields) {
    fields = new Map(message.fields.map((field) => [field.number, field]));
    known.set(message, fields);
  }
  return fields;
}

/** The wire type of one value of a field. */
export function wireTypeOf(field: ProtobufField): number {
  if (field.cardinality === 'map') return 2;
  if (field.type.kind === 'message') return field.delimited ? 3 : 2;
  return field.type.kind === 'enum' ? 0 : scalarWireType(field.type.scalar);
}

/** The wire type of a scalar. */
export function scalarWireType(scalar: ProtobufScalar): number {
  if (scalar === 'string' || scalar === 'bytes') return 2;
  if (scalar === 'double' || scalar.endsWith('fixed64')) return 1;
  return scalar === 'float' || scalar.endsWith('fixed32') ? 5 : 0;
}

/** Whether its values may stand together with one length before them. */
export const isPackable = (field: ProtobufField): boolean =>
  field.cardinality === 'list' && field.type.kind !== 'message' && wireTypeOf(field) !== 2;

const fits = (field: ProtobufField, wireType: number): boolean =>
  wireType === wireTypeOf(field) || (wireType === 2 && isPackable(field));

function readField(
  message: ProtobufMessage,
  field: ProtobufField,
  wireType: number,
  cursor: ProtobufCursor,
  into: MessageValue,
  depth: number,
): void {
  if (field.cardinality === 'map') {
    const entries = (into.get(field) ?? new Map()) as Map<unknown, unknown>;
    into.set(field, entries);
    readEntry(field, take(cursor, readVarint(cursor)), entries, depth);
  } else if (field.cardinality === 'list') {
    const items = (into.get(field) ?? []) as unknown[];
    into.set(field, items);
    const packed = wireType === 2 && isPackable(field) ? take(cursor, readVarint(cursor)) : undefined;
    within('element', () => {
      if (!packed) items.push(readValue(field, cursor, undefined, depth));
      else while (packed.at < packed.end) items.push(readValue(field, packed, undefined, depth));
    });
  } else {
    if (field.oneof !== undefined)
      for (const other of message.fields) if (other !== field && other.oneof === field.oneof) into.delete(other);
    const value = readValue(field, cursor, into.get(field) as MessageValue | undefined, depth);
    into.set(field, value);
  }
}

/** One value; `before`: the message that it is merged with. */
function readValue(field: ProtobufField, cursor: ProtobufCursor, before: MessageValue | undefined, depth: number) {
  const { type } = field;
  if (type.kind === 'scalar') return readScalar(type.scalar, cursor);
  if (type.kind === 'enum') return Number(BigInt.asIntN(32, readVarint(cursor)));
  if (field.delimited) return readMessage(type, cursor, before, field.number, depth + 1);
  return readMessage(type, take(cursor, readVarint(cursor)), before, 0, depth + 1);
}

// An entry is a message with the key as field 1 and the value as field 2, either of which may be missing.
function readEntry(field: ProtobufField, cursor: ProtobufCursor, entries: Map<unknown, unknown>, depth: number): void {
  const key: ProtobufField = {
    name: 'key',
    jsonName: 'key',
    number: 1,
    type: { kind: 'scalar', scalar: field.key! },
    cardinality: 'singular',
    presence: 'implicit',
    delimited: false,
  };
  const value: ProtobufField = { ...key, name: 'value', number: 2, type: field.type };
  const entry = readMessage(
    { kind: 'message', fullName: '', fields: [key, value], messages: [] },
    cursor,
    new Map(),
    0,
    depth,
  );
  entries.set(entry.get(key) ?? scalarDefault(field.key!), entry.get(value) ?? valueDefault(field));
}

const valueDefault = ({ type }: ProtobufField): unknown => {
  if (type.kind === 'message') return new Map();
  return type.kind === 'enum' ? type.values[0]!.number : scalarDefault(type.scalar);
};

/** The value of an implicit scalar that is absent. */
export function scalarDefault(scalar: ProtobufScalar): boolean | number | bigint | string | Uint8Array {
  if (scalar === 'bool') return false;
  if (scalar === 'string') return '';
  if (scalar === 'bytes') return new Uint8Array(0);
  return scalar.endsWith('64') ? 0n : 0;
}

function readScalar(scalar: ProtobufScalar, cursor: ProtobufCursor): boolean | number | bigint | string | Uint8Array {
  switch (scalar) {
    case 'bool':
      return readVarint(cursor) !== 0n;
    case 'int32':
      return Number(BigInt.asIntN(32, readVarint(cursor)));
    case 'uint32':
      return Number(BigInt.asUintN(32, readVarint(cursor)));
    case 'sint32': {
      const raw = BigInt.asUintN(32, readVarint(cursor));
      return Number((raw >> 1n) ^ -(raw & 1n));
    }
    case 'int64':
      return BigInt.asIntN(64, readVarint(cursor));
    case 'uint64':
      return readVarint(cursor);
    case 'sint64': {
      const raw = readVarint(cursor);
      return (raw >> 1n) ^ -(raw & 1n);
    }
    case 'fixed32':
      return takeView(cursor, 4).getUint32(0, true);
    case 'sfixed32':
      return takeView(cursor, 4).getInt32(0, true);
    case 'float':
      return takeView(cursor, 4).getFloat32(0, true);
    case 'fixed64':
      return takeView(cursor, 8).getBigUint64(0, true);
    case 'sfixed64':
      return takeView(cursor, 8).getBigInt64(0, true);
    case 'double':
      return takeView(cursor, 8).getFloat64(0, true);
    case 'string':
      return text(bytesOf(take(cursor, readVarint(cursor))));
    case 'bytes':
      return bytesOf(take(cursor, readVarint(cursor)));
  }
}

function skip(cursor: ProtobufCursor, number: number, wireType: number, depth: number): void {
  switch (wireType) {
    case 0:
      readVarint(cursor);
      return;
    case 1:
      take(cursor, 8);
      return;
    case 2:
      take(cursor, readVarint(cursor));
      return;
    case 3:
      readMessage(NOTHING, cursor, new Map(), number, depth + 1);
      return;
    case 5:
      take(cursor, 4);
      return;
    default:
      throw new BadRecord(`field ${number} has the wire type ${wireType}, which does not exist`);
  }
}

const NOTHING: ProtobufMessage = { kind: 'message', fullName: '', fields: [], messages: [] };

export function within<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof BadRecord ? error.within(name) : error;
  }
}
