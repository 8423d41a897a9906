import { MillraceError } from '@millrace/base';
import type { TableSchema } from '@millrace/schema';
import { expect, test } from 'vitest';
import { openBytes, rowsOf, tableOf, writeRows } from './memory-file.fixture.ts';
import type { Predicate } from './predicate.ts';
import { openParquet } from './reader.ts';
import { type Row, rowsFromBatch } from './rows.ts';

const schema: TableSchema = tableOf(
  {
    id: { kind: 'long' },
    price: { kind: 'double' },
    name: { kind: 'string' },
    amount: { kind: 'decimal', precision: 25, scale: 2 },
    place: {
      kind: 'struct',
      fields: [
        { id: 20, name: 'city', type: { kind: 'string' }, required: false },
        { id: 21, name: 'floor', type: { kind: 'int' }, required: false },
      ],
    },
    tags: { kind: 'list', elementId: 30, element: { kind: 'string' }, elementRequired: false },
  },
  ['id'],
);

const rows: Row[] = Array.from({ length: 900 }, (_, i) => ({
  id: BigInt(i * 3),
  price: i % 50 === 7 ? Number.NaN : i % 9 === 4 ? null : (i % 100) / 4,
  name: i % 11 === 5 ? null : `name ${String(i % 300).padStart(3, '0')} ${'é'.repeat(i % 20)}`,
  amount: i % 4 === 0 ? null : BigInt(i - 450) * 10n ** 15n,
  place: i % 7 === 3 ? null : { city: i % 5 === 0 ? null : `city ${i % 40}`, floor: i % 13 },
  tags: i % 6 === 5 ? null : Array.from({ length: i % 5 }, (_, n) => (n === 2 ? null : `t${n}`)),
}));

// Pages that end by bytes end at other rows in each column.
const written = writeRows(schema, rows, {
  rowGroupRows: 400,
  pageRows: 37,
  pageBytes: 300,
  batchRows: 23,
  columns: { id: { bloomFilter: true } },
});

async function open(): Promise<{ file: Awaited<ReturnType<typeof openParquet>>; fetched: () => number; size: number }> {
  const { bytes } = await written;
  let total = 0;
  const read = async (start: number, end: number) => {
    total += end - start;
    return bytes.subarray(start, end);
  };
  const file = await openParquet({ size: bytes.length, read });
  total = 0;
  return { file, fetched: () => total, size: bytes.length };
}

const text = (row: Row) => row['name'] as string | null;
const place = (row: Row) => row['place'] as { city: string | null; floor: number } | null;

test.each<[string, Predicate[], (row: Row) => boolean]>([
  ['a key', [{ column: 1, op: '=', value: 600 }], (row) => row['id'] === 600n],
  ['a key between keys', [{ column: 'id', op: '=', value: 601n }], () => false],
  ['a key beyond 64 bits', [{ column: 'id', op: '=', value: 2n ** 64n }], () => false],
  [
    'some keys',
    [{ column: 'id', op: 'in', values: [3, 1200n, 1199n, 2697] }],
    (row) => [3n, 1200n, 2697n].includes(row['id'] as bigint),
  ],
  ['no keys', [{ column: 'id', op: 'in', values: [] }], () => false],
  ['numbers, NaN among them', [{ column: 'price', op: '>=', value: 24 }], (row) => (row['price'] as number) >= 24],
  ['NaN', [{ column: 'price', op: '=', value: Number.NaN }], () => false],
  ['zero', [{ column: 'price', op: '=', value: -0 }], (row) => row['price'] === 0],
  ['strings', [{ column: 'name', op: '<', value: 'name 010' }], (row) => text(row) !== null && text(row)! < 'name 010'],
  ['nulls', [{ column: 'name', op: 'is-null' }], (row) => text(row) === null],
  [
    'wide decimals',
    [{ column: 'amount', op: '<', value: -400n * 10n ** 15n }],
    (row) => row['amount'] !== null && (row['amount'] as bigint) < -400n * 10n ** 15n,
  ],
  [
    'fields of a struct, two at once',
    [
      { column: 'place.city', op: 'not-null' },
      { column: 21, op: '<=', value: 2 },
    ],
    (row) => place(row)?.city != null && place(row)!.floor <= 2,
  ],
])('finds exactly the rows that fulfil a predicate: %s', async (_, where, fulfils) => {
  const { file } = await open();
  const found: Row[] = [];
  const numbers: number[] = [];
  for await (const batch of file.read({ where, batchRows: 50 })) {
    found.push(...rowsFromBatch(batch));
    for (const { start, end } of batch.rows) for (let row = start; row < end; row++) numbers.push(row);
  }
  expect(found).toEqual(rows.filter(fulfils));
  expect(found).toEqual(numbers.map((row) => rows[row]));
});

