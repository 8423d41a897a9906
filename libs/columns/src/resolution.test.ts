import { deriveTableSchema, evolveTableSchema, parseAvroSchema } from '@millrace/schema';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { compileAvroDecoder } from './avro-decoder.ts';
import { avscType } from './avro-models.test.fixture.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const record = (name: string, ...fields: object[]) => ({ type: 'record', name, fields });
const parse = (json: unknown) => parseAvroSchema(JSON.stringify(json));
const tableFor = (value: unknown, key?: unknown) =>
  deriveTableSchema({
    value: { encoding: 'avro', schema: parse(value) },
    key: key ? { encoding: 'avro', schema: parse(key) } : { encoding: 'none' },
    kafkaColumns: ['offset'],
  });

/** One row from each writer, all into the same builder. */
function decode(
  table: ReturnType<typeof tableFor>,
  written: { schema: unknown; value: unknown; key?: { schema: unknown; value: unknown } }[],
  generate: boolean,
) {
  const rows = createRowBuilder(table);
  const values = written.map(({ schema, value }) => avscType(schema).toBuffer(value));
  const keys = written.map(({ key }) => (key ? avscType(key.schema).toBuffer(key.value) : null));
  const index = indexOf(values, keys);
  for (const [i, { schema, key }] of written.entries()) {
    const result = appendRecords(
      rows,
      {
        value: compileAvroDecoder(parse(schema), table, 'value', { generate }),
        key: key
          ? compileAvroDecoder(parse(key.schema), table, 'key', { generate })
          : createPlainDecoder('none', table, 'key'),
        kafka: { partition: 0 },
      },
      index,
      i,
      i + 1,
    );
    expect(result).toEqual({ appended: 1 });
  }
  return rowsOf(rows.batch());
}

