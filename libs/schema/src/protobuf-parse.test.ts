import { toBinary } from '@bufbuild/protobuf';
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { deriveTableSchema } from './derive.ts';
import { typeName } from './iceberg-json.ts';
import { formatProtobufBundle, parseProtobufSchema } from './protobuf-file.ts';
import { mainMessage, messageAt, messageNamed, type ProtobufMessage } from './protobuf-schema.ts';
import { WELL_KNOWN_FILES } from './protobuf-well-known.ts';

const parse = (text: string, references: Record<string, string> = {}) =>
  parseProtobufSchema(text, new Map(Object.entries(references)));

const fieldsOf = ({ fields }: ProtobufMessage) =>
  fields.map(({ name, number, type, cardinality, key, presence, oneof, delimited, jsonName }) => ({
    name,
    jsonName,
    number,
    type: type.kind === 'scalar' ? type.scalar : type.fullName,
    is: [cardinality, key, presence, oneof, delimited ? 'delimited' : undefined]
      .filter((word) => word !== undefined)
      .join(' '),
  }));
const short = (message: ProtobufMessage) =>
  fieldsOf(message).map(({ name, number, type, is }) => `${name} ${number} ${type} ${is}`);

describe('parseProtobufSchema', () => {
  it('reads proto2 with all its corners', () => {
    const file = parse(`// proto2 is what a file without syntax is
      package odd . one; ; option (my).foo = { a: 1, b: [{ c: "x" }, { c: 'y' 'z' }] d { e: -inf } [ext.name]: 5 };
      extend google.protobuf.FileOptions { optional Opt my = 50001; }
      message M { option deprecated = true; ; reserved 100 to 199, 1000 to max; reserved "x", "y"; extensions 201 to 300;
        optional group Result = 1 [deprecated = true] { repeated group Deep = 3 { required int32 n = 0x1F; }
          oneof q { int32 w = 9; group Gg = 010 { optional int32 z = 1; } } }
        required sfixed64 r = 5 [default = -0x7fffffffffffffff];
        optional string message = 6 [default = "a\\"b\\n\\x41\\101\\u00e9", json_name = "mEssage"];
        map < int32 , Inner . Deep > spaced = 8;
        message Inner { enum Deep { option allow_alias = true; A = 0; B = 0; C = -5 [deprecated = true]; reserved 7; }
          message Inner { optional Inner inner = 1; optional M.Inner m = 2; } }
        optional Inner.Inner ii = 11; optional bool optional = 12; optional int32 reserved = 15; optional int32 group = 19;
        oneof choice { option (oo) = 5; string a_b__c = 30; } extend M { optional int32 ext = 201; } }
      service S { option deprecated = true; rpc F (M) returns (stream M) { option deprecated = true; } }`);
    const [message] = file.messages;
    expect(short(message!)).toEqual([
      'result 1 odd.one.M.Result singular explicit delimited',
      'r 5 sfixed64 singular required',
      'message 6 string singular explicit',
      'spaced 8 odd.one.M.Inner.Deep map int32 explicit',
      'ii 11 odd.one.M.Inner.Inner singular explicit',
      'optional 12 bool singular explicit',
      'reserved 15 int32 singular explicit',
      'group 19 int32 singular explicit',
      'a_b__c 30 string singular explicit choice',
    ]);
    expect(fieldsOf(message!).map(({ jsonName }) => jsonName)).toEqual(
      expect.arrayContaining(['mEssage', 'aBC', 'result']),
    );
    expect(message!.messages.map(({ fullName }) => fullName)).toEqual(['odd.one.M.Inner']);
    expect(short(file.types.get('odd.one.M.Inner.Inner')!)).toEqual([
      'inner 1 odd.one.M.Inner.Inner singular explicit',
      'm 2 odd.one.M.Inner singular explicit',
    ]);
    expect(short(file.types.get('odd.one.M.Result')!)).toEqual([
      'deep 3 odd.one.M.Result.Deep list explicit delimited',
      'w 9 int32 singular explicit q',
      'gg 8 odd.one.M.Result.Gg singular explicit q delimited',
    ]);
  });

  it('works out presence and encoding by syntax and edition', () => {
    const body = 'int32 a = 1; N n = 2; repeated N p = 3; oneof q { string s = 4; } map<bool, N> m = 5;';
    expect(short(parse(`syntax = "proto3"; message N { ${body} optional int32 o = 6; }`).messages[0]!)).toEqual([
      'a 1 int32 singular implicit',
      'n 2 N singular explicit',
      'p 3 N list explicit',
      's 4 string singular explicit q',
      'm 5 N map bool explicit',
      'o 6 int32 singular explicit',
    ]);
    const edition =
      parse(`edition = "2023"; option features.field_presence = IMPLICIT; option features = { message_encoding: DELIMITED };
      message N { ${body} int32 e = 6 [features.field_presence = EXPLICIT]; int32 r = 7 [features = { field_presence: LEGACY_REQUIRED }];
      N plain = 8 [features.message_encoding = LENGTH_PREFIXED]; }`);
    expect(short(edition.messages[0]!)).toEqual([
      'a 1 int32 singular implicit',
      'n 2 N singular explicit delimited',
      'p 3 N list explicit delimited',
      's 4 string singular explicit q',
      'm 5 N map bool explicit',
      'e 6 int32 singular explicit',
      'r 7 int32 singular required',
      'plain 8 N singular explicit',
    ]);
  });

  it('knows Google’s own files as protobuf-es has them, also from a compiled schema', () => {
    const files = [
      ...[
        file_google_protobuf_any,
        file_google_protobuf_duration,
        file_google_protobuf_empty,
        file_google_protobuf_struct,
      ],
      ...[file_google_protobuf_field_mask, file_google_protobuf_timestamp, file_google_protobuf_wrappers],
    ];
    for (const { proto } of files) {
      const compiled = Buffer.from(toBinary(FileDescriptorProtoSchema, proto)).toString('base64');
      const { types } = parse(compiled);
      for (const message of parse(WELL_KNOWN_FILES.get(proto.name)!).types.values())
        expect(fieldsOf(message)).toEqual(fieldsOf(types.get(message.fullName)!));
    }
    // Who registers compiled schemas counts the entries of maps among the messages.
    const struct = Buffer.from(toBinary(FileDescriptorProtoSchema, file_google_protobuf_struct.proto)).toString(
      'base64',
    );
    expect(messageAt(parse(struct), [0, 0])!.fullName).toBe('google.protobuf.Struct.FieldsEntry');
    const own = Buffer.from(toBinary(FileDescriptorProtoSchema, file_google_protobuf_descriptor.proto)).toString(
      'base64',
    );
    const field = messageNamed(parse(own), 'FieldDescriptorProto');
    expect(short(field)).toContain('type 5 google.protobuf.FieldDescriptorProto.Type singular explicit');
  });

  it('follows imports, and keeps them in one text', () => {
    const references = {
      'a/b.proto': 'syntax = "proto3"; package a; import public "c.proto"; message B { C c = 1; }',
      'c.proto': 'package a; message C { optional int32 n = 1; }',
    };
    const text =
      'syntax = "proto3"; import "a/b.proto"; import "google/type/date.proto"; message M { a.B b = 1; google.type.Date day = 2; }';
    const bundle = formatProtobufBundle(text, new Map(Object.entries(references)));
    for (const file of [parse(text, references), parse(bundle)])
      expect([...file.types.keys()].sort()).toEqual(['M', 'a.B', 'a.C', 'google.type.Date']);
    expect(() => parse(text)).toThrow(/it imports a\/b\.proto, which is not among its references/);
  });

  it('finds messages by index, by name and by what is used', () => {
    const file = parse(
      'package p; message A { optional int32 x = 1; } message B { optional A a = 1; message In { message Deep { } } optional group G = 2 { } message Last { } }',
    );
    expect(messageAt(file, [1, 0, 0])!.fullName).toBe('p.B.In.Deep');
    expect(messageAt(file, [1, 1])!.fullName).toBe('p.B.Last');
    expect(messageAt(file, [2])).toBeUndefined();
    expect(mainMessage(file).fullName).toBe('p.B');
    expect(messageNamed(file, 'Deep').fullName).toBe('p.B.In.Deep');
    expect(() => messageNamed(file, 'C')).toThrow(/no message C; it has p\.A, p\.B/);
  });

  it.each([
    ['message M { int32 a = 1 }', /line 1: ";" is missing before "}"/],
    ['\n\nmessage M { optional Nope a = 1; }', /line 3: the type Nope of M\.a is neither/],
    ['message M { optional int32 a = 1; optional int32 b = 1; }', /two fields with the number 1/],
    ['message M { optional int32 a = 1; optional int32 a = 2; }', /two fields a/],
    ['message M { optional int32 a = 0; }', /number 0: 1 to 536870911/],
    ['message M { map<float, int32> a = 1; }', /float can not be the key/],
    ['message M {} message M {}', /M is declared twice/],
    ['syntax = "proto4";', /"proto4" is not known/],
    ['edition = "2099";', /"2099" is not known/],
    ['enum E { }', /has no values/],
    ['message M { optional string s = 1 [default = "\\q"]; }', /\\q is no escape/],
    ['message M { ', /"optional|missing/],
    ['#', /is not Protobuf/],
    ['{"no": 1}', /is no \.proto source/],
    [`${'message M { '.repeat(200)}`, /nested deeper/],
  ])('says what is wrong with %j', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ kind: 'invalid', message: expect.stringMatching(message) }),
    );
  });
});

