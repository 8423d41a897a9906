import { MillraceError } from '@millrace/base';
import type { TableSchema } from '@millrace/schema';
import { expect, test } from 'vitest';
import { openBytes, rowsOf, tableOf, writeRows } from './memory-file.fixture.ts';
import { PYARROW_FILES } from './pyarrow-files.fixture.ts';
import { openParquet } from './reader.ts';
import type { Row } from './rows.ts';

const file = (name: keyof typeof PYARROW_FILES) => openBytes(Buffer.from(PYARROW_FILES[name], 'base64'));

/** What the fixture's files hold. */
const pyarrowRows = Array.from({ length: 40 }, (_, i) => ({
  i: i % 9 === 4 ? null : (i % 2 === 0 ? 1 : -1) * i ** 3 * 12_345 || 0,
  l: [2n ** 63n - 1n, -(2n ** 63n), 0n, BigInt(i)][i % 4],
  s: i % 7 === 3 ? null : `prefix-${Math.floor(i / 3)}-${'é'.repeat(i % 4)}`,
  b: i % 5 === 2 ? null : i % 3 === 0,
  d: i / 7,
  f: Uint8Array.of(i, 255 - i, i),
  n: i % 6 === 5 ? null : Array.from({ length: i % 4 }, (_, j) => ((i + j) % 4 === 3 ? null : `v${i * j}`)),
}));

test.each(['deltas, V2 pages, snappy', 'dictionaries, V1 pages, lz4_raw', 'dictionaries, V2 pages, gzip'] as const)(
  'reads what others write: %s',
  async (name) => {
    expect(await rowsOf((await file(name)).read({ batchRows: 9 }))).toEqual(pyarrowRows);
  },
);

test('reads INT96, unsigned, millisecond and half-precision values as the types they stand for', async () => {
  const old = await file('old and odd types');
  expect(old.schema.fields.map(({ type }) => type.kind)).toEqual([
    'timestamp',
    'long',
    'decimal',
    'time',
    'float',
    'decimal',
  ]);
  const rows = await rowsOf(old.read());
  expect(rows.map((row) => row['ts'])).toEqual([0, 1, 2, 3, 4, 5].map((i) => BigInt(i) * 10n ** 9n - 5n * 10n ** 8n));
  expect(rows.map((row) => row['u'])).toEqual([0n, 1n, 2n, 3n, 4n, 5n].map((i) => 2n ** 32n - 1n - i));
  expect(rows.map((row) => row['w'])).toEqual([0n, 1n, 2n, 3n, 4n, 5n].map((i) => 2n ** 64n - 1n - i));
  expect(rows.map((row) => row['ms'])).toEqual([-1000n, 0n, 1000n, null, 86_399_999_000n, 7000n]);
  expect(rows.map((row) => row['h'])).toEqual([0, 1.5, -2, 65_504, null, 2 ** -24]);
  expect(rows.map((row) => row['dec'])).toEqual([-125n, 9_999_999n, null, 0n, 1n, -9_999_999n]);
});

const nested = tableOf(
  {
    key: { kind: 'int' },
    amount: { kind: 'decimal', precision: 9, scale: 2 },
    rate: { kind: 'float' },
    day: { kind: 'date' },
    place: {
      kind: 'struct',
      fields: [
        { id: 20, name: 'city', type: { kind: 'string' }, required: false },
        { id: 21, name: 'level', type: { kind: 'int' }, required: false },
      ],
    },
    codes: { kind: 'list', elementId: 30, element: { kind: 'int' }, elementRequired: false },
  },
  ['key'],
);
const nestedRows: Row[] = [
  { key: 1, amount: -150n, rate: 0.5, day: -1, place: { city: 'Bern', level: 3 }, codes: [1, null, -2] },
  { key: 2, amount: null, rate: null, day: null, place: null, codes: null },
  { key: 3, amount: 7n, rate: -2, day: 365, place: { city: null, level: null }, codes: [] },
];

const readAs = async (schema: TableSchema, fieldIds = true) => {
  const { bytes } = await writeRows(nested, nestedRows, { fieldIds });
  return rowsOf((await openBytes(bytes)).readAs(schema));
};

