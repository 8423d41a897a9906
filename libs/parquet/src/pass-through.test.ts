import type { ColumnType, TableSchema } from '@millrace/schema';
import { expect, test } from 'vitest';
import { openBytes, rowsOf, tableOf, writeRows } from './memory-file.fixture.ts';
import { readFileMetadata } from './metadata-reader.ts';
import type { ParquetBatch } from './parquet-batch.ts';
import type { Row } from './rows.ts';
import { createParquetWriter } from './writer.ts';
import type { ParquetWriterOptions } from './writer-options.ts';

// Small files into one: what is read goes into the writer as levels, values and entries of dictionaries.

const list = (element: ColumnType, elementRequired = false): ColumnType => ({
  kind: 'list',
  elementId: 50,
  element,
  elementRequired,
});
const schema: TableSchema = tableOf(
  {
    id: { kind: 'int' },
    status: { kind: 'string' },
    customer: { kind: 'long' },
    price: { kind: 'double' },
    paid: { kind: 'boolean' },
    amount: { kind: 'decimal', precision: 30, scale: 2 },
    note: { kind: 'string' },
    items: list({
      kind: 'struct',
      fields: [
        { id: 60, name: 'sku', type: { kind: 'string' }, required: false },
        {
          id: 61,
          name: 'codes',
          type: { ...list({ kind: 'int' }, true), elementId: 63 } as ColumnType,
          required: false,
        },
        { id: 62, name: 'weight', type: { kind: 'float' }, required: true },
      ],
    }),
  },
  ['id'],
);

const rowOf = (i: number): Row => ({
  id: i,
  status: ['NEW', 'PAID', 'DONE'][i % 3]!,
  customer: i % 8 === 2 ? null : BigInt((i * 7919) % 40) * 2n ** 40n,
  price: i % 5 === 1 ? null : ((i * 31) % 60) / 4,
  paid: i % 6 === 0 ? null : i % 2 === 0,
  amount: i % 9 === 0 ? null : BigInt(i % 20) - 10n,
  note: i % 3 === 0 ? null : `note number ${i} of many`,
  items:
    i % 10 === 4
      ? null
      : Array.from({ length: i % 4 }, (_, n) =>
          (i + n) % 7 === 0
            ? null
            : {
                sku: n === 1 ? null : `SKU-${(i * n) % 25}`,
                codes: i % 4 === 1 ? null : [i, n].slice(n % 3),
                weight: n / 2,
              },
        ),
});

const rows = Array.from({ length: 3000 }, (_, i) => rowOf(i));

async function inputs(options: ParquetWriterOptions, of: TableSchema = schema): Promise<Uint8Array[]> {
  const files: Uint8Array[] = [];
  for (let from = 0; from < rows.length; from += 500)
    files.push((await writeRows(of, rows.slice(from, from + 500), options)).bytes);
  return files;
}

async function rewritten(
  files: Uint8Array[],
  options: ParquetWriterOptions,
  as: TableSchema,
  batchRows?: number,
): Promise<{ bytes: Uint8Array; batches: number; passed: number }> {
  const parts: Uint8Array[] = [];
  const writer = createParquetWriter({ schema: as, sink: async (bytes) => void parts.push(bytes.slice()), options });
  let batches = 0;
  let passed = 0;
  for (const bytes of files) {
    const read: AsyncIterable<ParquetBatch> = (await openBytes(bytes)).readAs(as, batchRows ? { batchRows } : {});
    for await (const batch of read) {
      batches++;
      if (batch.leaves() !== undefined) passed++;
      await writer.append(batch);
    }
  }
  await writer.finish();
  return { bytes: Buffer.concat(parts), batches, passed };
}

test.each<[string, ParquetWriterOptions, ParquetWriterOptions, number | undefined]>([
  ['whole batches', {}, {}, undefined],
  ['batches and pages that cross each other', { pageRows: 70 }, { pageRows: 110, rowGroupRows: 900 }, 43],
  ['V2 pages', { pageVersion: 2, pageRows: 120 }, { pageVersion: 2 }, 100],
  ['deltas into dictionaries', { encodings: 'compact' }, {}, 300],
  ['dictionaries into deltas', { pageBytes: 500 }, { encodings: 'compact', pageBytes: 4000 }, undefined],
])('the same rows, none of them a vector: %s', async (_, from, to, batchRows) => {
  const { bytes, batches, passed } = await rewritten(await inputs(from), to, schema, batchRows);
  expect(passed).toBe(batches);
  expect(await rowsOf((await openBytes(bytes)).read())).toEqual(rows);
});