describe('Protobuf types become', () => {
  const columns = (body: string, nanos?: 'long') => {
    const imports = ['timestamp', 'duration', 'wrappers', 'struct', 'any', 'empty'].map(
      (name) => `import "google/protobuf/${name}.proto";`,
    );
    const types = ['date', 'timeofday', 'decimal', 'money'].map((name) => `import "google/type/${name}.proto";`);
    const file =
      parse(`syntax = "proto3"; ${[...imports, ...types].join(' ')} import "confluent/type/decimal.proto"; import "confluent/meta.proto";
      message M { ${body} } enum E { A = 0; } message In { int32 x = 1; optional string y = 2; M up = 3; }`);
    const value = { encoding: 'protobuf' as const, schema: file.messages[0]!, ...(nanos ? { nanos } : {}) };
    return deriveTableSchema({ value, key: { encoding: 'none' } }).fields;
  };

  it.each([
    ['double', 'double'],
    ['float', 'float'],
    ['bool', 'boolean'],
    ['string', 'string'],
    ['bytes', 'binary'],
    ['int32', 'int'],
    ['sint32', 'int'],
    ['sfixed32', 'int'],
    ['uint32', 'long'],
    ['fixed32', 'long'],
    ['int64', 'long'],
    ['sint64', 'long'],
    ['sfixed64', 'long'],
    ['uint64', 'decimal(20, 0)'],
    ['fixed64', 'decimal(20, 0)'],
    ['E', 'string'],
    ['In', 'struct<x: int, y: string, up: string>'],
    ['M', 'string'],
    ['repeated In', 'list<struct<x: int, y: string, up: string>>'],
    ['map<uint64, E>', 'map<decimal(20, 0), string>'],
    ['google.protobuf.Timestamp', 'timestamptz'],
    ['google.protobuf.Duration', 'struct<seconds: long, nanos: int>'],
    ['google.protobuf.UInt64Value', 'decimal(20, 0)'],
    ['repeated google.protobuf.StringValue', 'list<string>'],
    ['google.protobuf.Struct', 'string'],
    ['google.protobuf.Any', 'string'],
    ['google.protobuf.Empty', 'string'],
    ['google.type.Date', 'date'],
    ['google.type.TimeOfDay', 'long'],
    ['google.type.Decimal', 'decimal(38, 18)'],
    ['google.type.Money', 'struct<currency_code: string, units: long, nanos: int>'],
    ['confluent.type.Decimal', 'decimal(38, 18)'],
  ])('%s → %s', (type, expected) => {
    expect(typeName(columns(`${type} f = 1;`)[0]!.type)).toBe(expected);
  });

  it('takes digits, docs and the rule for nanoseconds from where they are said', () => {
    const decimal =
      'confluent.type.Decimal f = 1 [(confluent.field_meta) = { doc: "x", params: [{ key: "precision", value: "9" }, { key: "scale", value: "2" }] }]; // The sum\n';
    expect(columns(decimal)[0]).toMatchObject({
      type: { precision: 9, scale: 2 },
      doc: 'The sum',
      origin: 'M#1',
      required: false,
    });
    expect(typeName(columns('google.protobuf.Timestamp f = 1;', 'long')[0]!.type)).toBe('long');
    const [field] = columns('In f = 1;');
    expect((field!.type as { fields: { required: boolean }[] }).fields.map(({ required }) => required)).toEqual([
      true,
      false,
      false,
    ]);
    expect(() =>
      columns(
        'confluent.type.Decimal f = 1 [(confluent.field_meta) = { params: [{ key: "precision", value: "39" }] }];',
      ),
    ).toThrow(/decimal\(39, 0\)/);
    expect(() => columns('int32 a = 1; int32 A = 2;')).toThrow(/same column name/);
  });

  it('takes a message for what it is, not for its name', () => {
    const file = parse('syntax = "proto3"; package google.protobuf; message Timestamp { string text = 1; }');
    const { fields } = deriveTableSchema({
      value: { encoding: 'protobuf', schema: file.messages[0]! },
      key: { encoding: 'none' },
    });
    expect(fields[0]).toMatchObject({ name: 'text', type: { kind: 'string' } });
  });

  it('refuses a schema that stands for too many columns', () => {
    const levels = Array.from({ length: 20 }, (_, i) => `message L${i} { L${i + 1} a = 1; L${i + 1} b = 2; }`).join(
      ' ',
    );
    const file = parse(`syntax = "proto3"; ${levels} message L20 { int32 x = 1; }`);
    expect(() =>
      deriveTableSchema({ value: { encoding: 'protobuf', schema: file.messages[0]! }, key: { encoding: 'none' } }),
    ).toThrow(/more than 10000 columns/);
  });
});
