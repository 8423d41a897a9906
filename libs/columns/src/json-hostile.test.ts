import { deriveTableSchema, parseJsonSchema } from '@millrace/schema';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { compileJsonDecoder } from './json-decoder.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

function append(property: unknown, texts: (string | Uint8Array | null)[], generate: boolean) {
  const schema = parseJsonSchema(JSON.stringify({ type: 'object', properties: { f: property } }));
  const table = deriveTableSchema({
    value: { encoding: 'json', schema },
    key: { encoding: 'string' },
    kafkaColumns: ['op'],
  });
  const rows = createRowBuilder(table);
  const index = indexOf(texts.map((text) => (typeof text === 'string' ? new Uint8Array(Buffer.from(text)) : text)));
  const decoders = {
    value: compileJsonDecoder(schema, table, 'value', { generate }),
    key: createPlainDecoder('string', table, 'key'),
    kafka: { partition: 0 },
  };
  return { rows, index, decoders, ...appendRecords(rows, decoders, index, 0, texts.length) };
}

const string = { type: 'string' };
const integer = { type: 'integer' };
const number = { type: 'number' };
const cents = { type: 'number', multipleOf: 0.01 };
const instant = { type: 'string', format: 'date-time' };
const clock = { type: 'string', format: 'time' };
const base64 = { type: 'string', contentEncoding: 'base64' };
const list = { type: 'array', items: integer };
const map = { type: 'object', additionalProperties: integer };
const value = (schema: unknown, text: string, generate: boolean) => {
  const { rows, error } = append(schema, [`{"f":${text}}`], generate);
  return error ? error.message : rowsOf(rows.batch())[0]!['f'];
};

