/** A .proto file as it was written: names unresolved, features as far as they were named. */
export interface ProtobufSource {
  name: string;
  /** "proto2" (also when the file does not say), "proto3", or an edition such as "2023". */
  edition: string;
  package: string;
  imports: string[];
  options: ProtobufOptions;
  messages: SourceMessage[];
  enums: SourceEnum[];
  /** Read from a descriptor, in which groups and entries of maps are messages like others, and counted by indexes. */
  compiled?: boolean;
}

export interface SourceMessage {
  name: string;
  fields: SourceField[];
  messages: SourceMessage[];
  enums: SourceEnum[];
  /** Options of its oneofs, by name. */
  oneofs: Map<string, ProtobufOptions>;
  options: ProtobufOptions;
  /** Declared by a group field, as its body. */
  group: boolean;
}

export interface SourceEnum {
  name: string;
  values: { name: string; number: number }[];
}

export interface SourceField {
  name: string;
  number: number;
  /** As written: "int32", "Order.Item", ".com.example.Order". Of a map: its value's. */
  type: string;
  label: 'optional' | 'required' | 'repeated' | 'none';
  /** Of a map. */
  key?: string;
  oneof?: string;
  /** proto2 `group`. */
  group: boolean;
  options: ProtobufOptions;
  doc?: string;
  line: number;
}

/** By name as written: "deprecated", "features.field_presence", "(confluent.field_meta)". */
export type ProtobufOptions = Map<string, OptionValue>;
export type OptionValue = string | OptionValue[] | { [name: string]: OptionValue };