test('statistics and dictionaries are those of a file that was written from the rows', async () => {
  const direct = await writeRows(schema, rows, { rowGroupRows: 1000, pageRows: 1000 });
  const { bytes } = await rewritten(await inputs({}), { rowGroupRows: 1000, pageRows: 1000 }, schema);
  expect(bytes.length).toBeLessThan(direct.bytes.length * 1.02);
  const again = await writeRows(schema, await rowsOf((await openBytes(bytes)).read()), {
    rowGroupRows: 1000,
    pageRows: 1000,
  });
  expect(again.stats.columns.map(({ sizeBytes, ...rest }) => rest)).toEqual(
    direct.stats.columns.map(({ sizeBytes, ...rest }) => rest),
  );
});

test('columns that a file lacks, or has narrower, pass too; a struct that has grown is built as vectors', async () => {
  const field = (id: number, name: string, type: ColumnType, required = false) => ({ id, name, type, required });
  const files = await inputs({});
  const grown: TableSchema = {
    ...schema,
    fields: [
      field(1, 'id', { kind: 'long' }, true),
      field(90, 'added', list({ kind: 'string' })),
      field(2, 'state', { kind: 'string' }),
      field(91, 'more', { kind: 'uuid' }),
    ],
  };
  const expected = rows.map((row) => ({
    id: BigInt(row['id'] as number),
    added: null,
    state: row['status'],
    more: null,
  }));
  const passed = await rewritten(files, {}, grown);
  expect(passed.passed).toBe(passed.batches);
  expect(await rowsOf((await openBytes(passed.bytes)).read())).toEqual(expected);

  const items = schema.fields[7]!.type as Extract<ColumnType, { kind: 'list' }>;
  const struct = items.element as Extract<ColumnType, { kind: 'struct' }>;
  const wider = { ...items, element: { ...struct, fields: [...struct.fields, field(95, 'size', { kind: 'int' })] } };
  const built = await rewritten(files, {}, { ...schema, fields: [field(8, 'items', wider)] });
  expect(built.passed).toBe(0);
  expect(await rowsOf((await openBytes(built.bytes)).read())).toEqual(
    rows.map(({ items }) => ({
      items: (items as (object | null)[] | null)?.map((item) => item && { ...item, size: null }) ?? null,
    })),
  );
});

test('columns of one list that contradict each other are not passed on, but refused', async () => {
  const pairs = tableOf({
    pairs: list({
      kind: 'struct',
      fields: [
        { id: 60, name: 'a', type: { kind: 'int' }, required: true },
        { id: 61, name: 'b', type: { kind: 'int' }, required: true },
      ],
    }),
  });
  const bytesOf = async (counts: number[]) => {
    const written = counts.map((count) => ({ pairs: Array.from({ length: count }, (_, n) => ({ a: n, b: n })) }));
    return (await writeRows(pairs, written, { codec: 'none', columns: plain })).bytes;
  };
  const plain = Object.fromEntries(
    ['a', 'b'].map((name) => [`pairs.list.element.${name}`, { encoding: 'plain' as const }]),
  );
  const one = Uint8Array.from(await bytesOf([1, 3, 2]));
  const other = await bytesOf([1, 2, 3]);
  // The same number of levels, so the second column of one file fits into the other.
  expect(other.length).toBe(one.length);
  const footerBytes = Buffer.from(one).readUInt32LE(one.length - 8);
  const footer = readFileMetadata(one.subarray(one.length - 8 - footerBytes, one.length - 8));
  const { dataPageOffset, compressedBytes } = footer.rowGroups[0]!.chunks[1]!;
  one.set(other.subarray(dataPageOffset, dataPageOffset + compressedBytes), dataPageOffset);
  const batches = (await openBytes(one)).read();
  await expect(rowsOf(batches)).rejects.toMatchObject({ kind: 'corrupt' });
  await expect(rewritten([one], {}, pairs)).rejects.toMatchObject({ kind: 'corrupt' });
});
