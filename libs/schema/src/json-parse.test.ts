import { describe, expect, it } from 'vitest';
import { deriveTableSchema } from './derive.ts';
import { typeName } from './iceberg-json.ts';
import { bundleJsonSchema } from './json-documents.ts';
import { parseJsonSchema } from './json-parse.ts';

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const columnsOf = (schema: unknown, references: Record<string, unknown> = {}): string => {
  const texts = new Map(Object.entries(references).map(([name, reference]) => [name, JSON.stringify(reference)]));
  const parsed = parseJsonSchema(JSON.stringify(schema), texts);
  const { fields } = deriveTableSchema({ value: { encoding: 'json', schema: parsed }, key: { encoding: 'none' } });
  return fields
    .slice(0, -1)
    .map(({ name, type }) => `${name}: ${typeName(type)}`)
    .join(', ');
};
const typeOf = (schema: unknown, definitions: object = {}): string =>
  columnsOf(object({ f: schema }, { $defs: definitions })).replace(/^f: /, '');

const string = { type: 'string' };
const circle = object({ kind: { const: 'circle' }, r: { type: 'number' } });
const square = object({ kind: { enum: ['square', 'rectangle'] }, side: { type: 'number' } });

describe('JSON Schema types become', () => {
  it.each<[unknown, string]>([
    [string, 'string'],
    [{ type: 'string', format: 'date-time' }, 'timestamptz'],
    [{ type: 'string', format: 'date' }, 'date'],
    [{ type: 'string', format: 'time' }, 'long'],
    [{ type: 'string', format: 'uuid' }, 'string'],
    [{ type: 'string', format: 'email' }, 'string'],
    [{ type: 'string', format: 'of-my-own', pattern: '^a' }, 'string'],
    [{ type: 'string', contentEncoding: 'base64' }, 'binary'],
    [{ format: 'date' }, 'date'],
    [{ minLength: 3 }, 'string'],
    [{ type: 'integer', format: 'int32', minimum: 0 }, 'long'],
    [{ type: 'number' }, 'double'],
    [{ type: ['integer', 'number'] }, 'double'],
    [{ type: 'number', multipleOf: 0.01 }, 'decimal(38, 2)'],
    [{ type: 'number', multipleOf: 1 }, 'decimal(38, 0)'],
    [{ type: 'number', multipleOf: 1e-10 }, 'decimal(38, 10)'],
    [{ type: 'number', multipleOf: 0.5 }, 'double'],
    [{ type: 'number', multipleOf: 10 }, 'double'],
    [{ type: 'boolean' }, 'boolean'],
    [{ const: 'x' }, 'string'],
    [{ enum: ['a', 'b', null] }, 'string'],
    [{ enum: [1, 2.5] }, 'double'],
    [{ enum: [1, 'a'] }, 'string'],
    [{ type: ['boolean', 'number'], enum: [1, 2] }, 'double'],
    [{ type: ['boolean', 'number'], enum: [true] }, 'boolean'],
    [{ type: ['string', 'null'], enum: ['a', null] }, 'string'],
    [{ type: 'null' }, 'value: string'],
    [false, 'value: string'],
    [true, 'string'],
    [{}, 'string'],
    [{ title: 'Anything' }, 'string'],
    [{ type: 'object' }, 'string'],
    [{ type: 'object', additionalProperties: true }, 'string'],
    [{ type: 'object', additionalProperties: false }, 'string'],
    [{ type: ['string', 'integer'] }, 'string'],
    [object({ a: string, b: { type: 'integer' } }, { required: ['a'] }), 'struct<a: string, b: long>'],
    [{ properties: { a: string } }, 'struct<a: string>'],
    [object({ a: { type: 'null' } }), 'string'],
    [{ type: 'object', additionalProperties: { type: 'integer' } }, 'map<string, long>'],
    [{ additionalProperties: string }, 'map<string, string>'],
    [{ type: 'object', additionalProperties: {} }, 'string'],
    [{ type: 'object', patternProperties: { '^x-': string }, additionalProperties: false }, 'map<string, string>'],
    [{ type: 'object', patternProperties: { '^x-': string } }, 'string'],
    [{ type: 'object', patternProperties: { a: string, b: string }, additionalProperties: false }, 'string'],
    [object({ a: string }, { additionalProperties: { type: 'integer' } }), 'struct<a: string>'],
    [{ type: 'array', items: string }, 'list<string>'],
    [{ items: { type: ['integer', 'null'] } }, 'list<long>'],
    [{ type: 'array' }, 'string'],
    [{ type: 'array', items: {} }, 'string'],
    [{ type: 'array', items: [string, string] }, 'string'],
    [{ type: 'array', prefixItems: [string], items: false }, 'string'],
    [{ type: 'array', items: { type: ['string', 'integer'] } }, 'list<string>'],
    [{ oneOf: [{ type: 'null', title: 'Not included' }, string] }, 'string'],
    [{ anyOf: [object({ a: string }), { type: 'null' }] }, 'struct<a: string>'],
    [{ type: 'integer', nullable: true }, 'long'],
    [{ type: 'string', oneOf: [{ maxLength: 3 }, { type: 'array', items: string }, { enum: ['long'] }] }, 'string'],
    [{ oneOf: [string, { type: 'string', format: 'date' }] }, 'string'],
    [{ anyOf: [{ type: 'integer' }, { type: 'number' }] }, 'double'],
    [{ oneOf: [string, { type: 'integer' }] }, 'string'],
    [{ oneOf: [{ oneOf: [{ type: 'null' }, { type: 'integer' }] }, { type: 'null' }] }, 'long'],
    [
      object({ a: string, b: string }, { anyOf: [{ required: ['a'] }, { required: ['b'] }] }),
      'struct<a: string, b: string>',
    ],
    [
      { allOf: [object({ a: string }), { properties: { b: string, a: { maxLength: 3 } } }] },
      'struct<a: string, b: string>',
    ],
    [{ allOf: [{ type: ['string', 'null'] }, { type: 'string', format: 'date' }] }, 'date'],
    [
      object(
        { a: string },
        JSON.parse(
          '{"if":{},"then":{"properties":{"b":{"type":"string"}}},"else":{"properties":{"c":{"type":"string"}}}}',
        ),
      ),
      'struct<a: string, b: string, c: string>',
    ],
    [
      object({ a: string }, { dependentSchemas: { a: { properties: { b: { type: 'integer' } } } } }),
      'struct<a: string, b: long>',
    ],
    // As Connect and Confluent's serialisers write them.
    [{ type: 'integer', title: 'org.apache.kafka.connect.data.Timestamp', 'connect.type': 'int64' }, 'long'],
    [
      { type: 'number', title: 'org.apache.kafka.connect.data.Decimal', 'connect.type': 'bytes', 'connect.index': 1 },
      'double',
    ],
    [{ type: 'string', 'connect.type': 'bytes' }, 'string'],
    [
      { type: 'object', 'connect.type': 'map', additionalProperties: { type: 'integer', 'connect.type': 'int32' } },
      'map<string, long>',
    ],
  ])('%j → %s', (schema, expected) => expect(typeOf(schema)).toBe(expected));

  it.each<[string, unknown, string]>([
    [
      'a constant',
      { oneOf: [{ title: 'Round', ...circle }, square] },
      'struct<Round: struct<kind: string, r: double>, square: struct<kind: string, side: double>>',
    ],
    [
      'references',
      { anyOf: [{ $ref: '#/$defs/Circle' }, { $ref: '#/$defs/Square' }, { type: 'null' }] },
      'struct<Circle: struct<kind: string, r: double>, Square: struct<kind: string, side: double>>',
    ],
    [
      'what each requires',
      object(
        { id: string },
        { oneOf: [object({ a: string }, { required: ['a'] }), object({ b: string }, { required: ['b'] })] },
      ),
      'struct<a: struct<id: string, a: string>, b: struct<id: string, b: string>>',
    ],
    ['nothing', { oneOf: [object({ a: string }), object({ b: string })] }, 'string'],
    ['constants that overlap', { oneOf: [circle, object({ kind: { enum: ['circle', 'x'] }, x: string })] }, 'string'],
    [
      'too many constants',
      { oneOf: Array.from({ length: 31 }, (_, i) => object({ kind: { const: i }, [`p${i}`]: string })) },
      'string',
    ],
    ['objects among others', { oneOf: [circle, string] }, 'string'],
  ])('objects of several kinds, told apart by %s', (_name, schema, expected) =>
    expect(typeOf(schema, { Circle: circle, Square: square })).toBe(expected),
  );

  it.each<[unknown, string]>([
    [{ type: 'integer' }, 'value: long'],
    [true, 'value: string'],
    [{ type: 'array', items: string }, 'value: list<string>'],
    [
      { oneOf: [circle, square] },
      'value: struct<circle: struct<kind: string, r: double>, square: struct<kind: string, side: double>>',
    ],
    [{ type: ['null', 'object'], properties: { a: string } }, 'a: string'],
    [{ type: 'null' }, ''],
  ])('%j as the whole value → %s', (schema, expected) => expect(columnsOf(schema)).toBe(expected));
});

