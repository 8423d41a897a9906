import { deriveTableSchema, mainMessage, type NanosRule, parseProtobufSchema } from '@millrace/schema';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { compileProtobufDecoder } from './protobuf-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const IMPORTS = ['protobuf/timestamp', 'protobuf/any', 'protobuf/struct', 'protobuf/wrappers', 'protobuf/field_mask'];
const TYPES = ['type/date', 'type/timeofday', 'type/decimal'];
const HEAD = `${[...IMPORTS, ...TYPES].map((file) => `import "google/${file}.proto";`).join('\n')}
import "confluent/type/decimal.proto"; `;

/** Decodes records of the first message of a proto2 file. */
function decode(
  source: string,
  values: (readonly number[] | null)[],
  { generate = true, nanos = 'exact' as NanosRule, syntax = 'proto2' } = {},
) {
  const file = parseProtobufSchema(`syntax = "${syntax}"; ${HEAD} ${source}`);
  const writer = { message: mainMessage(file), types: file.types, nanos };
  const table = deriveTableSchema({
    value: { encoding: 'protobuf', schema: writer.message, nanos },
    key: { encoding: 'none' },
    kafkaColumns: ['offset'],
  });
  const rows = createRowBuilder(table);
  const decoders = {
    value: compileProtobufDecoder(writer, table, 'value', { generate }),
    key: createPlainDecoder('none', table, 'key'),
    kafka: { partition: 0 },
  };
  const index = indexOf(values.map((value) => value && Uint8Array.from(value)));
  const result = appendRecords(rows, decoders, index, 0, values.length);
  return { rows, ...result, found: rowsOf(rows.batch()).map(({ _kafka, ...row }) => row) };
}

const varint = (value: bigint): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
};
const tag = (number: number, wireType: number) => varint(BigInt((number << 3) | wireType));
const bytes = (number: number, ...content: number[]) => [
  ...tag(number, 2),
  ...varint(BigInt(content.length)),
  ...content,
];
const text = (number: number, value: string) => bytes(number, ...Buffer.from(value));
const integer = (number: number, value: bigint) => [...tag(number, 0), ...varint(value)];

