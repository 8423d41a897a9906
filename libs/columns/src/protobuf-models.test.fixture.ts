import { create, createFileRegistry, type DescMessage } from '@bufbuild/protobuf';
import {
  Edition,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_duration,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';

/** A random message: as .proto text for us, and as a descriptor for protobuf-es. */
export interface ProtoModel {
  syntax: 'proto2' | 'proto3' | 'edition';
  message: MessageModel;
}

export interface MessageModel {
  name: string;
  fields: FieldModel[];
}

export interface FieldModel {
  name: string;
  number: number;
  kind: string;
  label: 'implicit' | 'optional' | 'required' | 'repeated' | 'map' | 'oneof';
  key?: string;
  delimited?: boolean;
  message?: MessageModel;
}

const SCALARS = [
  ...['double', 'float', 'int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64', 'fixed32', 'fixed64', 'sfixed32'],
  ...['sfixed64', 'bool', 'string', 'bytes'],
];
const KEYS = SCALARS.filter((scalar) => !['double', 'float', 'bytes'].includes(scalar));
const WELL_KNOWN: Record<string, string> = {
  Timestamp: 'timestamp',
  Duration: 'duration',
  Int64Value: 'wrappers',
  UInt32Value: 'wrappers',
  BoolValue: 'wrappers',
  StringValue: 'wrappers',
  Struct: 'struct',
};
const LEAVES = [...SCALARS, 'enum', ...Object.keys(WELL_KNOWN), 'self'];

interface Shape {
  kind: string;
  label: number;
  key: number;
  number: number;
  parts: Shape[];
}

const shapes: fc.Arbitrary<Shape[]> = fc.letrec<{ fields: Shape[]; field: Shape }>((tie) => ({
  fields: fc.array(tie('field'), { minLength: 1, maxLength: 8 }),
  field: fc.record({
    kind: fc.oneof({ depthSize: 'small' }, fc.constantFrom(...LEAVES), fc.constant('message')),
    label: fc.nat(99),
    key: fc.nat(KEYS.length - 1),
    number: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) }, fc.integer({ min: 1, max: 18_999 })),
    parts: fc.oneof({ depthSize: 'small', withCrossShrink: true }, fc.constant<Shape[]>([]), tie('fields')),
  }),
})).fields;

export const models: fc.Arbitrary<ProtoModel> = fc
  .record({ syntax: fc.constantFrom('proto2', 'proto3', 'edition'), shape: shapes })
  .map(({ syntax, shape }) => {
    let names = 0;
    const messageOf = (parts: Shape[]): MessageModel => {
      const name = `M${names++}`;
      const numbers = new Set<number>();
      const fields = parts.map((part, at): FieldModel => {
        let { number } = part;
        while (numbers.has(number)) number++;
        numbers.add(number);
        const label = labelOf(syntax, part);
        const message = part.kind === 'message' ? messageOf(part.parts) : undefined;
        const delimited =
          message !== undefined && label !== 'map' && label !== 'oneof' && syntax !== 'proto3' && part.label % 2 === 1;
        return {
          name: delimited && syntax === 'proto2' ? message.name.toLowerCase() : `f${at}`,
          number,
          kind: part.kind,
          label,
          ...(label === 'map' ? { key: KEYS[part.key]! } : {}),
          ...(message ? { message } : {}),
          ...(delimited ? { delimited } : {}),
        };
      });
      return { name, fields };
    };
    return { syntax, message: messageOf(shape) } as ProtoModel;
  })
  .map((model) => Object.assign(model, { [fc.toStringMethod]: () => protoText(model) }));

function labelOf(syntax: string, { kind, label }: Shape): FieldModel['label'] {
  const isMessage = kind === 'message' || kind === 'self' || kind in WELL_KNOWN;
  if (label < 20) return 'repeated';
  if (label < 32) return 'map';
  if (label < 50) return 'oneof';
  if (syntax === 'proto2') return label < 60 && !isMessage ? 'required' : 'optional';
  return label < 70 || isMessage ? 'optional' : 'implicit';
}

const typeText = (field: FieldModel, within: MessageModel): string => {
  if (field.kind === 'self') return within.name;
  if (field.kind in WELL_KNOWN) return `google.protobuf.${field.kind}`;
  if (field.kind === 'enum') return 'E';
  return field.message?.name ?? field.kind;
};

/** The model as a .proto file. */
export function protoText({ syntax, message }: ProtoModel): string {
  const print = (model: MessageModel): string => {
    const oneof = model.fields.filter(({ label }) => label === 'oneof');
    const nested = model.fields.filter((field) => field.message && !(field.delimited && syntax === 'proto2'));
    return `{
${nested.map(({ message }) => `message ${message!.name} ${print(message!)}`).join('\n')}
${model.fields
  .filter(({ label }) => label !== 'oneof')
  .map((field) => printField(field, model))
  .join('\n')}
${oneof.length === 0 ? '' : `oneof one { ${oneof.map((field) => printField(field, model)).join(' ')} }`}
}`;
  };
  const printField = (field: FieldModel, model: MessageModel): string => {
    const { name, number, label, key } = field;
    const type = typeText(field, model);
    const explicit = syntax === 'edition' ? '' : 'optional ';
    const prefix = {
      implicit: '',
      optional: explicit,
      required: 'required ',
      repeated: 'repeated ',
      map: '',
      oneof: '',
    }[label];
    if (field.delimited && syntax === 'proto2') return `${prefix}group ${type} = ${number} ${print(field.message!)}`;
    const options = [
      ...(field.delimited ? ['features.message_encoding = DELIMITED'] : []),
      ...(label === 'implicit' && syntax === 'edition' ? ['features.field_presence = IMPLICIT'] : []),
    ];
    const after = options.length === 0 ? '' : ` [${options.join(', ')}]`;
    return `${prefix}${key ? `map<${key}, ${type}>` : type} ${name} = ${number}${after};`;
  };
  const imports = [...new Set(Object.values(WELL_KNOWN))].map((file) => `import "google/protobuf/${file}.proto";`);
  return `${syntax === 'edition' ? 'edition = "2023"' : `syntax = "${syntax}"`}; package t;
${imports.join('\n')}
enum E { ZERO = 0; ONE = 1; BIG = 70000; MINUS = -3; }
message ${message.name} ${print(message)}`;
}

