import { describe, expect, it } from 'vitest';
import { frameSchemaId, notFramed } from './frame.ts';
import { fromIcebergSchemaJson, schemaToJsonObject, toIcebergSchemaJson } from './iceberg-json.ts';
import { kafkaColumn } from './kafka-struct.ts';
import type { Field, TableSchema } from './table-schema.ts';

const field = (id: number, name: string, type: Field['type'], more: Partial<Field> = {}): Field => ({
  id,
  name,
  type,
  required: false,
  ...more,
});
const schema: TableSchema = {
  schemaId: 3,
  lastColumnId: 40,
  fields: [
    field(1, 'a', { kind: 'decimal', precision: 9, scale: 2 }, { required: true, doc: 'd', writeDefault: '1.00' }),
    field(
      2,
      'b',
      { kind: 'list', elementId: 5, elementRequired: true, element: { kind: 'fixed', length: 16 } },
      { source: 'key' },
    ),
    field(3, 'c', {
      kind: 'map',
      keyId: 6,
      key: { kind: 'string' },
      valueId: 7,
      valueRequired: false,
      value: { kind: 'struct', fields: [field(8, 'x', { kind: 'timestamp', adjusted: true })] },
    }),
  ],
};

describe('Iceberg schema JSON', () => {
  it('comes back as it was', () => expect(fromIcebergSchemaJson(toIcebergSchemaJson(schema))).toEqual(schema));

  it('is strictly what the specification has for table metadata', () => {
    expect(schemaToJsonObject(schema)).toEqual({
      type: 'struct',
      'schema-id': 3,
      fields: [
        { id: 1, name: 'a', required: true, type: 'decimal(9, 2)', doc: 'd' },
        {
          id: 2,
          name: 'b',
          required: false,
          type: { type: 'list', 'element-id': 5, element: 'fixed[16]', 'element-required': true },
        },
        {
          id: 3,
          name: 'c',
          required: false,
          type: {
            type: 'map',
            'key-id': 6,
            key: 'string',
            'value-id': 7,
            value: { type: 'struct', fields: [{ id: 8, name: 'x', required: false, type: 'timestamptz' }] },
            'value-required': false,
          },
        },
      ],
    });
    expect(schemaToJsonObject(schema, { writeDefaults: true })).toMatchObject({
      fields: [{ 'write-default': '1.00' }, {}, {}],
    });
  });

  it('reads what others write: no ids of ours, decimals without a space', () => {
    const text = '{"type":"struct","fields":[{"id":4,"name":"a","required":false,"type":"decimal(9,2)"}]}';
    expect(fromIcebergSchemaJson(text)).toEqual({
      schemaId: 0,
      lastColumnId: 4,
      fields: [field(4, 'a', { kind: 'decimal', precision: 9, scale: 2 })],
    });
  });

  it.each([
    ['{', /is not JSON/],
    ['{}', /no "fields"/],
    ['{"fields":[{"id":1,"name":"a","required":false,"type":"decimal(40,2)"}]}', /a has an impossible type/],
    ['{"fields":[{"id":1,"name":"a","required":false,"type":"geometry"}]}', /Column a has the type "geometry"/],
    ['{"fields":[{"id":1,"name":"a","type":"int"}]}', /a: "required" is not true or false/],
    ['{"fields":[{"id":-1,"name":"a","required":true,"type":"int"}]}', /the id of a is not a whole number/],
    [
      '{"fields":[{"id":1,"name":"a","required":true,"type":"int"},{"id":1,"name":"b","required":true,"type":"int"}]}',
      /the id 1 of b is used twice/,
    ],
    [
      '{"fields":[{"id":1,"name":"a","required":true,"type":"int"},{"id":2,"name":"a","required":true,"type":"int"}]}',
      /a is there twice/,
    ],
  ])('refuses %s', (text, message) => expect(() => fromIcebergSchemaJson(text)).toThrow(message));
});

it('frames are told from other bytes', () => {
  const bytes = Uint8Array.of(9, 0, 0, 1, 0, 2, 7);
  expect(frameSchemaId(bytes, 1, 6)).toBe(65538);
  expect(frameSchemaId(bytes, 1, 4)).toBe(-1);
  expect(frameSchemaId(bytes, 0, 6)).toBe(-1);
  expect(notFramed(bytes, 0, 6, 'key')).toMatchObject({
    code: 'record-undecodable',
    message: expect.stringContaining('first byte 0x09'),
  });
});

it('the _kafka column always has partition and offset', () => {
  const names = (parts: string[]) => (kafkaColumn(parts).type as { fields: Field[] }).fields.map((part) => part.name);
  expect(names(['op'])).toEqual(['partition', 'offset', 'op']);
  expect(names([])).toHaveLength(8);
});
