import { MillraceError } from '@millrace/base';
import type { ProtobufField, ProtobufFile, ProtobufMessage, ProtobufScalar, ProtobufType } from './protobuf-schema.ts';
import type { OptionValue, ProtobufOptions, ProtobufSource, SourceField, SourceMessage } from './protobuf-source.ts';
import { invalidProtobuf } from './protobuf-tokens.ts';

const SCALARS = new Set<string>([
  ...(['double', 'float', 'int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64'] satisfies ProtobufScalar[]),
  ...(['fixed32', 'fixed64', 'sfixed32', 'sfixed64', 'bool', 'string', 'bytes'] satisfies ProtobufScalar[]),
]);
const KEYS = new Set([...SCALARS].filter((scalar) => !['double', 'float', 'bytes'].includes(scalar)));

/** The features that say how bytes are read; the others make no difference to columns. */
interface Features {
  presence: ProtobufField['presence'];
  delimited: boolean;
}

/** A message of some file that waits for its fields to be resolved. */
interface Pending {
  message: ProtobufMessage;
  source: SourceMessage;
  file: ProtobufSource;
  features: Features;
}

/**
 * Resolves the names of a file and of all that it imports, and works out its edition's features. Throws `invalid` (code
 * "protobuf-schema") for a name that is nowhere.
 */
export function linkProtobuf(main: ProtobufSource, imported: Iterable<ProtobufSource>): ProtobufFile {
  const types = new Map<string, ProtobufType>();
  const pending: Pending[] = [];
  const declare = (name: string, type: ProtobufType, file: ProtobufSource): void => {
    if (types.has(name)) throw invalid(file, `${name} is declared twice`);
    types.set(name, type);
  };

  function add(source: SourceMessage, scope: string, outer: Features, file: ProtobufSource): ProtobufMessage {
    const fullName = scope === '' ? source.name : `${scope}.${source.name}`;
    const features = withOptions(outer, source.options);
    const message: ProtobufMessage = { kind: 'message', fullName, fields: [], messages: [] };
    declare(fullName, message, file);
    pending.push({ message, source, file, features });
    for (const inner of source.messages) {
      const added = add(inner, fullName, features, file);
      if (!inner.group || file.compiled) message.messages.push(added);
    }
    for (const { name, values } of source.enums) addEnum(`${fullName}.${name}`, values, file);
    return message;
  }

  function addEnum(fullName: string, values: { name: string; number: number }[], file: ProtobufSource): void {
    if (values.length === 0) throw invalid(file, `the enum ${fullName} has no values`);
    declare(fullName, { kind: 'enum', fullName, values }, file);
  }

  function addFile(file: ProtobufSource): ProtobufMessage[] {
    const defaults: Features = { presence: file.edition === 'proto3' ? 'implicit' : 'explicit', delimited: false };
    const features = withOptions(defaults, file.options);
    for (const { name, values } of file.enums) addEnum(file.package ? `${file.package}.${name}` : name, values, file);
    return file.messages.map((message) => add(message, file.package, features, file));
  }

  const messages = addFile(main);
  for (const file of imported) addFile(file);
  for (const { message, source, file, features } of pending) {
    message.fields = source.fields.map((field) => link(field, source, message, features, file, types));
    checkFields(message, file);
  }
  const all = [...types.values()].filter((type) => type.kind === 'message');
  return { messages, types: new Map(all.map((message) => [message.fullName, message])) };
}