/** The model as a descriptor of protobuf-es. */
export function descriptorOf(model: ProtoModel): DescMessage {
  const known = [
    file_google_protobuf_timestamp,
    file_google_protobuf_duration,
    file_google_protobuf_wrappers,
    file_google_protobuf_struct,
  ];
  const file = create(FileDescriptorProtoSchema, {
    name: 't.proto',
    package: 't',
    ...(model.syntax === 'edition' ? { syntax: 'editions', edition: Edition.EDITION_2023 } : { syntax: model.syntax }),
    dependency: known.map(({ proto }) => proto.name),
    messageType: [messageProto(model.message, model.syntax, '.t')],
    enumType: [
      {
        name: 'E',
        value: Object.entries({ ZERO: 0, ONE: 1, BIG: 70000, MINUS: -3 }).map(([name, number]) => ({ name, number })),
      },
    ],
  });
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, { file: [...known.map(({ proto }) => proto), file] }),
  );
  return registry.getMessage(`t.${model.message.name}`)!;
}

type MessageProto =
  NonNullable<Parameters<typeof create<typeof FileDescriptorProtoSchema>>[1]> extends infer T
    ? T extends { messageType?: (infer M)[] }
      ? M
      : never
    : never;

function messageProto({ name, fields }: MessageModel, syntax: string, scope: string): MessageProto {
  const full = `${scope}.${name}`;
  const hasOneof = fields.some(({ label }) => label === 'oneof');
  const optional = syntax === 'proto3' ? fields.filter((field) => field.label === 'optional') : [];
  const oneofs = [...(hasOneof ? ['one'] : []), ...optional.map((field) => `_${field.name}`)];
  return {
    name,
    oneofDecl: oneofs.map((oneof) => ({ name: oneof })),
    nestedType: fields.flatMap((field) => [
      ...(field.message ? [messageProto(field.message, syntax, full)] : []),
      ...(field.label === 'map' ? [entryProto(field, full)] : []),
    ]),
    field: fields.map((field) => ({
      ...fieldProto(field, full, syntax),
      ...(field.label === 'oneof' ? { oneofIndex: 0 } : {}),
      ...(optional.includes(field) ? { oneofIndex: oneofs.indexOf(`_${field.name}`), proto3Optional: true } : {}),
    })),
  } as MessageProto;
}

const entryName = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1)}Entry`;

const entryProto = (field: FieldModel, full: string) => ({
  name: entryName(field.name),
  options: { mapEntry: true },
  field: [
    {
      name: 'key',
      number: 1,
      label: FieldDescriptorProto_Label.OPTIONAL,
      ...typeProto({ ...field, kind: field.key! }, full),
    },
    { name: 'value', number: 2, label: FieldDescriptorProto_Label.OPTIONAL, ...typeProto(field, full) },
  ],
});

function fieldProto(field: FieldModel, full: string, syntax: string) {
  const { name, number, label } = field;
  const base = { name, number, jsonName: name };
  if (label === 'map') {
    const typeName = `${full}.${entryName(name)}`;
    return { ...base, label: FieldDescriptorProto_Label.REPEATED, type: FieldDescriptorProto_Type.MESSAGE, typeName };
  }
  const isGroup = field.delimited && syntax === 'proto2';
  const features = {
    ...(label === 'implicit' && syntax === 'edition' ? { fieldPresence: FeatureSet_FieldPresence.IMPLICIT } : {}),
    ...(field.delimited && syntax === 'edition' ? { messageEncoding: FeatureSet_MessageEncoding.DELIMITED } : {}),
  };
  const labels = { repeated: FieldDescriptorProto_Label.REPEATED, required: FieldDescriptorProto_Label.REQUIRED };
  return {
    ...base,
    label: labels[label as 'repeated'] ?? FieldDescriptorProto_Label.OPTIONAL,
    ...typeProto(field, full),
    ...(isGroup ? { type: FieldDescriptorProto_Type.GROUP } : {}),
    ...(Object.keys(features).length > 0 ? { options: { features } } : {}),
  };
}

function typeProto(field: FieldModel, full: string): { type: FieldDescriptorProto_Type; typeName?: string } {
  const message = (typeName: string) => ({ type: FieldDescriptorProto_Type.MESSAGE, typeName });
  if (field.kind === 'self') return message(full);
  if (field.kind in WELL_KNOWN) return message(`.google.protobuf.${field.kind}`);
  if (field.kind === 'enum') return { type: FieldDescriptorProto_Type.ENUM, typeName: '.t.E' };
  if (field.kind === 'message') return message(`${full}.${field.message!.name}`);
  return { type: FieldDescriptorProto_Type[field.kind.toUpperCase() as 'INT32'] };
}
