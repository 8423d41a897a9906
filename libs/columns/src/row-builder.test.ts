import { deriveTableSchema, parseAvroSchema } from '@millrace/schema';
import { expect, test } from 'vitest';
import { appendRecords } from './append.ts';
import { compileAvroDecoder } from './avro-decoder.ts';
import type { Column } from './column.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const tree = { type: 'record', name: 'T', fields: [{ name: 'next', type: ['null', 'T'] }] };
const schema = parseAvroSchema(
  JSON.stringify({
    type: 'record',
    name: 'A',
    fields: [
      { name: 'list', type: { type: 'array', items: 'boolean' } },
      { name: 'json', type: { type: 'array', items: tree } },
    ],
  }),
);
const table = deriveTableSchema({ value: { encoding: 'avro', schema }, key: { encoding: 'none' }, kafkaColumns: [] });
const decoders = {
  value: compileAvroDecoder(schema, table, 'value'),
  key: createPlainDecoder('none', table, 'key'),
  kafka: { partition: 0 },
};

const count = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest > 127; rest >>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
};

const list = (size: number, bytes: number[]) =>
  size === 0 ? [0] : [...count(size), ...Array.from({ length: size }, () => bytes).flat(), 0];

const record = (booleans: number, trees: number) =>
  Uint8Array.from([...list(booleans, [1]), ...list(trees, [...new Array(200).fill(2), 0])]);

const arrays = (columns: readonly Column[]): number =>
  columns.reduce((sum, column) => {
    const own = [
      column.validity,
      column.ints,
      column.flags,
      column.starts,
      column.lengths,
      column.offsets,
      column.scratch,
    ];
    return sum + own.reduce((bytes, array) => bytes + array.byteLength, 0) + arrays(column.children);
  }, 0);

test('one giant record does not keep its memory for ever; what all records need is kept', () => {
  const rows = createRowBuilder(table);
  const fill = (value: Uint8Array) => {
    expect(appendRecords(rows, decoders, indexOf([value, value]), 0, 2)).toEqual({ appended: 2 });
    const [row] = rowsOf(rows.batch());
    rows.reset();
    return [row!['list'], row!['json']].map((items) => (items as unknown[]).length);
  };
  expect(fill(record(100_000, 1200))).toEqual([100_000, 1200]);
  const giant = arrays(rows.columns);
  expect(giant).toBeGreaterThan(4 << 20);
  expect(fill(record(70_000, 1000))).toEqual([70_000, 1000]);
  expect(arrays(rows.columns)).toBe(giant);
  for (let i = 0; i < 2; i++) expect(fill(record(3, 2))).toEqual([3, 2]);
  expect(arrays(rows.columns)).toBeLessThan(128 << 10);
});
