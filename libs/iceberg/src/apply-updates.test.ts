import { describe, expect, test } from 'vitest';
import { applyUpdates } from './apply-updates.ts';
import { newTableMetadata } from './new-table.ts';
import { checkRequirements, type TableRequirement } from './requirements.ts';
import type { SchemaJson } from './schema-json.ts';
import type { Snapshot, TableMetadata } from './table-metadata.ts';
import type { TableUpdate } from './updates.ts';

const schema: SchemaJson = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 7, name: 'id', required: true, type: 'long' },
    {
      id: 8,
      name: 'tags',
      required: false,
      type: { type: 'list', 'element-id': 9, element: 'string', 'element-required': false },
    },
    { id: 3, name: 'day', required: false, type: 'date' },
  ],
  'identifier-field-ids': [7],
};
const table = () =>
  newTableMetadata(
    {
      schema,
      spec: { 'spec-id': 0, fields: [{ 'source-id': 3, name: 'month', transform: 'month' }] },
      order: {
        'order-id': 1,
        fields: [{ 'source-id': 7, transform: 'identity', direction: 'asc', 'null-order': 'nulls-first' }],
      },
      location: 'file:///w/demo/t/',
      properties: { a: '1' },
    },
    1_000,
  );
const snapshot = (id: bigint, sequence: number, parent?: bigint): Snapshot => ({
  'snapshot-id': id,
  ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }),
  'sequence-number': sequence,
  'timestamp-ms': 1_000 + sequence,
  'manifest-list': `file:///w/${id}.avro`,
  summary: { operation: 'append' },
});
const main = (id: bigint): TableUpdate => ({
  action: 'set-snapshot-ref',
  'ref-name': 'main',
  type: 'branch',
  'snapshot-id': id,
});
const add = (s: Snapshot): TableUpdate => ({ action: 'add-snapshot', snapshot: s });
const apply = (base: TableMetadata, ...updates: TableUpdate[]) => applyUpdates(base, updates, 5_000);

describe('a new table', () => {
  test("ids are given anew, in Iceberg's order of creation", () => {
    const { schemas, ...rest } = table();
    expect(schemas).toMatchObject([
      {
        'schema-id': 0,
        'identifier-field-ids': [1],
        fields: [{ id: 1 }, { id: 2, type: { 'element-id': 4 } }, { id: 3 }],
      },
    ]);
    expect(rest).toMatchObject({
      'format-version': 2,
      location: 'file:///w/demo/t',
      'last-column-id': 4,
      'partition-specs': [{ 'spec-id': 0, fields: [{ 'source-id': 3, 'field-id': 1000 }] }],
      'last-partition-id': 1000,
      'sort-orders': [{ 'order-id': 1, fields: [{ 'source-id': 1 }] }],
      'default-sort-order-id': 1,
      refs: {},
    });
    expect(rest['current-snapshot-id']).toBeUndefined();
  });

  test('with its ids kept, as data files carry them', () => {
    const kept = newTableMetadata({ schema, location: 'file:///w/t', keepIds: true }, 1);
    expect(kept['last-column-id']).toBe(9);
    expect(kept.schemas[0]!.fields.map((field) => field.id)).toEqual([7, 8, 3]);
  });
});