describe.each([true, false])('broken and hostile Protobuf records (generated: %s)', (generate) => {
  const nested =
    'message M { optional In f = 1; } message In { repeated Deep d = 2; map<string, Deep> m = 3; } message Deep { optional string s = 4; }';
  it.each<[string, string, number[], string, string?]>([
    ['ends inside a tag', 'message M { optional int32 f = 1; }', [0x88], 'ends inside a number'],
    ['ends inside a number', 'message M { optional int64 f = 1; }', [8, 0x80], 'ends inside a number', 'f'],
    [
      'eleven bytes',
      'message M { optional int64 f = 1; }',
      [8, ...new Array(10).fill(255), 1],
      'more than ten bytes',
      'f',
    ],
    ['a field 0', 'message M { optional int32 f = 1; }', [0, 1], '0 is no number of a field'],
    [
      'a tag of 33 bits',
      'message M { optional int32 f = 1; }',
      [...varint(2n ** 32n + 8n), 1],
      'is no number of a field',
    ],
    [
      'string over the end',
      'message M { optional string f = 1; }',
      [10, 9, 65],
      '9 bytes are announced where 1 are left',
      'f',
    ],
    ['huge length', 'message M { optional bytes f = 1; }', [10, ...varint(2n ** 63n)], 'are announced', 'f'],
    ['negative length', 'message M { optional bytes f = 1; }', [10, ...varint(-1n)], 'are announced', 'f'],
    ['surrogate in UTF-8', 'message M { optional string f = 1; }', bytes(1, 0xed, 0xa0, 0x80), 'not valid UTF-8', 'f'],
    ['cut UTF-8', 'message M { optional string f = 1; }', bytes(1, 65, 0xc3), 'not valid UTF-8', 'f'],
    ['fixed32 over the end', 'message M { optional fixed32 f = 1; }', [13, 1, 2, 3], 'are announced', 'f'],
    ['fixed64 over the end', 'message M { optional double f = 1; }', [9, 1, 2, 3], 'are announced', 'f'],
    ['packed and cut', 'message M { repeated fixed32 f = 1; }', bytes(1, 1, 2, 3, 4, 5), 'are announced', 'f.element'],
    ['packed and over the end', 'message M { repeated int32 f = 1; }', [10, 100, 1], 'are announced', 'f'],
    ['deep in messages', nested, bytes(1, ...bytes(2, ...bytes(4, 0xff))), 'not valid UTF-8', 'f.d.element.s'],
    [
      'deep in a map',
      nested,
      bytes(1, ...bytes(3, ...text(1, 'k'), ...bytes(2, ...bytes(4, 0xff)))),
      'UTF-8',
      'f.m.value.s',
    ],
    ['a message over its end', nested, [10, 2, 18, 5, 34, 3, 65, 65, 65], 'are announced', 'f.d.element'],
    ['a required field that is not there', 'message M { required int32 f = 1; }', [], 'it is required', 'f'],
    ['an end without a start', 'message M { optional int32 f = 1; }', tag(2, 4), 'a group ends that did not begin'],
    ['a group without an end', 'message M { optional int32 f = 1; }', tag(2, 3), 'ends inside a number'],
    ['a group with another end', 'message M { optional int32 f = 1; }', [...tag(2, 3), ...tag(3, 4)], 'a group ends'],
    [
      'groups without end',
      'message M { optional int32 f = 1; }',
      new Array(50_000).fill(tag(2, 3)[0]),
      'nested deeper than 100',
    ],
    ['wire type 6', 'message M { optional int32 f = 1; }', tag(1, 6), 'wire type 6'],
    ['a recursion without end', 'message M { optional M f = 1; }', deep(50_000), 'nested deeper than 100'],
    [
      'nanoseconds',
      'message M { optional google.protobuf.Timestamp f = 1; }',
      bytes(1, ...integer(2, 1n)),
      'nanos: truncate',
      'f',
    ],
    [
      'too many nanoseconds',
      'message M { optional google.protobuf.Timestamp f = 1; }',
      bytes(1, ...integer(2, 10n ** 9n)),
      '1000000000 nanoseconds',
      'f',
    ],
    [
      'a time too far away',
      'message M { optional google.protobuf.Timestamp f = 1; }',
      bytes(1, ...integer(1, 2n ** 44n)),
      'does not fit 64 bits',
      'f',
    ],
    [
      'no whole date',
      'message M { optional google.type.Date f = 1; }',
      bytes(1, ...integer(1, 2024n), ...integer(2, 5n)),
      'no whole date',
      'f',
    ],
    [
      '31 February',
      'message M { optional google.type.Date f = 1; }',
      bytes(1, ...integer(1, 2024n), ...integer(2, 2n), ...integer(3, 30n)),
      'no whole date',
      'f',
    ],
    [
      '25 hours',
      'message M { optional google.type.TimeOfDay f = 1; }',
      bytes(1, ...integer(1, 25n)),
      'no time of day',
      'f',
    ],
    [
      'no decimal',
      'message M { optional google.type.Decimal f = 1; }',
      bytes(1, ...text(1, '1,5')),
      'is no decimal',
      'f',
    ],
    [
      'too many decimals',
      'message M { optional google.type.Decimal f = 1; }',
      bytes(1, ...text(1, '1e-19')),
      'does not fit decimal(38, 18)',
      'f',
    ],
    [
      'a huge exponent',
      'message M { optional google.type.Decimal f = 1; }',
      bytes(1, ...text(1, '1e9999')),
      'does not fit',
      'f',
    ],
    [
      'a broken Any',
      'message M { optional google.protobuf.Any f = 1; }',
      bytes(1, ...text(1, 'x/M'), ...bytes(2, 10)),
      'ends inside a number',
      'f.value.f',
    ],
  ])('%s', (_name, source, record, message, field = undefined) => {
    const { rows, appended, error } = decode(source, [record, null], { generate });
    expect(appended).toBe(0);
    expect(error).toMatchObject({
      kind: 'corrupt',
      code: 'record-undecodable',
      message: expect.stringContaining(message),
    });
    if (field !== undefined) expect(error!.context['field']).toBe(field);
    expect(rows.batch().length).toBe(0);
    for (const domain of rows.domains) expect(domain.capacity).toBeLessThan(1000);
  });

  it('reads what is legal and strange', () => {
    const source = `message M { oneof o { int32 a = 1; In b = 2; } map<int32, In> m = 3; optional In c = 4; repeated int32 p = 5;
      optional uint64 big = 6; optional bool yes = 7; }
      message In { repeated string s = 1; optional int32 n = 2; }`;
    const record = [
      ...integer(1, 9n),
      ...bytes(2, ...text(1, 'gone')),
      ...integer(1, -7n),
      ...bytes(3, ...integer(1, 5n), ...bytes(2, ...text(1, 'first'))),
      ...bytes(3, ...bytes(2, ...text(1, 'no key'))),
      ...bytes(3, ...integer(1, 5n), ...bytes(2, ...text(1, 'x'), ...text(1, 'y'))),
      ...bytes(4, ...text(1, 'p'), ...integer(2, 1n)),
      ...integer(5, 1n),
      ...bytes(5, 2, 3),
      // An unknown group, known fields with other wire types, a tag longer than it must be.
      ...[...tag(99, 3), ...integer(1, 1n), ...tag(7, 3), ...tag(7, 4), ...tag(99, 4)],
      ...[...tag(1, 5), 1, 2, 3, 4],
      ...[0xb0, 0x80, 0x00, ...varint(-1n)],
      ...bytes(4, ...text(1, 'q'), ...integer(2, 2n)),
      ...[...tag(7, 0), 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
    ];
    const { found, error } = decode(source, [record, [], record], { generate });
    expect(error).toBeUndefined();
    const row = {
      a: -7,
      b: null,
      m: [
        [5, { s: ['x', 'y'], n: null }],
        [0, { s: ['no key'], n: null }],
      ],
      c: { s: ['p', 'q'], n: 2 },
      p: [1, 2, 3],
      big: 2n ** 64n - 1n,
      yes: true,
    };
    expect(found).toEqual([row, { a: null, b: null, m: [], c: null, p: [], big: null, yes: null }, row]);
  });

  it('holds times, dates and decimals to the last digit', () => {
    const source = `message M { optional google.protobuf.Timestamp t = 1; optional google.type.Date d = 2; optional google.type.TimeOfDay c = 3;
      optional google.type.Decimal x = 4; optional confluent.type.Decimal y = 5 [(confluent.field_meta) = { params: [{ key: "precision" value: "5" }, { key: "scale" value: "2" }] }]; }`;
    const record = (seconds: bigint, nanos: bigint, decimal: string, unscaled: number[], scale: bigint) => [
      ...bytes(1, ...integer(1, seconds), ...integer(2, nanos)),
      ...bytes(2, ...integer(1, 2024n), ...integer(2, 2n), ...integer(3, 29n)),
      ...bytes(3, ...integer(1, 23n), ...integer(2, 59n), ...integer(3, 58n), ...integer(4, 7000n)),
      ...bytes(4, ...text(1, decimal)),
      ...bytes(5, ...bytes(1, ...unscaled), ...integer(3, scale)),
    ];
    const farthest = 2n ** 63n / 1_000_000n;
    const { found, error } = decode(
      source,
      [
        record(-1n, 999_999_000n, '-1.5e3', [0xff, 0x85], 1n),
        record(farthest, 0n, '12345678901234567890.123456789012345678', [0x7b], 0n),
        record(-farthest, 0n, '', [], 9n),
        bytes(1),
      ],
      { generate },
    );
    expect(error).toBeUndefined();
    const day = { d: Date.UTC(2024, 1, 29) / 86_400_000, c: 86_398_000_007n };
    expect(found).toEqual([
      { t: -1n, ...day, x: -1500n * 10n ** 18n, y: -1230n },
      { t: farthest * 1_000_000n, ...day, x: 12345678901234567890123456789012345678n, y: 12300n },
      { t: -farthest * 1_000_000n, ...day, x: 0n, y: 0n },
      { t: 0n, d: null, c: null, x: null, y: null },
    ]);
    const nanos = bytes(1, ...integer(1, -1n), ...integer(2, 999_999_999n));
    expect(decode(source, [nanos], { generate, nanos: 'truncate' }).found[0]).toMatchObject({ t: -1n });
    expect(decode(source, [nanos], { generate, nanos: 'long' }).found[0]).toMatchObject({ t: -1n });
    expect(decode(source, [bytes(1, ...integer(1, 1n))], { generate, nanos: 'long' }).found[0]).toMatchObject({
      t: 10n ** 9n,
    });
  });

  it("writes Protobuf's JSON", () => {
    const source = `message M { optional google.protobuf.Any a = 1; optional google.protobuf.Struct s = 2; optional M self = 3;
      optional google.protobuf.Timestamp at_time = 4; optional bytes raw = 5; map<bool, uint64> counts = 6; optional google.protobuf.FieldMask mask = 7;
      optional google.protobuf.Int64Value wrapped = 8; optional float small = 9; }`;
    const inner = [
      ...bytes(4, ...integer(1, 1n), ...integer(2, 5_000_000n)),
      ...bytes(5, 255, 0),
      ...bytes(6, ...integer(1, 1n), ...integer(2, -1n)),
      ...bytes(7, ...text(1, 'a_b.c'), ...text(1, 'd')),
      ...bytes(8),
      ...[...tag(9, 5), 0xcd, 0xcc, 0xcc, 0x3d],
    ];
    const json =
      '"atTime":"1970-01-01T00:00:01.005Z","raw":"/wA=","counts":{"true":"18446744073709551615"},"mask":"aB.c,d","wrapped":"0","small":0.1';
    const any = (url: string, ...content: number[]) => bytes(1, ...text(1, url), ...bytes(2, ...content));
    const { found, error } = decode(
      source,
      [
        bytes(3, ...inner),
        any('type.googleapis.com/M', ...inner),
        any('x/google.protobuf.Timestamp', ...integer(1, 0n)),
        any('x/Unknown', 1, 2),
        bytes(
          2,
          ...bytes(
            1,
            ...text(1, 'k"'),
            ...bytes(2, ...bytes(6, ...bytes(1, ...integer(1, 0n)), ...bytes(1, ...integer(4, 1n)))),
          ),
        ),
      ],
      { generate },
    );
    expect(error).toBeUndefined();
    expect(found[0]!['self']).toBe(`{${json}}`);
    expect(found.slice(1, 4).map((row) => row['a'])).toEqual([
      `{"@type":"type.googleapis.com/M",${json}}`,
      '{"@type":"x/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}',
      '{"@type":"x/Unknown","value":"AQI="}',
    ]);
    expect(found[4]!['s']).toBe('{"k\\"":[null,true]}');
  });

  it('lets no name into the code, and decodes messages too wide for one function', () => {
    const names = ['constructor', 'prototype', 'toString', 's', 'p', 'e', 'k', 'hasOwnProperty', '__proto__'];
    const hostile = decode(
      `message eval { ${names.map((name, i) => `optional int32 ${name} = ${i + 1};`).join(' ')} }`,
      [names.flatMap((_, i) => integer(i + 1, BigInt(i)))],
    );
    const { columns } = hostile.rows.batch();
    expect(names.map((_, i) => (columns[i] as { values: Int32Array }).values[0])).toEqual(names.map((_, i) => i));
    const fields = Array.from(
      { length: 150 },
      (_, i) => `optional int32 a${i} = ${2 * i + 1}; repeated In b${i} = ${2 * i + 2};`,
    );
    const wide = `message M { ${fields.join(' ')} } message In { optional string s = 1; repeated int32 n = 2; }`;
    const at = (i: number) => [
      ...integer(2 * i + 1, BigInt(i)),
      ...bytes(2 * i + 2, ...text(1, `s${i}`), ...bytes(2, i, i)),
      ...bytes(2 * i + 2),
    ];
    const record = Array.from({ length: 60 }, (_, i) => at(2 * i)).flat();
    const { found, error } = decode(wide, [record, [...record].slice(0, -1), record], { generate });
    expect(found).toHaveLength(1);
    expect(error).toMatchObject({ code: 'record-undecodable' });
    expect(found[0]).toMatchObject({ a0: 0, a118: 118, a1: null, a149: null, b1: [] });
    expect(found[0]!['b118']).toEqual([
      { s: 's118', n: [118, 118] },
      { s: null, n: [] },
    ]);
  });
});

function deep(levels: number): number[] {
  // Each length only as long as what is left needs it: the reader must stop before it gets there.
  let record: number[] = [];
  for (let i = 0; i < Math.min(levels, 150); i++) record = bytes(1, ...record);
  return record;
}