describe('references', () => {
  const node = object({
    name: string,
    next: { $ref: '#/definitions/Node' },
    all: { type: 'array', items: { $ref: '#/definitions/Node' } },
    any: { additionalProperties: { $ref: '#/definitions/Node' } },
  });

  it('that lead back become JSON text from there on', () => {
    const columns = 'struct<name: string, next: string, all: list<string>, any: map<string, string>>';
    expect(columnsOf({ ...object({ n: { $ref: '#/definitions/Node' } }), definitions: { Node: node } })).toBe(
      `n: ${columns}`,
    );
    expect(columnsOf(object({ a: { oneOf: [{ type: 'null' }, { $ref: '#' }] }, b: string }))).toBe(
      'a: string, b: string',
    );
    expect(columnsOf({ $recursiveAnchor: true, ...object({ a: { $recursiveRef: '#' } }) })).toBe('a: string');
    expect(typeOf({ $ref: '#/$defs/A' }, { A: { $ref: '#/$defs/B' }, B: { allOf: [{ $ref: '#/$defs/A' }] } })).toBe(
      'string',
    );
    expect(typeOf({ $ref: '#/$defs/A' }, { A: { oneOf: [{ $ref: '#/$defs/A' }, { type: 'integer' }] } })).toBe(
      'string',
    );
  });

  it('to one schema twice are no recursion', () => {
    const base = object({ id: string });
    const schema = {
      allOf: [{ $ref: '#/definitions/Base' }, object({ of: { $ref: '#/definitions/Base' } })],
      definitions: { Base: base },
    };
    expect(columnsOf(schema)).toBe('id: string, of: struct<id: string>');
  });

  it('are followed by pointer, $anchor, $id and id, in the base that holds where they stand', () => {
    const draft2020 = object(
      {
        a: { $ref: '#/$defs/a~1b%25' },
        b: { $ref: '#there' },
        c: { $ref: 'parts/c.json' },
        d: { $ref: 'parts/c.json#/properties/inner' },
        e: { $ref: '/schemas/parts/d.json#named', description: 'beside it', default: 'x' },
      },
      {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        $id: 'https://example.com/schemas/root.json',
        $defs: {
          'a/b%': { type: 'integer' },
          anchored: { $anchor: 'there', type: 'boolean' },
          c: { $id: 'parts/c.json', ...object({ inner: { type: 'number' }, other: { $ref: 'd.json' } }) },
          d: {
            $id: 'parts/d.json',
            type: 'string',
            $defs: { x: { $anchor: 'named', type: 'string', format: 'date' } },
          },
        },
      },
    );
    expect(columnsOf(draft2020)).toBe(
      'a: long, b: boolean, c: struct<inner: double, other: string>, d: double, e: date',
    );
    const draft4 = {
      $schema: 'http://json-schema.org/draft-04/schema#',
      id: 'http://example.com/root.json',
      ...object({ a: { $ref: 'item.json' }, b: { $ref: '#plain' }, id: { type: 'integer' } }),
      definitions: { item: { id: 'item.json', type: 'boolean' }, plain: { id: '#plain', type: 'string' } },
    };
    expect(columnsOf(draft4)).toBe('a: boolean, b: string, id: long');
  });

  it('stand alone up to draft 7, but for what only describes', () => {
    const f = { $ref: '#/definitions/D', type: 'object', properties: { a: string }, description: 'said here' };
    const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...object({ f }), definitions: { D: string } };
    expect(columnsOf(schema)).toBe('f: string');
    expect(parseJsonSchema(JSON.stringify(schema))).toMatchObject({ properties: [{ doc: 'said here' }] });
  });

  it('into the registry are found under the names that they are called by', () => {
    const root = object({
      p: { $ref: 'product.json' },
      q: { $ref: 'product.json#/definitions/Price' },
      r: { $ref: 'http://example.com/other.json' },
    });
    const references = {
      'product.json': {
        ...object({ name: string, other: { $ref: 'http://example.com/other.json' } }),
        definitions: { Price: { type: 'number' } },
      },
      'http://example.com/other.json': { type: 'integer' },
    };
    const columns = 'p: struct<name: string, other: long>, q: double, r: long';
    expect(columnsOf(root, references)).toBe(columns);
    expect(columnsOf({ $id: 'http://example.com/schemas/root.json', ...root }, references)).toBe(columns);
    const texts = new Map(Object.entries(references).map(([name, schema]) => [name, JSON.stringify(schema)]));
    for (const text of [JSON.stringify(root), ` \n${JSON.stringify(root)}`])
      expect(columnsOf(JSON.parse(bundleJsonSchema(text, texts)))).toBe(columns);
    expect(bundleJsonSchema('{}', new Map([['a', 'true']]))).toBe('{"x-millrace-references":{"a":true}}');
    expect(bundleJsonSchema('{"type":"null"}', new Map())).toBe('{"type":"null"}');
  });
});