describe.each([true, false])('schema resolution (generated: %s)', (generate) => {
  it('makes all of a struct null that an older writer lacks, also beside one of the same size that it has', () => {
    const inner = (name: string) =>
      record(name, { name: 'a', type: 'string' }, { name: 'b', type: { type: 'array', items: 'int' } });
    const v1 = record('A', { name: 'id', type: 'long' }, { name: 'in', type: ['null', inner('B')] });
    const v2 = record(
      'A',
      { name: 'id', type: 'long' },
      { name: 'in', type: ['null', inner('B')] },
      { name: 'late', type: ['null', inner('C')], default: null },
      { name: 'deep', type: ['null', record('D', { name: 'c', type: ['null', inner('E')] })], default: null },
    );
    const rows = decode(
      tableFor(v2),
      [
        { schema: v1, value: { id: 1n, in: { B: { a: 'x', b: [1] } } } },
        { schema: v2, value: { id: 2n, in: null, late: { C: { a: 'y', b: [2] } }, deep: { D: { c: null } } } },
        { schema: v1, value: { id: 3n, in: null } },
      ],
      generate,
    );
    expect(rows.map(({ late, deep }) => ({ late, deep }))).toEqual([
      { late: null, deep: null },
      { late: { a: 'y', b: [2] }, deep: { c: null } },
      { late: null, deep: null },
    ]);
  });

  it('fills what an older writer lacks with the default, at any depth, and passes over what the table lacks', () => {
    const v1 = record(
      'A',
      { name: 'id', type: 'long' },
      { name: 'gone', type: { type: 'array', items: 'string' } },
      { name: 'in', type: record('B', { name: 'x', type: 'int' }) },
    );
    const v2 = record(
      'A',
      {
        name: 'in',
        type: record(
          'B',
          { name: 'tags', type: { type: 'array', items: 'string' }, default: ['p', 'q'] },
          { name: 'x', type: 'int' },
          { name: 'm', type: { type: 'map', values: 'int' }, default: { a: 1 } },
        ),
      },
      { name: 'id', type: 'long' },
      { name: 'state', type: { type: 'enum', name: 'S', symbols: ['ON', 'OFF'] }, default: 'OFF' },
      { name: 'sum', type: { type: 'bytes', logicalType: 'decimal', precision: 25, scale: 2 }, default: 'ÿ' },
      { name: 'when', type: { type: 'long', logicalType: 'timestamp-millis' }, default: 5 },
      { name: 'note', type: ['null', 'string'], default: null },
    );
    const { schema: table } = evolveTableSchema(tableFor(v1), tableFor(v2));
    const old = { schema: v1, value: { id: 1n, gone: ['a', 'b'], in: { x: 3 } } };
    const recent = {
      schema: v2,
      value: {
        in: { tags: ['z'], x: 4, m: {} },
        id: 2n,
        state: 'ON',
        sum: Buffer.of(100),
        when: 9n,
        note: { string: 'n' },
      },
    };
    const rows = decode(table, [old, recent, old], generate);
    expect(rows).toEqual([
      {
        id: 1n,
        gone: ['a', 'b'],
        in: { tags: ['p', 'q'], x: 3, m: [['a', 1]] },
        state: 'OFF',
        sum: -1n,
        when: 5000n,
        note: null,
        _kafka: expect.anything(),
      },
      {
        id: 2n,
        gone: null,
        in: { tags: ['z'], x: 4, m: [] },
        state: 'ON',
        sum: 100n,
        when: 9000n,
        note: 'n',
        _kafka: expect.anything(),
      },
      {
        id: 1n,
        gone: ['a', 'b'],
        in: { tags: ['p', 'q'], x: 3, m: [['a', 1]] },
        state: 'OFF',
        sum: -1n,
        when: 5000n,
        note: null,
        _kafka: expect.anything(),
      },
    ]);
    // The other way round: a table that has not followed yet.
    expect(decode(tableFor(v1), [{ ...recent, schema: v2 }], generate)[0]).toMatchObject({
      id: 2n,
      gone: null,
      in: { x: 4 },
    });
  });

  it('promotes as Avro says, and follows aliases of the writer', () => {
    const table = tableFor(
      record(
        'A',
        { name: 'a', type: 'long' },
        { name: 'b', type: 'double' },
        { name: 'c', type: 'double' },
        { name: 'd', type: 'string' },
        { name: 'e', type: 'bytes' },
      ),
    );
    const writer = record(
      'A',
      { name: 'a', type: 'int' },
      { name: 'b', type: 'float' },
      { name: 'c', type: 'long' },
      { name: 'd2', type: 'bytes', aliases: ['d'] },
      { name: 'e', type: 'string' },
    );
    const value = { a: -7, b: 0.5, c: -(2n ** 53n), d2: Buffer.from('dé'), e: 'ü' };
    expect(decode(table, [{ schema: writer, value }], generate)[0]).toMatchObject({
      a: -7n,
      b: 0.5,
      c: -(2 ** 53),
      d: 'dé',
      e: Buffer.from('ü'),
    });
  });

  it('keeps key and value apart when they share names', () => {
    const value = record('V', { name: 'id', type: 'int' }, { name: 'key_id', type: 'string' });
    const key = record('K', { name: 'id', type: 'long' }, { name: 'k', type: 'string' });
    const table = tableFor(value, key);
    expect(table.fields.map((field) => field.name)).toEqual(['id', 'key_id', 'key_key_id', 'k', '_kafka']);
    const rows = decode(
      table,
      [{ schema: value, value: { id: 1, key_id: 'v' }, key: { schema: key, value: { id: 2n, k: 'x' } } }],
      generate,
    );
    expect(rows[0]).toMatchObject({ id: 1, key_id: 'v', key_key_id: 2n, k: 'x' });
  });

  it('writes a recursive value as JSON text from where it recurs', () => {
    const tree = record(
      'T',
      { name: 'v', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'next', type: ['null', 'T'] },
      { name: 'kids', type: { type: 'array', items: 'T' } },
    );
    const leaf = { v: 0n, next: null, kids: [] };
    const rows = decode(
      tableFor(tree),
      [{ schema: tree, value: { v: 1n, next: { T: { ...leaf, next: { T: leaf } } }, kids: [leaf] } }],
      generate,
    );
    const text = '{"v":"1970-01-01T00:00:00.000000+00:00","next":null,"kids":[]}';
    expect(rows[0]).toMatchObject({ v: 1000n, next: text.replace('null', text), kids: [text] });
  });

  it('takes a value schema that is no record, and a nullable record, as columns', () => {
    expect(
      decode(
        tableFor(['null', 'int']),
        [
          { schema: ['null', 'int'], value: { int: 4 } },
          { schema: 'int', value: 5 },
        ],
        generate,
      ),
    ).toMatchObject([{ value: 4 }, { value: 5 }]);
    const nullable = [
      'null',
      record('A', { name: 'a', type: 'int' }, { name: 'b', type: { type: 'array', items: 'int' } }),
    ];
    const written = [{ A: { a: 1, b: [2] } }, null].map((value) => ({ schema: nullable, value }));
    expect(decode(tableFor(nullable), written, generate)).toMatchObject([
      { a: 1, b: [2] },
      { a: null, b: null },
    ]);
  });

  it('lets no name into the code', () => {
    const names = ['__proto__', 'constructor', 'prototype', 'toString', 's', 'p', 'e', 'hasOwnProperty', 'ключ'];
    const schema = parse(record('eval', ...names.map((name) => ({ name, type: 'int' }))));
    const table = deriveTableSchema({ value: { encoding: 'avro', schema }, key: { encoding: 'none' } });
    const rows = createRowBuilder(table);
    const index = indexOf([Uint8Array.from(names, (_, i) => 2 * i)]);
    const value = compileAvroDecoder(schema, table, 'value', { generate });
    appendRecords(rows, { value, key: createPlainDecoder('none', table, 'key'), kafka: { partition: 0 } }, index, 0, 1);
    const { columns } = rows.batch();
    expect(names.map((_, i) => (columns[i] as { values: Int32Array }).values[0])).toEqual(names.map((_, i) => i));
  });
});

describe('a table that can not take what is written', () => {
  it.each([
    ['string', 'int', 'can not take string'],
    [['null', 'int'], 'int', undefined],
    [{ type: 'array', items: ['null', 'int'] }, { type: 'array', items: 'int' }, 'column f.element'],
    [
      { type: 'bytes', logicalType: 'decimal', precision: 5, scale: 1 },
      { type: 'bytes', logicalType: 'decimal', precision: 5, scale: 2 },
      'can not take decimal(5, 1)',
    ],
  ])('%j into %j', (written, known, message) => {
    const table = tableFor(record('A', { name: 'f', type: known }));
    const compile = () => compileAvroDecoder(parse(record('A', { name: 'f', type: written })), table, 'value');
    if (message === undefined) expect(compile).not.toThrow();
    else
      expect(compile).toThrow(
        expect.objectContaining({
          code: 'schema-mismatch',
          message: expect.stringMatching(new RegExp(message.replaceAll(/[()]/g, '\\$&'), 'i')),
        }),
      );
  });
});
