import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  Edition,
  type EnumDescriptorProto,
  type FeatureSet,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import type { ProtobufOptions, ProtobufSource, SourceEnum, SourceField, SourceMessage } from './protobuf-source.ts';

/**
 * A compiled .proto file, a FileDescriptorProto (google/protobuf/descriptor.proto) in base64, as some clients register it.
 * Undefined when the text is none.
 */
export function readDescriptor(text: string, name: string): ProtobufSource | undefined {
  if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text)) return undefined;
  try {
    const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(text, 'base64'));
    return {
      name: name || file.name,
      edition: file.syntax === 'editions' ? Edition[file.edition].replace('EDITION_', '') : file.syntax || 'proto2',
      package: file.package,
      imports: file.dependency,
      options: optionsOf(file.options?.features),
      messages: file.messageType.map((message) => messageOf(message, false)),
      compiled: true,
      enums: file.enumType.map(enumOf),
    };
  } catch {
    return undefined;
  }
}

function messageOf(message: DescriptorProto, group: boolean): SourceMessage {
  const entries = new Map(
    message.nestedType.filter((nested) => nested.options?.mapEntry).map((nested) => [nested.name, nested]),
  );
  const groups = new Set(message.field.filter(isGroup).map((field) => shortName(field.typeName)));
  return {
    name: message.name,
    fields: message.field.map((field) => fieldOf(field, message, entries)),
    messages: message.nestedType.map((nested) => messageOf(nested, groups.has(nested.name))),
    enums: message.enumType.map(enumOf),
    oneofs: new Map(message.oneofDecl.map(({ name, options }) => [name, optionsOf(options?.features)])),
    options: optionsOf(message.options?.features),
    group,
  };
}

const isGroup = ({ type }: FieldDescriptorProto): boolean => type === FieldDescriptorProto_Type.GROUP;
const shortName = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const enumOf = ({ name, value }: EnumDescriptorProto): SourceEnum => ({
  name,
  values: value.map(({ name, number }) => ({ name, number })),
});

function fieldOf(
  field: FieldDescriptorProto,
  within: DescriptorProto,
  entries: Map<string, DescriptorProto>,
): SourceField {
  const { name, number, jsonName, label, proto3Optional } = field;
  const entry = field.typeName === '' ? undefined : entries.get(shortName(field.typeName));
  const [key, value] = entry?.field ?? [];
  const options = optionsOf(field.options?.features);
  if (jsonName !== '') options.set('json_name', jsonName);
  const isMember = Object.hasOwn(field, 'oneofIndex') && !proto3Optional;
  return {
    name,
    number,
    type: typeOf(value ?? field),
    label: entry ? 'none' : labelOf(label, proto3Optional),
    ...(key ? { key: typeOf(key) } : {}),
    ...(isMember ? { oneof: within.oneofDecl[field.oneofIndex]!.name } : {}),
    group: isGroup(field),
    options,
    line: 0,
  };
}

// In proto3 and editions every field that is neither repeated nor required is labelled optional.
function labelOf(label: FieldDescriptorProto_Label, proto3Optional: boolean): SourceField['label'] {
  if (label === FieldDescriptorProto_Label.REPEATED) return 'repeated';
  if (label === FieldDescriptorProto_Label.REQUIRED) return 'required';
  return proto3Optional ? 'optional' : 'none';
}

const typeOf = ({ type, typeName }: FieldDescriptorProto): string =>
  typeName || FieldDescriptorProto_Type[type].toLowerCase();

function optionsOf(features: FeatureSet | undefined): ProtobufOptions {
  const options: ProtobufOptions = new Map();
  if (features?.fieldPresence) options.set('features.field_presence', FeatureSet_FieldPresence[features.fieldPresence]);
  if (features?.messageEncoding)
    options.set('features.message_encoding', FeatureSet_MessageEncoding[features.messageEncoding]);
  return options;
}
