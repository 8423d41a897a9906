import { deriveTableSchema, parseAvroSchema } from '@millrace/schema';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendRecords } from './append.ts';
import { compileAvroDecoder } from './avro-decoder.ts';
import { avscType } from './avro-models.test.fixture.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf } from './rows.test.fixture.ts';
import { encodeVariant, variantFromJson } from './variant.ts';
import { variantToJson } from './variant-text.ts';
import type { BytesVector, StructVector } from './vector.ts';

const roundTrip = (text: string) => {
  const { metadata, value } = encodeVariant(text);
  return variantToJson(metadata, value);
};
const hex = (text: string) => {
  const { metadata, value } = encodeVariant(text);
  return [metadata, value].map((bytes) => Buffer.from(bytes).toString('hex'));
};

test('the bytes are those of the specification', () => {
  expect(hex('null')).toEqual(['110000', '00']);
  expect(hex('"hi"')).toEqual(['110000', '096869']);
  expect(hex('1234567')).toEqual(['110000', '1487d61200']);
  // decimal4, scale 2; and a double, as there is an exponent.
  expect(hex('-1.25')[1]).toBe('200283ffffff');
  expect(hex('1e0')[1]).toBe('1c000000000000f03f');
  // Names sorted, ids in their order, offsets of the values as they stand.
  expect(hex('{"b": 1, "a": [true]}')).toEqual(['1102000102' + '6162', '02020001' + '020007' + '0c01' + '0301000104']);
});

test.for([
  '[0,127,128,-128,-129,32767,32768,2147483647,2147483648,-9223372036854775808,9223372036854775807]',
  '[9223372036854775808,99999999999999999999999999999999999999,-0.00000000000000000000000000000000000001,12.50]',
  `["${'x'.repeat(63)}","${'x'.repeat(64)}","${'é'.repeat(40_000)}"]`,
  `[${Array.from({ length: 300 }, (_, i) => `{"k${i}":${i}}`).join(',')}]`,
  `{${Array.from({ length: 300 }, (_, i) => `"k${String(i).padStart(3, '0')}":null`).join(',')}}`,
  '{}',
  '[]',
  '[[[[]]],{"":{"":false}}]',
])('comes back as it was: %s', (text) => {
  expect(roundTrip(text)).toBe(text);
});

test('any JSON means the same afterwards', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (json) => {
      const text = JSON.stringify(json, undefined, 1);
      expect(JSON.parse(roundTrip(text))).toEqual(JSON.parse(text));
    }),
    { seed: 20_261_122, numRuns: 500 },
  );
});

test('of members with one name the last counts; numbers beyond 38 digits are doubles', () => {
  expect(roundTrip('{"a":1,"b":2,"a":[3]}')).toBe('{"a":[3],"b":2}');
  expect(roundTrip('123456789012345678901234567890123456789')).toBe('1.2345678901234568e+38');
});

test('types that JSON has not are strings', () => {
  const none = Buffer.from('110000', 'hex');
  const text = (value: string) => variantToJson(none, Buffer.from(value, 'hex'));
  expect(text('2cffffffff')).toBe('"1969-12-31"');
  expect(text('30ffffffffffffffff')).toBe('"1969-12-31T23:59:59.999999Z"');
  expect(text('48ffffffffffffffff')).toBe('"1969-12-31T23:59:59.999999999Z"');
  expect(text('340100000000000000')).toBe('"1970-01-01T00:00:00.000001"');
  expect(text('440100000000000000')).toBe('"00:00:00.000001"');
  expect(text('3c02000000ff00')).toBe('"/wA="');
  expect(text('50000102030405060708090a0b0c0d0e0f')).toBe('"00010203-0405-0607-0809-0a0b0c0d0e0f"');
  expect(text('1c000000000000f07f')).toBe('"Infinity"');
  expect(text('380000c03f')).toBe('1.5');
});

test.for(['', '{', '[1,]', '{"a" 1}', '{a:1}', '01', '"\n"', '"\\x"', '"\\u12"', 'nul', '1 2', '[1', '"a', '-'])(
  'is no JSON: %j',
  (text) => {
    expect(() => encodeVariant(text)).toThrow(expect.objectContaining({ kind: 'invalid', code: 'variant-json' }));
  },
);

