import { describe, expect, it } from 'vitest';
import { parseAvroSchema } from './avro-parse.ts';
import { deriveTableSchema } from './derive.ts';
import { evolveTableSchema } from './evolve.ts';
import { fromIcebergSchemaJson, toIcebergSchemaJson } from './iceberg-json.ts';
import { parseProtobufSchema } from './protobuf-file.ts';
import { mainMessage } from './protobuf-schema.ts';
import type { StructType, TableSchema } from './table-schema.ts';

const record = (name: string, ...fields: object[]) => ({ type: 'record', name, fields });
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more });
const table = (...fields: object[]) =>
  deriveTableSchema({
    value: { encoding: 'avro', schema: parseAvroSchema(JSON.stringify(record('A', ...fields))) },
    key: { encoding: 'bytes' },
    kafkaColumns: ['op'],
  });
const names = (schema: { fields: { name: string }[] }) => schema.fields.map((one) => one.name).join(' ');

describe('evolveTableSchema', () => {
  it('returns the schema itself when nothing changed', () => {
    const current = table(field('a', 'int'));
    expect(evolveTableSchema(current, table(field('a', 'int')))).toEqual({ schema: current, changes: [] });
  });

  it('adds fields at any depth with new ids, optional, with their defaults under the new ids', () => {
    const current = table(field('a', { type: 'array', items: record('B', field('x', 'int')) }));
    const added = record(
      'C',
      field('p', 'int', { default: 1 }),
      field('q', { type: 'array', items: 'string' }, { default: ['z'] }),
    );
    const incoming = table(
      field('a', { type: 'array', items: record('B', field('x', 'int'), field('y', 'string', { default: 'd' })) }),
      field('c', added, { default: {} }),
      field('d', 'int'),
    );
    const { schema, changes } = evolveTableSchema(current, incoming);
    expect(changes).toEqual([
      { kind: 'add', path: 'a.element.y' },
      { kind: 'add', path: 'c' },
      { kind: 'add', path: 'd' },
    ]);
    expect(names(schema)).toBe('a c d key _kafka');
    const last = current.lastColumnId;
    expect(schema).toMatchObject({ schemaId: 1, lastColumnId: last + 6 });
    const element = (schema.fields[0]!.type as { element: StructType }).element;
    expect(element.fields[1]).toMatchObject({ id: last + 1, name: 'y', required: false, writeDefault: 'd' });
    expect(schema.fields[1]).toMatchObject({ id: last + 2, writeDefault: { [last + 4]: 1, [last + 5]: ['z'] } });
    expect(schema.fields[2]).toMatchObject({ id: last + 3 });
    expect(fromIcebergSchemaJson(toIcebergSchemaJson(schema))).toEqual(schema);
    expect(evolveTableSchema(schema, incoming).changes).toEqual([]);
    expect(evolveTableSchema(schema, current).changes).toEqual([]);
  });

  it('keeps what is gone where it stood, optional; relaxes; follows another order', () => {
    const current = table(
      field('a', 'int'),
      field('b', record('B', field('x', 'int'), field('y', 'int'))),
      field('c', 'int'),
    );
    const gone = evolveTableSchema(
      current,
      table(field('a', 'int'), field('b', record('B', field('y', ['null', 'int'])))),
    );
    expect(names(gone.schema)).toBe('a b c key _kafka');
    expect(gone.changes).toEqual([
      { kind: 'relax', path: 'b.y' },
      { kind: 'relax', path: 'b.x' },
    ]);
    expect((gone.schema.fields[1]!.type as StructType).fields.map((one) => [one.name, one.required])).toEqual([
      ['x', false],
      ['y', false],
    ]);
    const moved = evolveTableSchema(current, table(field('c', 'int'), field('a', 'int')));
    expect(moved.changes).toEqual([{ kind: 'reorder', path: '' }]);
    expect(moved.schema.fields.map((one) => one.id)).toEqual([3, 1, 2, 4, 5]);
  });

  it.each([
    ['int', 'long', 'a', 'int', 'long'],
    [record('B', field('x', 'int')), record('B', field('x', 'string')), 'a.x', 'int', 'string'],
    [
      { type: 'array', items: 'int' },
      { type: 'array', items: { type: 'map', values: 'int' } },
      'a.element',
      'int',
      'map<string, int>',
    ],
    ['int', { type: 'array', items: 'int' }, 'a', 'int', 'list<int>'],
  ])('refuses %j → %j', (from, to, path, old, now) => {
    const evolve = () => evolveTableSchema(table(field('a', from)), table(field('a', to)));
    expect(evolve).toThrow(
      expect.objectContaining({
        kind: 'unsupported',
        code: 'schema-change-refused',
        context: { field: path, from: old, to: now },
      }),
    );
  });

  it('refuses a column that changes sides, and one that differs from another in case only', () => {
    const current = table(field('a', 'int'));
    expect(() => evolveTableSchema(current, table(field('a', 'int'), field('key', 'bytes')))).toThrow(/column key/);
    expect(() => evolveTableSchema(current, table(field('A', 'int')))).toThrow(/ignore case/);
  });
});

describe('Protobuf fields', () => {
  const table = (fields: string) =>
    deriveTableSchema({
      value: {
        encoding: 'protobuf',
        schema: mainMessage(
          parseProtobufSchema(`syntax = "proto3"; message M { ${fields} } message In { int32 x = 1; }`),
        ),
      },
      key: { encoding: 'none' },
      kafkaColumns: ['offset'],
    });
  const names = (schema: TableSchema) => schema.fields.map(({ id, name }) => `${id} ${name}`);

  it('keep their column when they get another name, also in messages, and when names are exchanged', () => {
    const first = table('int32 a = 1; int32 b = 2; repeated In c = 3;');
    const { schema, changes } = evolveTableSchema(first, table('int32 b = 1; int32 a = 2; repeated In list = 3;'));
    expect(schema).toBe(first);
    expect(changes).toEqual([]);
    const gone = evolveTableSchema(first, table('int32 a2 = 1; int32 d = 4;')).schema;
    expect(names(gone)).toEqual(['1 a', '2 b', '3 c', '9 d', '4 _kafka']);
  });

  it('can not take the name that another one had', () => {
    expect(() => evolveTableSchema(table('int32 a = 1;'), table('int32 b = 1; int32 a = 2;'))).toThrow(
      expect.objectContaining({
        code: 'schema-change-refused',
        message: expect.stringMatching(/column a from field M#1 to field M#2/),
      }),
    );
    expect(() => evolveTableSchema(table('map<int32, string> a = 1;'), table('map<int64, string> a = 1;'))).toThrow(
      /column a\.key from int to long/,
    );
  });
});