describe('updates', () => {
  test('schemas: added, reused, made current, removed', () => {
    const base = table();
    const wider: SchemaJson = {
      ...base.schemas[0]!,
      fields: [...base.schemas[0]!.fields, { id: 5, name: 'x', required: false, type: 'double' }],
    };
    const next = apply(
      base,
      { action: 'add-schema', schema: wider },
      { action: 'set-current-schema', 'schema-id': -1 },
    );
    expect(next).toMatchObject({ 'current-schema-id': 1, 'last-column-id': 5, 'last-updated-ms': 5_000 });
    const back = apply(
      next,
      { action: 'add-schema', schema: base.schemas[0]! },
      { action: 'set-current-schema', 'schema-id': -1 },
    );
    expect([back['current-schema-id'], back.schemas.length]).toEqual([0, 2]);
    expect(apply(back, { action: 'remove-schemas', 'schema-ids': [1] }).schemas.length).toBe(1);
    expect(() => apply(back, { action: 'remove-schemas', 'schema-ids': [0] })).toThrow(/current schema/);
    expect(() => apply(base, { action: 'set-current-schema', 'schema-id': -1 })).toThrow(/no schema has been added/);
    expect(() => apply(base, { action: 'set-current-schema', 'schema-id': 9 })).toThrow(/unknown schema: 9/);
    const twice = { ...wider, fields: [...wider.fields, { id: 5, name: 'y', required: false, type: 'int' }] };
    expect(() => apply(base, { action: 'add-schema', schema: twice })).toThrow(
      /Multiple entries with same key: 5=x and y/,
    );
    const variant = { ...wider, fields: [{ id: 1, name: 'v', required: false, type: 'variant' }] };
    expect(() => apply(base, { action: 'add-schema', schema: variant })).toThrow(/variant is not supported until v3/);
  });

  test('partition specs keep the ids of fields that come back', () => {
    const base = table();
    const bucket = { 'source-id': 1, name: 'b', transform: 'bucket[4]' };
    const next = apply(
      base,
      { action: 'add-spec', spec: { 'spec-id': 0, fields: [bucket] } },
      { action: 'set-default-spec', 'spec-id': -1 },
      {
        action: 'add-spec',
        spec: { 'spec-id': 0, fields: [{ 'source-id': 3, name: 'm', transform: 'month' }, bucket] },
      },
    );
    expect(next['default-spec-id']).toBe(1);
    expect(next['partition-specs'][2]!.fields.map((field) => field['field-id'])).toEqual([1000, 1001]);
    expect(next['last-partition-id']).toBe(1001);
    expect(() =>
      apply(base, { action: 'add-spec', spec: { 'spec-id': 0, fields: [{ ...bucket, 'source-id': 99 }] } }),
    ).toThrow(/source column/);
    expect(() => apply(base, { action: 'remove-partition-specs', 'spec-ids': [0] })).toThrow(/default partition spec/);
  });

  test('snapshots, refs and the log', () => {
    const base = table();
    const one = apply(base, add(snapshot(1n, 1)), main(1n));
    const three = apply(one, add(snapshot(2n, 2, 1n)), main(2n), add(snapshot(3n, 3, 2n)), main(3n));
    // 2 was current only in passing.
    expect(three['snapshot-log'].map((entry) => entry['snapshot-id'])).toEqual([1n, 3n]);
    expect(three).toMatchObject({ 'current-snapshot-id': 3n, 'last-sequence-number': 3, 'last-updated-ms': 1_003 });
    const rolledBack = apply(three, main(1n));
    expect(rolledBack).toMatchObject({ 'current-snapshot-id': 1n, 'last-updated-ms': 5_000 });
    const tagged = apply(three, { action: 'set-snapshot-ref', 'ref-name': 't', type: 'tag', 'snapshot-id': 1n });
    expect(apply(tagged, { action: 'remove-snapshots', 'snapshot-ids': [1] }).refs).toEqual({
      main: three.refs['main'],
    });
    expect(apply(three, { action: 'remove-snapshot-ref', 'ref-name': 'main' })['current-snapshot-id']).toBeUndefined();
    expect(() => apply(three, add(snapshot(4n, 3, 3n)))).toThrow(/older than last sequence number 3/);
    expect(() => apply(three, main(9n))).toThrow(/unknown snapshot: 9/);
    expect(() => apply(three, add(snapshot(3n, 4, 3n)))).toThrow(/already exists for id: 3/);
  });

  test('version 3 counts row ids', () => {
    const base = apply(table(), { action: 'upgrade-format-version', 'format-version': 3 });
    const next = apply(base, add({ ...snapshot(1n, 1), 'first-row-id': 0, 'added-rows': 25 }));
    expect(next['next-row-id']).toBe(25);
    expect(() => apply(next, add({ ...snapshot(2n, 2, 1n), 'first-row-id': 3 }))).toThrow(/behind table next-row-id/);
    expect(() => apply(next, { action: 'upgrade-format-version', 'format-version': 2 })).toThrow(/Cannot downgrade v3/);
  });

  test('properties, location, statistics; nothing changed is the same object; the base stays as it is', () => {
    const base = table();
    const before = structuredClone(base);
    const statistics = { 'snapshot-id': 1n, 'statistics-path': 's.puffin' };
    const next = apply(
      base,
      { action: 'set-properties', updates: { b: '2' } },
      { action: 'remove-properties', removals: ['a', 'none'] },
      { action: 'set-location', location: 'file:///w/other/' },
      { action: 'set-statistics', statistics },
    );
    expect(next).toMatchObject({ properties: { b: '2' }, location: 'file:///w/other', statistics: [statistics] });
    expect(apply(next, { action: 'remove-statistics', 'snapshot-id': 1n }).statistics).toEqual([]);
    expect(apply(base, { action: 'set-properties', updates: { a: '1' } })).toBe(base);
    expect(() => apply(base, { action: 'assign-uuid', uuid: crypto.randomUUID() })).toThrow(/Cannot reassign/);
    expect(base).toEqual(before);
  });
});

test('requirements', () => {
  const base = apply(table(), add(snapshot(5n, 1)), main(5n));
  const met: TableRequirement[] = [
    { type: 'assert-table-uuid', uuid: base['table-uuid'].toUpperCase() },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 5n },
    { type: 'assert-ref-snapshot-id', ref: 'new', 'snapshot-id': null },
    { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': 4 },
    { type: 'assert-current-schema-id', 'current-schema-id': 0 },
    { type: 'assert-last-assigned-partition-id', 'last-assigned-partition-id': 1000 },
    { type: 'assert-default-spec-id', 'default-spec-id': 0 },
    { type: 'assert-default-sort-order-id', 'default-sort-order-id': 1 },
  ];
  expect(() => checkRequirements(base, met)).not.toThrow();
  expect(() => checkRequirements(undefined, [{ type: 'assert-create' }])).not.toThrow();
  const unmet: [TableRequirement, RegExp][] = [
    [{ type: 'assert-create' }, /table already exists/],
    [{ type: 'assert-table-uuid', uuid: 'x' }, /UUID does not match/],
    [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 4n }, /main has changed: expected id 4 != 5/],
    [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null }, /main was created concurrently/],
    [{ type: 'assert-ref-snapshot-id', ref: 'gone', 'snapshot-id': 5n }, /gone is missing, expected 5/],
    [{ type: 'assert-last-assigned-field-id', 'last-assigned-field-id': 3 }, /field id changed/],
    [{ type: 'assert-current-schema-id', 'current-schema-id': 1 }, /current schema changed/],
    [{ type: 'assert-last-assigned-partition-id', 'last-assigned-partition-id': 1 }, /partition id changed/],
    [{ type: 'assert-default-spec-id', 'default-spec-id': 1 }, /partition spec changed/],
    [{ type: 'assert-default-sort-order-id', 'default-sort-order-id': 0 }, /sort order changed/],
  ];
  for (const [requirement, message] of unmet) {
    expect(() => checkRequirements(base, [requirement])).toThrow(message);
  }
});