function link(
  field: SourceField,
  within: SourceMessage,
  message: ProtobufMessage,
  outer: Features,
  file: ProtobufSource,
  types: ReadonlyMap<string, ProtobufType>,
): ProtobufField {
  const { name, number, key, oneof, label, options, doc } = field;
  const type = resolve(field.type, message.fullName, types);
  if (!type)
    throw invalidProtobuf(
      file.name,
      field.line,
      `the type ${field.type} of ${message.fullName}.${name} is neither in it nor in what it imports`,
    );
  if (key !== undefined && !KEYS.has(key))
    throw invalidProtobuf(file.name, field.line, `${key} can not be the key of a map`);
  const inner = withOptions(oneof ? withOptions(outer, within.oneofs.get(oneof)!) : outer, options);
  const json = options.get('json_name');
  const decimal = decimalMeta(options);
  return {
    name,
    jsonName: typeof json === 'string' ? json : jsonNameOf(name),
    number,
    type,
    cardinality: key !== undefined ? 'map' : label === 'repeated' ? 'list' : 'singular',
    ...(key === undefined ? {} : { key: key as ProtobufScalar }),
    presence: presenceOf(field, type, inner),
    ...(oneof === undefined ? {} : { oneof }),
    delimited: key === undefined && type.kind === 'message' && (field.group || inner.delimited),
    ...(doc === undefined ? {} : { doc }),
    ...(decimal === undefined ? {} : { decimal }),
  };
}

function presenceOf({ label, oneof }: SourceField, type: ProtobufType, { presence }: Features) {
  if (oneof !== undefined || label === 'optional') return 'explicit';
  if (label === 'required' || presence === 'required') return 'required';
  return type.kind === 'message' ? 'explicit' : presence;
}

/** Looks in the scope itself, then in each one around it. */
function resolve(name: string, scope: string, types: ReadonlyMap<string, ProtobufType>): ProtobufType | undefined {
  if (SCALARS.has(name)) return { kind: 'scalar', scalar: name as ProtobufScalar };
  if (name.startsWith('.')) return types.get(name.slice(1));
  for (let around = scope; ; around = around.slice(0, Math.max(0, around.lastIndexOf('.')))) {
    const found = types.get(around === '' ? name : `${around}.${name}`);
    if (found || around === '') return found;
  }
}

const PRESENCES: Record<string, Features['presence']> = {
  EXPLICIT: 'explicit',
  IMPLICIT: 'implicit',
  LEGACY_REQUIRED: 'required',
};

function withOptions(features: Features, options: ProtobufOptions): Features {
  const whole = options.get('features');
  const named = (name: string): OptionValue | undefined =>
    options.get(`features.${name}`) ?? (isAggregate(whole) ? whole[name] : undefined);
  const presence = named('field_presence');
  const encoding = named('message_encoding');
  return {
    presence: (typeof presence === 'string' ? PRESENCES[presence] : undefined) ?? features.presence,
    delimited: encoding === undefined ? features.delimited : encoding === 'DELIMITED',
  };
}

const isAggregate = (value: OptionValue | undefined): value is { [name: string]: OptionValue } =>
  typeof value === 'object' && !Array.isArray(value);

// [(confluent.field_meta) = { params: [{ key: "precision", value: "9" }, { key: "scale", value: "2" }] }]
function decimalMeta(options: ProtobufOptions): ProtobufField['decimal'] {
  const meta = options.get('(confluent.field_meta)');
  const params = options.get('(confluent.field_meta).params') ?? (isAggregate(meta) ? meta['params'] : undefined);
  const found: { precision?: number; scale?: number } = {};
  for (const param of [params ?? []].flat()) {
    if (!isAggregate(param)) continue;
    const { key, value } = param;
    if ((key === 'precision' || key === 'scale') && /^\d{1,4}$/.test(String(value))) found[key] = Number(value);
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

/** lowerCamelCase, as protoc makes it: underscores go, the letter after one becomes upper case. */
const jsonNameOf = (name: string): string => name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());

function checkFields(message: ProtobufMessage, file: ProtobufSource): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  for (const { name, number } of message.fields) {
    if (names.has(name)) throw invalid(file, `${message.fullName} has two fields ${name}`);
    if (numbers.has(number)) throw invalid(file, `${message.fullName} has two fields with the number ${number}`);
    names.add(name);
    numbers.add(number);
  }
}

const invalid = ({ name }: ProtobufSource, what: string) =>
  new MillraceError('invalid', `The Protobuf schema${name ? ` ${name}` : ''} is wrong: ${what}`, {
    code: 'protobuf-schema',
  });
