import { describe, expect, it } from 'vitest';
import { parseAvroSchema } from './avro-parse.ts';
import { deriveTableSchema } from './derive.ts';
import { typeName } from './iceberg-json.ts';

const parse = (json: unknown) => parseAvroSchema(JSON.stringify(json));
const record = (name: string, ...fields: object[]) => ({ type: 'record', name, fields });
const logical = (type: string, logicalType: string, more: object = {}) => ({ type, logicalType, ...more });
const typeOf = (avro: unknown): string | undefined => {
  const value = { encoding: 'avro' as const, schema: parse(record('Row', { name: 'f', type: avro })) };
  const { fields } = deriveTableSchema({ value, key: { encoding: 'none' } });
  return fields[0]!.name === 'f' ? typeName(fields[0]!.type) : undefined;
};

describe('Avro types become', () => {
  it.each<[unknown, string | undefined]>([
    ['boolean', 'boolean'],
    ['int', 'int'],
    ['long', 'long'],
    ['float', 'float'],
    ['double', 'double'],
    ['bytes', 'binary'],
    ['string', 'string'],
    [{ type: 'enum', name: 'E', symbols: ['A'] }, 'string'],
    [{ type: 'fixed', name: 'F', size: 7 }, 'binary'],
    [logical('bytes', 'decimal', { precision: 9, scale: 2 }), 'decimal(9, 2)'],
    [logical('fixed', 'decimal', { name: 'D', size: 16, precision: 38, scale: 0 }), 'decimal(38, 0)'],
    [logical('bytes', 'decimal', { precision: 2, scale: 3 }), 'binary'],
    [logical('fixed', 'decimal', { name: 'D', size: 2, precision: 5 }), 'binary'],
    [logical('string', 'uuid'), 'string'],
    [logical('fixed', 'uuid', { name: 'U', size: 16 }), 'string'],
    [logical('int', 'date'), 'date'],
    [logical('int', 'time-millis'), 'long'],
    [logical('long', 'time-micros'), 'long'],
    [logical('long', 'timestamp-millis'), 'timestamptz'],
    [logical('long', 'timestamp-micros'), 'timestamptz'],
    [logical('long', 'timestamp-nanos'), 'long'],
    [logical('long', 'local-timestamp-millis'), 'timestamp'],
    [logical('long', 'local-timestamp-nanos'), 'long'],
    [logical('int', 'timestamp-millis'), 'int'],
    [logical('long', 'of-my-own'), 'long'],
    [logical('fixed', 'duration', { name: 'P', size: 12 }), 'struct<months: long, days: long, millis: long>'],
    [{ type: 'array', items: ['null', 'int'] }, 'list<int>'],
    [{ type: 'map', values: 'double' }, 'map<string, double>'],
    [['null', 'string'], 'string'],
    [['string', 'null'], 'string'],
    [['int'], 'int'],
    ['null', undefined],
    [['null'], undefined],
    [{ type: 'array', items: 'null' }, 'string'],
    [record('Empty'), 'string'],
    [['null', 'int', record('a.b.In', { name: 'x', type: 'long' })], 'struct<int: int, In: struct<x: long>>'],
    [
      [record('a.In', { name: 'x', type: 'int' }), record('b.In', { name: 'x', type: 'int' })],
      'struct<a_In: struct<x: int>, b_In: struct<x: int>>',
    ],
    [['null', 'Row'], 'string'],
    [{ type: 'array', items: 'Row' }, 'list<string>'],
  ])('%j → %s', (avro, expected) => expect(typeOf(avro)).toBe(expected));

  it('refuses decimals beyond 38 digits, names that differ in case only, and schemas that explode', () => {
    expect(() => typeOf(logical('bytes', 'decimal', { precision: 39, scale: 0 }))).toThrow(/f is decimal\(39, 0\)/);
    expect(() => typeOf(record('R', { name: 'a', type: 'int' }, { name: 'A', type: 'int' }))).toThrow(/"a" and "A"/);
    let type: unknown = 'int';
    for (let i = 0; i < 40; i++)
      type = record(`R${i}`, { name: 'a', type }, { name: 'b', type: i === 0 ? 'int' : `R${i - 1}` });
    expect(() => typeOf(type)).toThrow(/more than 10000 columns/);
  });
});