test('reads as a table that has evolved: renamed, added, dropped and widened columns', async () => {
  const place: TableSchema['fields'][number]['type'] = {
    kind: 'struct',
    fields: [
      { id: 40, name: 'country', type: { kind: 'string' }, required: false },
      { id: 21, name: 'floor', type: { kind: 'long' }, required: false },
    ],
  };
  const field = (id: number, name: string, type: TableSchema['fields'][number]['type']) => ({
    id,
    name,
    type,
    required: false,
  });
  const evolved: TableSchema = {
    schemaId: 1,
    lastColumnId: 50,
    fields: [
      field(5, 'where', place),
      field(1, 'id', { kind: 'long' }),
      field(50, 'added', {
        kind: 'map',
        keyId: 51,
        key: { kind: 'string' },
        valueId: 52,
        value: { kind: 'int' },
        valueRequired: true,
      }),
      field(2, 'amount', { kind: 'decimal', precision: 25, scale: 2 }),
      field(3, 'rate', { kind: 'double' }),
      field(4, 'day', { kind: 'timestamp', adjusted: false }),
      field(6, 'codes', { kind: 'list', elementId: 30, element: { kind: 'long' }, elementRequired: false }),
    ],
  };
  expect(await readAs(evolved)).toEqual([
    {
      where: { country: null, floor: 3n },
      id: 1n,
      added: null,
      amount: -150n,
      rate: 0.5,
      day: -86_400_000_000n,
      codes: [1n, null, -2n],
    },
    { where: null, id: 2n, added: null, amount: null, rate: null, day: null, codes: null },
    {
      where: { country: null, floor: null },
      id: 3n,
      added: null,
      amount: 7n,
      rate: -2,
      day: 31_536_000_000_000n,
      codes: [],
    },
  ]);
});

test('a struct of which no field is wanted still says where it is null', async () => {
  const fields = [{ id: 40, name: 'new', type: { kind: 'int' as const }, required: false }];
  const schema: TableSchema = {
    schemaId: 1,
    lastColumnId: 40,
    fields: [{ id: 5, name: 'place', type: { kind: 'struct', fields }, required: false }],
  };
  expect(await readAs(schema)).toEqual([{ place: { new: null } }, { place: null }, { place: { new: null } }]);
});

test('a file without ids is matched by name', async () => {
  const schema: TableSchema = { schemaId: 1, lastColumnId: 9, fields: [{ ...nested.fields[0]!, id: 9 }] };
  expect(await readAs(schema, false)).toEqual([{ key: 1 }, { key: 2 }, { key: 3 }]);
});

test('refuses what can be read only wrongly, and columns that are not there', async () => {
  const one = (type: TableSchema['fields'][number]['type'], required = false): TableSchema => ({
    schemaId: 1,
    lastColumnId: 99,
    fields: [{ id: required ? 99 : 2, name: 'x', type, required }],
  });
  await expect(readAs(one({ kind: 'int' }))).rejects.toMatchObject({ kind: 'invalid', code: 'parquet-type-mismatch' });
  await expect(readAs(one({ kind: 'decimal', precision: 12, scale: 3 }))).rejects.toMatchObject({ kind: 'invalid' });
  await expect(readAs(one({ kind: 'int' }, true))).rejects.toMatchObject({ code: 'parquet-column-missing' });
  const { bytes } = await writeRows(nested, nestedRows);
  const opened = await openBytes(bytes);
  expect(() => opened.read({ columns: [1, 77] })).toThrow(/no column with id 77/);
  expect(await rowsOf(opened.read({ columns: [6, 1] }))).toEqual(nestedRows.map(({ key, codes }) => ({ key, codes })));
});

test('reads no more of a file than it needs', async () => {
  const { bytes } = await writeRows(nested, nestedRows);
  const reads: number[] = [];
  const read = async (start: number, end: number) => {
    reads.push(end - start);
    return bytes.subarray(start, end);
  };
  const opened = await openParquet({ size: bytes.length, read });
  await rowsOf(opened.read({ columns: [1] }));
  expect(reads).toHaveLength(2);
  expect(reads[1]).toBeLessThan(60);
});

test('says what is no Parquet file, or an encrypted one', async () => {
  await expect(openBytes(new Uint8Array(5))).rejects.toMatchObject({ kind: 'corrupt' });
  await expect(openBytes(new Uint8Array(100))).rejects.toMatchObject({ kind: 'corrupt' });
  await expect(openBytes(Buffer.from('PAR1xxxxxxxxxxxxPARE'))).rejects.toMatchObject({ kind: 'unsupported' });
  const { bytes } = await writeRows(nested, nestedRows);
  await expect(openBytes(bytes.subarray(0, bytes.length - 1))).rejects.toMatchObject({ kind: 'corrupt' });
});

test('broken bytes never lead to anything but an error that says so', async () => {
  const own = await Promise.all(
    (['zstd', 'snappy', 'gzip', 'none'] as const).map(
      async (codec) => (await writeRows(nested, nestedRows, { codec })).bytes,
    ),
  );
  const files = [...own, ...Object.values(PYARROW_FILES).map((text) => Buffer.from(text, 'base64'))];
  let state = 20_261_122;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let refused = 0;
  for (let n = 0; n < 2000; n++) {
    const bytes = Uint8Array.from(files[n % files.length]!);
    for (let times = 1 + random(3); times > 0; times--)
      bytes[random(bytes.length)] = random(3) === 0 ? 255 : random(256);
    try {
      await rowsOf(
        (
          await openParquet(
            { size: bytes.length, read: async (a, b) => bytes.subarray(a, b) },
            { maxPageBytes: 1 << 20 },
          )
        ).read(),
      );
    } catch (error) {
      refused++;
      if (!(error instanceof MillraceError) || !['corrupt', 'unsupported'].includes(error.kind)) throw error;
    }
  }
  expect(refused).toBeGreaterThan(500);
});
