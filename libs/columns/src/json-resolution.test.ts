import {
  type ColumnSource,
  type ColumnType,
  deriveTableSchema,
  evolveTableSchema,
  parseJsonSchema,
  type TableSchema,
} from '@millrace/schema';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { compileJsonDecoder, createJsonTextDecoder } from './json-decoder.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const parse = (properties: object) => parseJsonSchema(JSON.stringify({ type: 'object', properties }));
const tableOf = (properties: object, key: ColumnSource = { encoding: 'none' }): TableSchema =>
  deriveTableSchema({ value: { encoding: 'json', schema: parse(properties) }, key, kafkaColumns: ['partition'] });
const bytesOf = (texts: string[]) => texts.map((text) => new Uint8Array(Buffer.from(text)));
const integer = { type: 'integer' };
const string = { type: 'string' };

describe.each([true, false])('a JSON writer schema and a table (generated: %s)', (generate) => {
  const rowsFor = (writer: object, table: TableSchema, ...texts: string[]) => {
    const rows = createRowBuilder(table);
    const value = compileJsonDecoder(parse(writer), table, 'value', { generate });
    const key = createPlainDecoder('none', table, 'key');
    const index = indexOf(bytesOf(texts));
    expect(appendRecords(rows, { value, key, kafka: { partition: 0 } }, index, 0, texts.length)).toEqual({
      appended: texts.length,
    });
    return rowsOf(rows.batch()).map(({ _kafka, ...row }) => row);
  };

  it('meet by name, at every depth, in any order', () => {
    const old = { a: integer, gone: string, o: { type: 'object', properties: { x: integer } } };
    const now = {
      o: { type: 'object', properties: { y: { ...string, default: 'q' }, x: integer } },
      b: { ...integer, default: 7 },
      a: integer,
    };
    const { schema } = evolveTableSchema(tableOf(old), tableOf(now));
    const text = '{"a":1,"gone":"g","b":2,"o":{"x":3,"y":"z"}}';
    // What the writer's schema does not know is no column of its records: the table's default stands there.
    expect(rowsFor(old, schema, text)).toEqual([{ o: { y: 'q', x: 3n }, b: 7n, a: 1n, gone: 'g' }]);
    expect(rowsFor(now, schema, text, '{"o":null,"b":null}', '{"o":{}}')).toEqual([
      { o: { y: 'z', x: 3n }, b: 2n, a: 1n, gone: null },
      { o: null, b: null, a: null, gone: null },
      { o: { y: 'q', x: null }, b: 7n, a: null, gone: null },
    ]);
  });

  it('an integer fits wider columns, text a variant', () => {
    const table = tableOf({ f: { type: 'number' }, d: { type: 'number', multipleOf: 0.01 } });
    expect(rowsFor({ f: integer, d: integer }, table, '{"f":12,"d":12}')).toEqual([{ f: 12, d: 1200n }]);
    const typed = (type: ColumnType) => ({ ...table, fields: [{ ...table.fields[0]!, type }] });
    expect(rowsFor({ f: integer }, typed({ kind: 'int' }), '{"f":-2147483648}')).toEqual([{ f: -2147483648 }]);
    expect(rowsFor({ f: integer }, typed({ kind: 'decimal', precision: 9, scale: 2 }), '{"f":12}')).toEqual([
      { f: 1200n },
    ]);
    expect(rowsFor({ f: integer }, typed({ kind: 'decimal', precision: 18, scale: 2 }), '{"f":-12}')).toEqual([
      { f: -1200n },
    ]);
    const uuid = '0199aabb-ccdd-7eee-8fff-001122334455';
    const [row] = rowsFor(
      { f: { ...string, format: 'uuid' } },
      typed({ kind: 'uuid' }),
      `{"f":"${uuid.toUpperCase()}"}`,
    );
    expect((row!['f'] as Buffer).toString('hex')).toBe(uuid.replaceAll('-', ''));
    expect(() => compileJsonDecoder(parse({ f: {} }), typed({ kind: 'variant' }), 'value')).not.toThrow();
  });

  it.each<[object, object, string]>([
    [integer, string, 'Column f (long) can not take string'],
    [{ type: 'number' }, { ...string, format: 'date' }, 'Column f (double) can not take date'],
    [integer, { type: 'number' }, 'Column f (long) can not take double'],
    [string, { type: 'array', items: string }, 'Column f (string) can not take an array'],
    [
      { type: 'array', items: string },
      { type: 'array', items: integer },
      'Column f.element (string) can not take long',
    ],
    [integer, {}, 'Column f (long) can not take JSON text'],
    [string, { type: 'object', properties: { a: string } }, 'Column f (string) can not take an object'],
    [string, { additionalProperties: string }, 'Column f (string) can not take a map'],
  ])('refuse what does not fit: %j, %j', (before, after, message) => {
    expect(() => compileJsonDecoder(parse({ f: after }), tableOf({ f: before }), 'value', { generate })).toThrow(
      expect.objectContaining({
        kind: 'unsupported',
        code: 'schema-mismatch',
        message: expect.stringContaining(message),
      }),
    );
  });

  it('keys too, with another name where the value has theirs', () => {
    const table = tableOf({ id: integer, a: string }, { encoding: 'json', schema: parse({ id: integer, k: string }) });
    const rows = createRowBuilder(table);
    const decoders = {
      value: compileJsonDecoder(parse({ id: integer, a: string }), table, 'value', { generate }),
      key: compileJsonDecoder(parse({ id: integer, k: string }), table, 'key', { generate }),
      kafka: { partition: 0 },
    };
    const texts = bytesOf(['{"id":1,"a":"v"}', '{"id":2,"id":3}', '{}']);
    const index = indexOf(
      [...texts.slice(0, 2), null],
      bytesOf(['{"k":"x","id":9}', '{"id":8,"k":"y","id":10}', 'null']),
    );
    expect(appendRecords(rows, decoders, index, 0, 3)).toEqual({ appended: 3 });
    expect(rowsOf(rows.batch())).toMatchObject([
      { id: 1n, a: 'v', key_id: 9n, k: 'x' },
      { id: 3n, a: null, key_id: 10n, k: 'y' },
      { id: null, a: null, key_id: null, k: null },
    ]);
  });

  it('texts without a schema stand beside a key of another encoding', () => {
    const table = deriveTableSchema({
      value: { encoding: 'json' },
      key: { encoding: 'string' },
      kafkaColumns: ['partition'],
    });
    const rows = createRowBuilder(table);
    const value = createJsonTextDecoder(table, 'value', { generate });
    const key = createPlainDecoder('string', table, 'key');
    const index = indexOf([...bytesOf([' {"a": [1,  2]}\n', '"x"']), null], bytesOf(['k', 'l', 'm']));
    expect(appendRecords(rows, { value, key, kafka: { partition: 0 } }, index, 0, 3)).toEqual({ appended: 3 });
    expect(rowsOf(rows.batch())).toMatchObject([
      { value: '{"a": [1,  2]}', key: 'k' },
      { value: '"x"', key: 'l' },
      { value: null, key: 'm' },
    ]);
  });
});