test('hostile bytes end in an error, soon', () => {
  const { metadata, value } = encodeVariant('{"a":[1,{"b":"text"},[2.5]],"c":null}');
  for (const [bytes, other] of [
    [metadata, value],
    [value, metadata],
  ] as const) {
    for (let at = 0; at < bytes.length; at++) {
      for (const changed of [0, 1, 0x7f, 0xff, bytes[at]! ^ 4]) {
        const hostile = Uint8Array.from(bytes);
        hostile[at] = changed;
        try {
          variantToJson(bytes === metadata ? hostile : other, bytes === metadata ? other : hostile);
        } catch (thrown) {
          expect(thrown).toMatchObject({ kind: 'corrupt', code: 'variant' });
        }
      }
      expect(() =>
        bytes === metadata
          ? variantToJson(metadata.subarray(0, at), value)
          : variantToJson(metadata, value.subarray(0, at)),
      ).toThrow();
    }
  }
  // Each array names the next one 200 times.
  const array = Buffer.concat([Buffer.from([3, 200]), Buffer.alloc(201)]);
  const bomb = Buffer.concat([...Array.from({ length: 20 }, () => array), Buffer.from([0])]);
  expect(() => variantToJson(Buffer.from('110000', 'hex'), bomb)).toThrow(/overlap/);
});

test('rows with the same names share one metadata, nulls stay nulls', () => {
  const texts = ['{"a":1}', '', '{"a":"x"}', '[{"a":null}]', '{"b":1}'];
  const source = Buffer.from(texts.join(''));
  const lengths = Int32Array.from(texts, (text) => text.length);
  const starts = Int32Array.from(texts, (_, i) => texts.slice(0, i).join('').length);
  const validity = Uint8Array.of(0b11101);
  const vector = variantFromJson({ kind: 'bytes', length: 5, nullCount: 1, validity, source, starts, lengths });
  const [metadata, value] = vector.fields as [BytesVector, BytesVector];
  expect(new Set([0, 2, 3].map((i) => metadata.starts[i])).size).toBe(1);
  expect([vector.nullCount, value.nullCount, value.lengths[1], metadata.lengths[1]]).toEqual([1, 1, 0, 0]);
  expect(value.lengths[4]).toBeGreaterThan(0);
});

test.for([true, false])(
  'a decoder fills a variant column with what it would write as JSON text (generated: %s)',
  (generate) => {
    const json = {
      type: 'record',
      name: 'Node',
      fields: [
        { name: 'id', type: 'int' },
        { name: 'next', type: ['null', 'Node'] },
      ],
    };
    const schema = parseAvroSchema(JSON.stringify(json));
    const kafkaColumns: never[] = [];
    const table = deriveTableSchema({ value: { encoding: 'avro', schema }, key: { encoding: 'none' }, kafkaColumns });
    const next = table.fields.find((field) => field.name === 'next')!;
    expect(next.type).toEqual({ kind: 'string' });
    next.type = { kind: 'variant' };
    const rows = createRowBuilder(table);
    const nodes = [
      { id: 1, next: { Node: { id: 2, next: { Node: { id: 3, next: null } } } } },
      { id: 4, next: null },
    ];
    const index = indexOf(nodes.map((node) => avscType(json).toBuffer(node)));
    const value = compileAvroDecoder(schema, table, 'value', { generate });
    const decoders = { value, key: createPlainDecoder('none', table, 'key'), kafka: { partition: 0 } };
    expect(appendRecords(rows, decoders, index, 0, 2)).toEqual({ appended: 2 });
    const vector = rows.batch().columns[table.fields.indexOf(next)] as StructVector;
    const [metadata, values] = (vector.fields as BytesVector[]).map(({ source, starts, lengths }) =>
      source.subarray(starts[0]!, starts[0]! + lengths[0]!),
    );
    expect(JSON.parse(variantToJson(metadata!, values!))).toEqual({ id: 2, next: { id: 3, next: null } });
    expect(vector.nullCount).toBe(1);
  },
);
