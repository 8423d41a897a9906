import { MillraceError } from '@millrace/base';
import type { NanosRule } from './protobuf-mapping.ts';

/**
 * A Protobuf schema with every name resolved and every feature of its edition worked out: proto2, proto3 and editions
 * look the same from here. Messages that use each other are a cyclic graph.
 */
export type ProtobufType = { kind: 'scalar'; scalar: ProtobufScalar } | ProtobufEnum | ProtobufMessage;

export type ProtobufScalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes';

export interface ProtobufMessage {
  kind: 'message';
  /** Without a dot before it: "com.example.Order". */
  fullName: string;
  /** In the order of the source. */
  fields: ProtobufField[];
  /**
   * Messages declared in it, in the order of the source: what message indexes count. Entries of maps and groups are not
   * among them, as with Confluent's own serialiser; in a compiled schema they are, as with the clients that register such.
   */
  messages: ProtobufMessage[];
}

export interface ProtobufEnum {
  kind: 'enum';
  fullName: string;
  /** In the order of the source; with allow_alias, a number may be there twice: the first name is its name. */
  values: { name: string; number: number }[];
}

export interface ProtobufField {
  name: string;
  /** The name in JSON: lowerCamelCase of the name, or what json_name says. */
  jsonName: string;
  number: number;
  /** The element's type of a list, the value's of a map. */
  type: ProtobufType;
  cardinality: 'singular' | 'list' | 'map';
  /** The key of a map. */
  key?: ProtobufScalar;
  /** Of a singular field. implicit: absent means the type's default. Messages and members of a oneof are explicit. */
  presence: 'implicit' | 'explicit' | 'required';
  /** The oneof that it is a member of (not the one that `optional` makes). */
  oneof?: string;
  /** A message between a start and an end tag (a proto2 group) instead of with its length before it. */
  delimited: boolean;
  doc?: string;
  /** What (confluent.field_meta) says of a decimal. */
  decimal?: { precision?: number; scale?: number };
}

/** A .proto file with all that it imports. */
export interface ProtobufFile {
  /** The file's own top-level messages, in the order of the source: what message indexes count. */
  messages: ProtobufMessage[];
  /** All messages of the file and its imports by full name: what an Any may hold. */
  types: ReadonlyMap<string, ProtobufMessage>;
}

/** One message type as keys or values are written in. */
export interface ProtobufWriter {
  message: ProtobufMessage;
  /** What an Any in it may hold. */
  types: ReadonlyMap<string, ProtobufMessage>;
  /** As the table was derived with. Default: exact. */
  nanos?: NanosRule;
}

/** The message at a path of indexes (Confluent's frame); undefined when there is none. */
export function messageAt(file: ProtobufFile, indexes: readonly number[]): ProtobufMessage | undefined {
  let found: ProtobufMessage | undefined;
  let among = file.messages;
  for (const index of indexes) {
    found = among[index];
    if (found === undefined) return undefined;
    among = found.messages;
  }
  return found;
}

/** The message with a full name, or, when only one ends in it, its last part. Throws `invalid` when there is none. */
export function messageNamed(file: ProtobufFile, name: string): ProtobufMessage {
  const exact = file.types.get(name);
  if (exact) return exact;
  const ending = [...file.types.values()].filter((message) => message.fullName.endsWith(`.${name}`));
  if (ending.length === 1) return ending[0]!;
  const known = allOf(file.messages).map((message) => message.fullName);
  throw new MillraceError(
    'invalid',
    `The Protobuf schema has ${ending.length === 0 ? 'no' : 'more than one'} message ${name}; it has ${known.slice(0, 20).join(', ')}`,
    { code: 'protobuf-message', context: { message: name } },
  );
}

/**
 * The message that a topic's records most likely are when nothing says which: the first top-level one of the file that
 * no other message of the file uses, else the first. Throws `unsupported` for a file without messages.
 */
export function mainMessage(file: ProtobufFile): ProtobufMessage {
  const first = file.messages[0];
  if (!first)
    throw new MillraceError('unsupported', 'The Protobuf schema has no message', { code: 'protobuf-message' });
  const used = new Set<ProtobufType>();
  for (const message of allOf(file.messages))
    for (const field of message.fields) if (field.type !== message) used.add(field.type);
  return file.messages.find((message) => !used.has(message)) ?? first;
}

const allOf = (messages: readonly ProtobufMessage[]): ProtobufMessage[] =>
  messages.flatMap((message) => [message, ...allOf(message.messages)]);