describe('deriveTableSchema', () => {
  const order = record(
    'Order',
    { name: 'id', type: 'long', doc: 'Number' },
    {
      name: 'lines',
      type: {
        type: 'array',
        items: record('Line', { name: 'sku', type: 'string' }, { name: 'n', type: ['null', 'int'] }),
      },
    },
    { name: 'notes', type: { type: 'map', values: ['null', 'string'] } },
    { name: 'state', type: 'string', default: 'new' },
  );

  it("gives ids in Iceberg's order of creation", () => {
    const { fields, lastColumnId } = deriveTableSchema({
      value: { encoding: 'avro', schema: parse(order) },
      key: {
        encoding: 'avro',
        schema: parse(record('K', { name: 'ID', type: 'int' }, { name: 'shop', type: 'string' })),
      },
      kafkaColumns: ['op'],
    });
    // As PyIceberg's assign_fresh_schema_ids numbers the same schema.
    expect(fields.map(({ id, name, source }) => [id, name, source])).toEqual([
      [1, 'id', undefined],
      [2, 'lines', undefined],
      [3, 'notes', undefined],
      [4, 'state', undefined],
      [5, 'key_ID', 'key'],
      [6, 'shop', 'key'],
      [7, '_kafka', 'kafka'],
    ]);
    expect(fields[1]!.type).toMatchObject({
      elementId: 8,
      elementRequired: true,
      element: {
        fields: [
          { id: 9, required: true },
          { id: 10, required: false },
        ],
      },
    });
    expect(fields[2]!.type).toMatchObject({ keyId: 11, valueId: 12, valueRequired: false });
    expect(fields[6]!.type).toMatchObject({
      fields: [
        { id: 13, name: 'partition' },
        { id: 14, name: 'offset' },
        { id: 15, name: 'op' },
      ],
    });
    expect(lastColumnId).toBe(15);
    expect(fields.every((field) => !field.required)).toBe(true);
    expect(fields[0]!.doc).toBe('Number');
    expect(fields[3]!.writeDefault).toBe('new');
  });

  it('makes one column of what is no record', () => {
    const names = (
      value: Parameters<typeof deriveTableSchema>[0]['value'],
      key: Parameters<typeof deriveTableSchema>[0]['key'],
    ) =>
      deriveTableSchema({ value, key })
        .fields.map((field) => `${field.name} ${typeName(field.type)}`)
        .slice(0, -1);
    expect(names({ encoding: 'avro', schema: parse('int') }, { encoding: 'bytes' })).toEqual([
      'value int',
      'key binary',
    ]);
    expect(names({ encoding: 'string' }, { encoding: 'avro', schema: parse('null') })).toEqual(['value string']);
    expect(
      names(
        { encoding: 'avro', schema: parse(['null', record('A', { name: 'key', type: 'int' })]) },
        { encoding: 'string' },
      ),
    ).toEqual(['key int', 'key_key string']);
  });

  it('takes defaults into columns, and leaves out those that do not fit', () => {
    const defaultOf = (type: unknown, written: unknown) =>
      deriveTableSchema({
        value: { encoding: 'avro', schema: parse(record('A', { name: 'f', type, default: written })) },
        key: { encoding: 'none' },
      }).fields[0]!.writeDefault;
    expect(defaultOf('long', 5)).toBe(5);
    expect(defaultOf(logical('long', 'timestamp-millis'), 1500)).toBe('1970-01-01T00:00:01.500000+00:00');
    expect(defaultOf(logical('int', 'date'), -1)).toBe('1969-12-31');
    expect(defaultOf(logical('bytes', 'decimal', { precision: 4, scale: 2 }), '\u00ff\u0085')).toBe('-1.23');
    expect(defaultOf('bytes', '\u0000\u00ff')).toBe('00ff');
    expect(defaultOf(['null', 'string'], null)).toBeUndefined();
    expect(defaultOf(['null', 'string'], 'x')).toBe('x');
    expect(defaultOf('int', 'x')).toBeUndefined();
    expect(defaultOf('int', 2 ** 40)).toBeUndefined();
    expect(
      defaultOf(
        record('B', { name: 'x', type: 'int', default: 3 }, { name: 'y', type: ['null', 'int'], default: null }),
        {},
      ),
    ).toEqual({ 3: 3 });
  });

  it('keeps the digits of a default that JavaScript would round', () => {
    const schema = parseAvroSchema(
      '{"type":"record","name":"A","fields":[{"name":"f","type":"long","default":9223372036854775807}]}',
    );
    expect(
      deriveTableSchema({ value: { encoding: 'avro', schema }, key: { encoding: 'none' } }).fields[0]!.writeDefault,
    ).toBe('9223372036854775807');
  });

  it('refuses a value field that takes the name of the metadata column', () => {
    const value = { encoding: 'avro' as const, schema: parse(record('A', { name: '_kafka', type: 'int' })) };
    expect(() => deriveTableSchema({ value, key: { encoding: 'none' } })).toThrow(
      expect.objectContaining({ code: 'column-name-clash' }),
    );
    expect(() =>
      deriveTableSchema({ value: { encoding: 'none' }, key: { encoding: 'none' }, kafkaColumns: ['x'] }),
    ).toThrow(/choose from partition/);
  });
});