describe('what is refused, and where', () => {
  it.each<[unknown, string, string]>([
    [
      object({ a: { $ref: '#/definitions/no' } }),
      'json-schema',
      '#/properties/a: its $ref "#/definitions/no" leads nowhere',
    ],
    [object({ a: { $ref: 'https://example.com/remote.json' } }), 'json-schema', 'among its references in the registry'],
    [object({ a: { type: 'strng' } }), 'json-schema', '#/properties/a/type: "strng" is none of'],
    [object({ 'a/b': { items: { type: 3 } } }), 'json-schema', '#/properties/a~1b/items/type: 3'],
    [object({ a: 1 }), 'json-schema', '#/properties/a: 1 stands where a schema must be'],
    [object({ a: { oneOf: {} } }), 'json-schema', '#/properties/a/oneOf: it must be a list'],
    [{ properties: [] }, 'json-schema', '#/properties: it is no object'],
    [{ allOf: [string, { type: 'integer' }] }, 'json-schema', '#/allOf/1: no value can be of the types string and'],
    [object({ a: string, A: string }), 'column-name-clash', '"a" and "A"'],
    [object({ '': string }), 'column-name', 'without a name'],
  ])('%j', (schema, code, message) => {
    const parse = () => parseJsonSchema(JSON.stringify(schema));
    expect(parse).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  it('text that is no JSON, too long, or nested too deep', () => {
    expect(() => parseJsonSchema('{"type"')).toThrow(/not valid at #/);
    expect(() => parseJsonSchema(`"${'x'.repeat(5_000_000)}"`)).toThrow(/more than 4194304/);
    expect(() => parseJsonSchema('{"items":'.repeat(300) + '{}' + '}'.repeat(300))).toThrow(/nested deeper than 200/);
    expect(() => parseJsonSchema('{"a":'.repeat(200_000) + '{}' + '}'.repeat(200_000))).toThrow(/JSON Schema/);
    expect(() => parseJsonSchema('{}', new Map([['other.json', 'nonsense']]))).toThrow(/not valid at other.json/);
  });

  it('schemas that explode', () => {
    const definitions: Record<string, unknown> = { D0: { type: 'integer' } };
    for (let i = 1; i < 40; i++)
      definitions[`D${i}`] = object({ a: { $ref: `#/$defs/D${i - 1}` }, b: { $ref: `#/$defs/D${i - 1}` } });
    expect(() => typeOf({ $ref: '#/$defs/D39' }, definitions)).toThrow(/more than 10000 columns/);
    const choices: Record<string, unknown> = { C0: circle };
    for (let i = 1; i < 40; i++)
      choices[`C${i}`] = { anyOf: [{ $ref: `#/$defs/C${i - 1}` }, { $ref: `#/$defs/C${i - 1}` }, square] };
    expect(() => typeOf({ $ref: '#/$defs/C39' }, choices)).toThrow(/more than 10000 columns/);
  });
});
