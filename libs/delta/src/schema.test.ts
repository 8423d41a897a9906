import type { Field, TableSchema } from '@millrace/schema';
import { describe, expect, test } from 'vitest';
import { leastProtocol, upgradeProtocol } from './protocol.ts';
import { deltaSchema, tableSchemaOf } from './schema.ts';
import { evolveSchema } from './schema-change.ts';

const schema = (...fields: Omit<Field, 'id'>[]): TableSchema => ({
  schemaId: 0,
  fields: fields.map((field, i) => ({ id: i + 1, ...field })),
  lastColumnId: fields.length,
});

const nested: TableSchema = {
  schemaId: 0,
  lastColumnId: 8,
  fields: [
    { id: 1, name: 'a', type: { kind: 'decimal', precision: 38, scale: 4 }, required: true, doc: 'the amount' },
    {
      id: 2,
      name: 'b',
      required: false,
      type: {
        kind: 'struct',
        fields: [
          { id: 4, name: 'at', type: { kind: 'timestamp', adjusted: true }, required: false },
          {
            id: 5,
            name: 'tags',
            required: false,
            type: { kind: 'list', elementId: 6, element: { kind: 'int' }, elementRequired: true },
          },
        ],
      },
    },
    {
      id: 3,
      name: 'm',
      required: false,
      type: {
        kind: 'map',
        keyId: 7,
        key: { kind: 'string' },
        valueId: 8,
        value: { kind: 'long' },
        valueRequired: false,
      },
    },
  ],
};

describe('Delta schema', () => {
  test('a nested schema, to Delta and back', () => {
    const struct = deltaSchema(nested);
    expect(struct.fields[0]).toEqual({
      name: 'a',
      type: 'decimal(38,4)',
      nullable: false,
      metadata: { comment: 'the amount' },
    });
    expect(struct.fields[2]!.type).toEqual({
      type: 'map',
      keyType: 'string',
      valueType: 'long',
      valueContainsNull: true,
    });
    expect(tableSchemaOf(struct)).toEqual(nested);
  });

  test.each([
    ['a name with a space', schema({ name: 'a b', type: { kind: 'int' }, required: false }), '"a b"'],
    [
      'names that differ in case only',
      schema(
        { name: 'Id', type: { kind: 'int' }, required: false },
        { name: 'id', type: { kind: 'int' }, required: false },
      ),
      'differs from Id in case only',
    ],
    ['a type of Iceberg alone', schema({ name: 't', type: { kind: 'time' }, required: false }), 'no type for Iceberg'],
    [
      'a nested name',
      schema({
        name: 's',
        required: false,
        type: { kind: 'struct', fields: [{ id: 2, name: 'x=y', type: { kind: 'int' }, required: false }] },
      }),
      '"s.x=y"',
    ],
  ])('refuses %s', (_, bad, text) => {
    expect(() => deltaSchema(bad)).toThrow(text);
  });
});

describe('protocol', () => {
  const plain = deltaSchema(nested);
  const local = deltaSchema(schema({ name: 'l', type: { kind: 'timestamp', adjusted: false }, required: false }));

  test('is the least that the schema needs', () => {
    expect(leastProtocol(plain)).toEqual({ minReaderVersion: 1, minWriterVersion: 2 });
    expect(leastProtocol(local)).toEqual({
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['timestampNtz'],
      writerFeatures: ['appendOnly', 'invariants', 'timestampNtz'],
    });
  });

  test('an upgrade never takes a feature away', () => {
    expect(upgradeProtocol(leastProtocol(local), leastProtocol(plain))).toBeUndefined();
    expect(upgradeProtocol(leastProtocol(plain), leastProtocol(local))).toEqual(leastProtocol(local));
  });
});

describe('schema change', () => {
  const before = deltaSchema(
    schema(
      { name: 'id', type: { kind: 'int' }, required: true },
      {
        name: 'tags',
        type: { kind: 'list', elementId: 9, element: { kind: 'float' }, elementRequired: false },
        required: false,
      },
      { name: 'old', type: { kind: 'string' }, required: false },
    ),
  );

  test('adds, widens, relaxes, and keeps what others wrote', () => {
    before.fields[0]!.metadata = { comment: 'by a user' };
    const { schema: after, added } = evolveSchema(
      before,
      deltaSchema(
        schema(
          { name: 'id', type: { kind: 'long' }, required: false, doc: 'by the topic' },
          { name: 'note', type: { kind: 'string' }, required: true },
          {
            name: 'tags',
            type: { kind: 'list', elementId: 9, element: { kind: 'double' }, elementRequired: false },
            required: false,
          },
        ),
      ),
    );
    expect(added).toEqual(['note']);
    expect(after.fields).toEqual([
      {
        name: 'id',
        type: 'long',
        nullable: true,
        metadata: { comment: 'by a user', 'delta.typeChanges': [{ fromType: 'integer', toType: 'long' }] },
      },
      { name: 'note', type: 'string', nullable: true, metadata: {} },
      {
        name: 'tags',
        type: { type: 'array', elementType: 'double', containsNull: true },
        nullable: true,
        metadata: { 'delta.typeChanges': [{ fromType: 'float', toType: 'double', fieldPath: 'element' }] },
      },
      before.fields[2],
    ]);
    expect(leastProtocol(after).readerFeatures).toEqual(['typeWidening']);
  });

  test('refuses a change that is no widening', () => {
    const wanted = deltaSchema(schema({ name: 'id', type: { kind: 'string' }, required: false }));
    expect(() => evolveSchema(before, wanted)).toThrow('"id" can\'t change from "integer" to "string"');
  });
});