test('reads exactly the rows that are asked for, whatever pages they lie in', async () => {
  const { file } = await open();
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let n = 0; n < 40; n++) {
    const ranges = Array.from({ length: 1 + random(5) }, () => {
      const start = random(900);
      return { start, end: start + random(60) };
    });
    const expected = rows.filter((_, row) => ranges.some(({ start, end }) => row >= start && row < end));
    expect(await rowsOf(file.read({ rows: ranges, batchRows: 1 + random(100) }))).toEqual(expected);
  }
});

test('of a file only the pages are fetched that may hold what is asked for', async () => {
  const { file, fetched, size } = await open();
  await rowsOf(file.read({ where: [{ column: 'id', op: '=', value: 900 }], columns: ['id', 'place.floor'] }));
  expect(fetched()).toBeLessThan(size / 2);
  const afterHit = fetched();
  // The statistics of both other row groups, and of this one its bloom filter, say no.
  await rowsOf(file.read({ where: [{ column: 'id', op: '=', value: 901 }] }));
  expect(fetched() - afterHit).toBeLessThan(2048);
  const afterMiss = fetched();
  await rowsOf(file.read({ where: [{ column: 'id', op: '>', value: 10_000 }] }));
  expect(fetched()).toBe(afterMiss);
});

test('columns are picked at any depth, by id or by name', async () => {
  const { file } = await open();
  const found = await rowsOf(file.read({ columns: [21, 'tags.element'], batchRows: 100 }));
  expect(found).toEqual(rows.map((row) => ({ place: place(row) && { floor: place(row)!.floor }, tags: row['tags'] })));
  expect(() => file.read({ columns: ['place.street'] })).toThrow(/no column "place.street"/);
  await expect(rowsOf(file.read({ where: [{ column: 'tags.element', op: 'is-null' }] }))).rejects.toThrow(/predicate/);
  await expect(rowsOf(file.read({ where: [{ column: 'id', op: '=', value: 'x' }] }))).rejects.toThrow(/compared/);
});

test('a checksum that is wrong names the column and the page, unless checksums are not to be looked at', async () => {
  const { bytes } = await writeRows(schema, rows, { codec: 'none', pageChecksums: true, pageRows: 300 });
  const broken = Uint8Array.from(bytes);
  // The last character of a name in the first page: still UTF-8.
  const at = Buffer.from(broken).indexOf('name 001');
  broken[at + 7] = 0x39;
  const source = { size: broken.length, read: async (start: number, end: number) => broken.subarray(start, end) };
  await expect(rowsOf((await openParquet(source, { name: 'x.parquet' })).read())).rejects.toMatchObject({
    kind: 'corrupt',
    context: { file: 'x.parquet', rowGroup: '0', column: 'name' },
    message: expect.stringMatching(/checksum.*column name.*page 0/),
  });
  expect(await rowsOf((await openParquet(source, { verifyChecksums: false })).read())).toHaveLength(rows.length);
});

test('strings that are no UTF-8 are refused', async () => {
  const { bytes } = await writeRows(schema, rows, { codec: 'none' });
  const broken = Uint8Array.from(bytes);
  broken[Buffer.from(broken).indexOf('name 001') + 7] = 0xe9;
  await expect(rowsOf((await openBytes(broken)).read())).rejects.toMatchObject({ kind: 'corrupt' });
});

test('broken indexes, filters and pages lead to an error that says so, or to fewer rows, never further', async () => {
  const { bytes } = await written;
  let state = 3;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const where: Predicate[] = [{ column: 'id', op: 'in', values: [300, 303, 2000] }];
  let refused = 0;
  for (let n = 0; n < 600; n++) {
    let broken = Uint8Array.from(bytes);
    if (n % 5 === 0) broken = broken.subarray(random(broken.length));
    // Half of the flips in the last part, where footer and indexes are.
    for (let times = 0; times < 3; times++) {
      const from = n % 2 === 0 ? Math.floor(broken.length * 0.6) : 0;
      if (broken.length > 0) broken[from + random(broken.length - from)] = random(3) === 0 ? 255 : random(256);
    }
    try {
      await rowsOf((await openBytes(broken)).read({ where }));
    } catch (error) {
      refused++;
      // A name or a type in the footer may have become another one.
      const kinds = ['corrupt', 'unsupported', 'invalid'];
      if (!(error instanceof MillraceError) || !kinds.includes(error.kind)) throw error;
    }
  }
  expect(refused).toBeGreaterThan(200);
});