describe.each([true, false])('JSON (generated: %s)', (generate) => {
  // RFC 8259, by section: what must be taken, for any value and for a property that is passed over.
  it.each([
    ['empty array and object', '[]', '{}', '[ ]', '{ }'],
    ['white space', ' [ 1 , 2 ] ', '\t{\n"a"\r:\n1 }\n'],
    ['literals', 'true', 'false', '[null]'],
    ['numbers', '0', '-0', '0.0', '-0.0e-0', '1E+2', '1e400', '123456789012345678901234567890', '[0e1]'],
    ['strings', '""', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\u0000"', '"\\uD83D\\ude00"', '"\u007f"', '"é€😀"', '"\u2028"'],
    ['half a surrogate pair, as text', '"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}'],
    ['names twice, empty, alike', '{"a":1,"a":2}', '{"":0}', '{"a":1,"\\u0061":2}'],
    ['nested', '[[[{"a":[{}]}]]]', `${'['.repeat(499)}${']'.repeat(499)}`],
  ])('takes %s', (_name, ...texts) => {
    for (const text of texts) {
      expect(value({}, text, generate)).toBe(text.trim());
      const { rows, appended } = append(integer, [`{"other":${text},"f":7}`], generate);
      expect([appended, rowsOf(rows.batch())[0]!['f']]).toEqual([1, 7n]);
    }
  });

  it.each<[string, ...(string | number[])[]]>([
    ['nothing', '', ' '],
    [
      'what breaks off',
      '[',
      '[1',
      '[1,',
      '{',
      '{"a',
      '{"a"',
      '{"a":',
      '{"a":1',
      '{"a":1,',
      '"',
      '"a',
      '"\\',
      '"\\u12',
      't',
      'nul',
      '-',
    ],
    ['commas', '[1,]', '[,1]', '[1,,2]', '[1 2]', '{"a":1,}', '{,}', '{"a":1 "b":2}', '[,]', ','],
    ['colons', '{"a" 1}', '{"a"::1}', '{"a",1}', '{:1}', '["a":1]'],
    ['names that are no strings', '{a:1}', "{'a':1}", '{1:1}', '{null:1}'],
    ['brackets', '[1}', '{"a":1]', ']', '}', '[1]]', '{}}'],
    [
      'numbers',
      '01',
      '-01',
      '+1',
      '.5',
      '1.',
      '-.5',
      '1.e1',
      '1e',
      '1e+',
      '1e1.5',
      '0x10',
      '--1',
      '1_0',
      '-',
      'NaN',
      'Infinity',
      '-Infinity',
      '1a',
      '٣',
    ],
    ['literals', 'TRUE', 'True', 'nulll', 'undefined', 'tru', 'truefalse'],
    [
      'strings',
      "'a'",
      '"\\x41"',
      '"\\a"',
      '"\\u00g0"',
      '"\\u{41}"',
      '"\\U0041"',
      '"a\nb"',
      '"\t"',
      '"\u0000"',
      '"a"b"',
    ],
    ['comments', '// a\n1', '/* a */1', '[1]#', '[1/*a*/]'],
    ['other white space', '\u00a01', '\f1', '\v1', '\u20281', '[\u00a0]'],
    [
      'bytes that are no UTF-8',
      [34, 0xc0, 0x80, 34],
      [34, 0xed, 0xa0, 0x80, 34],
      [34, 0xff, 34],
      [34, 0xe2, 0x82, 34],
      [34, 0xf4, 0x90, 0x80, 0x80, 34],
    ],
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x31]],
    ['too deep', `${'['.repeat(501)}${']'.repeat(501)}`, '['.repeat(100_000), '{"a":'.repeat(100_000)],
  ])('refuses %s', (_name, ...texts) => {
    for (const text of texts) {
      const bytes = Buffer.from(text as string);
      const whole = [
        bytes,
        ...[
          { before: '{"f":', after: '}' },
          { before: '{"other":', after: ',"f":1}' },
        ].map(({ before, after }) => Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)])),
      ];
      for (const record of whole) {
        const { appended, error, rows } = append({}, [new Uint8Array(record), null], generate);
        expect([String(record).slice(0, 80), appended]).toEqual([String(record).slice(0, 80), 0]);
        expect(error).toMatchObject({ kind: 'corrupt', code: 'record-undecodable' });
        expect(error!.message.length).toBeLessThan(700);
        for (const domain of rows.domains) expect(domain.capacity).toBeLessThan(1000);
      }
    }
  });

  it.each<[unknown, string, unknown]>([
    [integer, '9223372036854775807', 2n ** 63n - 1n],
    [integer, '-9223372036854775808', -(2n ** 63n)],
    [integer, '-0', 0n],
    [integer, '1e18', 10n ** 18n],
    [integer, '12345678901234567.0', 12345678901234567n],
    [integer, `1${'0'.repeat(5000)}e-5000`, 1n],
    [integer, `0.${'0'.repeat(5000)}5e5001`, 5n],
    [integer, '0e999999999999', 0n],
    [number, '1.7976931348623157e308', 1.7976931348623157e308],
    [number, '5e-324', 5e-324],
    [number, '1e-400', 0],
    [number, '0.1', 0.1],
    [number, '123456789012345.67', 123456789012345.67],
    [number, '9007199254740993', 9007199254740992],
    [number, '2.2250738585072011e-308', 2.225073858507201e-308],
    [number, '-0', -0],
    [cents, '12.3', 1230n],
    [cents, '-0.01', -1n],
    [cents, '99999999999999999999999999999999999.99', 10n ** 37n - 1n],
    [cents, '999999999999999999999999999999999999.99', 10n ** 38n - 1n],
    [cents, '-999999999999999999999999999999999999.9900', -(10n ** 38n - 1n)],
    [cents, '10e-1', 100n],
    [cents, '99999999999999.9', 9999999999999990n],
    [instant, '"1969-12-31T23:59:59.999999Z"', -1n],
    [instant, '"0000-01-01T00:00:00+23:59"', -62167305540000000n],
    [instant, '"9999-12-31T23:59:59.999999-23:59"', 253402387139999999n],
    [instant, '"2026-11-22T23:05:00.1234560000Z"', 1795388700123456n],
    [instant, '"2024-02-29T00:00:00z"', 1709164800000000n],
    [instant, '"\\u0032024-02-29T00:00:00Z"', 1709164800000000n],
    [clock, '"00:30:00+01:00"', 84600000000n],
    [clock, '"23:59:59.5"', 86399500000n],
    [base64, '"-_+/"', Buffer.from('fbff bf'.replace(' ', ''), 'hex')],
    [base64, '"AQ"', Buffer.from([1])],
    [base64, '"AQ=="', Buffer.from([1])],
    [base64, '"AQI="', Buffer.from([1, 2])],
    [base64, '"\\u0041Q=="', Buffer.from([1])],
    [base64, '""', Buffer.alloc(0)],
    [string, '"\\u0061"', 'a'],
    [list, '[1,null,2]', [1n, null, 2n]],
    [
      map,
      '{"a":1,"b":null,"a":3}',
      [
        ['a', 3n],
        ['b', null],
      ],
    ],
    [string, 'null', null],
  ])('%j takes %s exactly', (schema, text, expected) => expect(value(schema, text, generate)).toEqual(expected));

  it.each<[unknown, string, string]>([
    [integer, '9223372036854775808', 'the integer 9223372036854775808 has more than 64 bits'],
    [integer, '1e400', 'the integer 1e400 has more than 64 bits'],
    [integer, `1e${'9'.repeat(100_000)}`, 'has more than 64 bits'],
    [integer, '9'.repeat(1_000_000), 'has more than 64 bits'],
    [integer, `1${'0'.repeat(500_000)}1.5`, 'is no integer'],
    [integer, '1.5', 'the number 1.5 is no integer'],
    [integer, '"1"', 'the string "1" stands where a number must be'],
    [integer, '01', '01 is no number'],
    [number, '1e309', 'beyond what a double can hold'],
    [number, '"NaN"', 'stands where a number must be'],
    [cents, '0.001', 'has more than 2 decimals'],
    [cents, '1000000000000000000000000000000000000', 'more than 38 digits'],
    [string, '1', 'the number 1 stands where a string must be'],
    [string, '"\\ud83d"', 'half of a surrogate pair'],
    [string, '"\\ude00\\ud83d"', 'half of a surrogate pair'],
    [string, '"\\ud83d\\n"', 'half of a surrogate pair'],
    [string, '[]', 'array stands where'],
    [{ type: 'boolean' }, '0', 'the number 0 stands where a boolean must be'],
    [instant, '"2026-11-22T23:05:00"', 'is no date-time with an offset from UTC'],
    [instant, '"2026-11-22T23:05:00.1234567Z"', 'is finer than a microsecond'],
    [instant, '"2026-11-22T24:00:00Z"', 'a time that there is not'],
    [instant, '"2026-11-22T23:05:60Z"', 'a time that there is not'],
    [instant, '"2023-02-29T00:00:00Z"', 'is no date'],
    [instant, '"2026-11-22T23:05:00+0100"', 'is no date-time'],
    [instant, '"2026-11-22T23:05:00.Z"', 'is no date-time'],
    [instant, `"2026-11-22T23:05:00.${'0'.repeat(500_000)}1Z"`, 'is finer than a microsecond'],
    [{ type: 'string', format: 'date' }, '"2026-11-31"', 'is no date'],
    [clock, '"24:00:00"', 'a time that there is not'],
    ...['a', 'aGl=', 'AQ=', 'AQ===', 'A===', '=', '====', 'A Q=', 'AQ==AQ==', 'é', 'AQI=A', 'AB'].map(
      (text): [unknown, string, string] => [base64, `"${text}"`, 'is no base64'],
    ),
    [list, '{}', 'object stands where an array must be'],
    [map, '[]', 'array stands where an object must be'],
    [map, '{"\\udc00":1}', 'half of a surrogate pair'],
  ])('%j refuses %.60s', (schema, text, message) => {
    const { error, appended } = append(schema, [`{"f":${text}}`], generate);
    expect([appended, error?.message]).toEqual([0, expect.stringContaining(message)]);
    expect(error!.context['field']).toMatch(/^f(\.element|\.value|\.key)?$/);
    expect(error!.message.length).toBeLessThan(300);
  });

  it('tells the kinds of an object by what is there, wherever it stands', () => {
    const kind = (name: string | number, more: object) => ({
      title: `K${name}`,
      ...{ type: 'object', properties: { ...more, kind: { const: name } } },
    });
    const none = { Ka: null, K1: null, Kc: null };
    const other = { title: 'Kc', type: 'object', properties: { l: list, kind: { const: 'c"' } } };
    const schema = { oneOf: [kind('a', { x: integer }), kind(1, { x: string }), other] };
    expect(value(schema, '{"x":5,"kind":"a"}', generate)).toEqual({ ...none, Ka: { x: 5n, kind: 'a' } });
    expect(value(schema, '{"kind": 1.0 ,"x":"5"}', generate)).toEqual({ ...none, K1: { x: '5', kind: 1n } });
    expect(value(schema, '{"l":[1],"\\u006bind":"c\\u0022"}', generate)).toEqual({
      ...none,
      Kc: { l: [1n], kind: 'c"' },
    });
    expect(value(schema, '{"kind":"c\\"","x":[],"kind":"a"}', generate)).toContain(
      'array stands where a number must be',
    );
    expect(value(schema, '{"kind":"a","kind":"c\\""}', generate)).toEqual({ ...none, Kc: { l: null, kind: 'c"' } });
    expect(value(schema, '{"x":5}', generate)).toContain('the object is none of Ka, K1, Kc');
    expect(value(schema, 'null', generate)).toBe(null);
    const both = {
      anyOf: ['a', 'b'].map((name) => ({ type: 'object', required: [name], properties: { [name]: integer } })),
    };
    expect(value(both, '{"a":1,"b":2}', generate)).toEqual({ a: { a: 1n }, b: { b: 2n } });
    expect(value(both, '{"b":2,"c":[{}]}', generate)).toEqual({ a: null, b: { b: 2n } });
    expect(value(both, '{"b":2,"c":[{]}', generate)).toContain('stands where');
  });

  it('tells the path of what is wrong', () => {
    const item = { type: 'object', properties: { price: number } };
    const at = (text: string) =>
      append({ type: 'array', items: item }, [`{"f":${text}}`], generate).error!.context['field'];
    expect(at('[{"price":1},{"price":"x"}]')).toBe('f.element.price');
    expect(at('[{"other":[tru]}]')).toBe('f.element.other.element');
    expect(append(map, ['{"f":{"k":"x"}}'], generate).error!.context['field']).toBe('f.value');
  });

  it('takes back what a broken record, and a property that came twice, had written', () => {
    const item = { type: 'object', properties: { a: list, b: string } };
    const texts = [
      '{"f":[{"a":[1,2],"b":null}],"f":[{"a":null,"b":"x"},{"a":[3]}]}',
      '{"f":[{"a":[4],"b":null},{"b":1}]}',
      '{"f":[{"a":[5]}]}',
    ];
    const { rows, index, decoders, appended } = append({ type: 'array', items: item }, texts, generate);
    expect(appended).toBe(1);
    expect(appendRecords(rows, decoders, index, 2, 3)).toEqual({ appended: 1 });
    expect(rowsOf(rows.batch()).map((row) => row['f'])).toEqual([
      [
        { a: null, b: 'x' },
        { a: [3n], b: null },
      ],
      [{ a: [5n], b: null }],
    ]);
  });

  it('takes a long string, and does not read on into its neighbours', () => {
    const long = 'é'.repeat(500_000);
    expect(value(string, JSON.stringify(long), generate)).toBe(long);
    const texts = ['{"f":"a', '","f":"b"}', '{"f":"', '"}'];
    for (let i = 0; i < texts.length; i++) {
      const { rows, index, decoders } = append(string, texts, generate);
      const { appended, error } = appendRecords(rows, decoders, index, i, texts.length);
      expect([appended, error?.code]).toEqual([0, 'record-undecodable']);
    }
  });

  it('makes no code of names', () => {
    const name = ['*/ globalThis.owned = 1; `$', '{globalThis.owned = 1}` "\' \\ \u2028 __proto__'].join('');
    const schema = parseJsonSchema(
      JSON.stringify({ type: 'object', properties: { [name]: integer, constructor: string } }),
    );
    const table = deriveTableSchema({
      value: { encoding: 'json', schema },
      key: { encoding: 'none' },
      kafkaColumns: ['partition'],
    });
    const rows = createRowBuilder(table);
    const decoders = {
      value: compileJsonDecoder(schema, table, 'value', { generate }),
      key: createPlainDecoder('none', table, 'key'),
      kafka: { partition: 0 },
    };
    const index = indexOf(
      [`{${JSON.stringify(name)}:1}`, '{"constructor":"x","__proto__":{}}'].map(
        (text) => new Uint8Array(Buffer.from(text)),
      ),
    );
    expect(appendRecords(rows, decoders, index, 0, 2)).toEqual({ appended: 2 });
    expect(rowsOf(rows.batch())).toMatchObject([
      { [name]: 1n, constructor: null },
      { [name]: null, constructor: 'x' },
    ]);
    expect((globalThis as { owned?: number }).owned).toBeUndefined();
  });
});
