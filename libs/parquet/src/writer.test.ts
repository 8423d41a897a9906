import { decodeSingleValue } from '@millrace/schema';
import { expect, test } from 'vitest';
import { openBytes, rowsOf, tableOf, writeRows } from './memory-file.fixture.ts';
import { readFileMetadata } from './metadata-reader.ts';
import type { Row } from './rows.ts';

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const footer = (bytes: Uint8Array) => {
  const length = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8).getUint32(0, true);
  return readFileMetadata(bytes.subarray(bytes.length - 8 - length, bytes.length - 8));
};

test('a file of no rows is a file', async () => {
  const schema = tableOf({ a: { kind: 'int' } });
  const { bytes, stats } = await writeRows(schema, []);
  expect(stats).toEqual({
    sizeBytes: bytes.length,
    recordCount: 0,
    rowGroupOffsets: [],
    columns: [{ fieldId: 1, sizeBytes: 0, valueCount: 0, nullCount: 0 }],
  });
  expect(await rowsOf((await openBytes(bytes)).read())).toEqual([]);
});

test('a struct without fields can be in no file', () => {
  const schema = tableOf({ a: { kind: 'struct', fields: [] } });
  return expect(writeRows(schema, [])).rejects.toMatchObject({ kind: 'invalid', code: 'parquet-empty-struct' });
});

test('bounds are those of Iceberg: decimals big endian, strings cut at 16 characters, zeros signed, NaN left out', async () => {
  const schema = tableOf({
    amount: { kind: 'decimal', precision: 12, scale: 2 },
    wide: { kind: 'decimal', precision: 30, scale: 2 },
    text: { kind: 'string' },
    blob: { kind: 'binary' },
    ratio: { kind: 'double' },
    nothing: { kind: 'long' },
    tags: { kind: 'list', elementId: 50, element: { kind: 'string' }, elementRequired: true },
  });
  const { stats } = await writeRows(schema, [
    { amount: -300n, wide: -1n, text: `ä${'x'.repeat(20)}`, blob: Buffer.alloc(20, 255), ratio: 0, tags: ['a'] },
    { amount: 127n, wide: 2n ** 70n, text: 'é\u{10ffff}'.padEnd(40, 'z'), blob: Buffer.from([1]), ratio: Number.NaN },
    { amount: null, wide: null, text: null, blob: null, ratio: -0, tags: null },
  ]);
  const [amount, wide, text, blob, ratio, nothing, tags] = stats.columns;
  expect([hex(amount!.lowerBound), hex(amount!.upperBound)]).toEqual(['fed4', '7f']);
  expect([hex(wide!.lowerBound), hex(wide!.upperBound)]).toEqual(['ff', `40${'00'.repeat(8)}`]);
  expect(decodeSingleValue({ kind: 'string' }, text!.lowerBound!)).toBe(`ä${'x'.repeat(15)}`);
  expect(decodeSingleValue({ kind: 'string' }, text!.upperBound!)).toBe(`é\u{10ffff}${'z'.repeat(13)}{`);
  expect([hex(blob!.lowerBound), blob!.upperBound]).toEqual(['01', undefined]);
  expect([hex(ratio!.lowerBound), hex(ratio!.upperBound)]).toEqual(['0000000000000080', '0000000000000000']);
  expect(ratio).toMatchObject({ valueCount: 3, nullCount: 0, nanCount: 1 });
  expect(nothing).toEqual({ fieldId: 6, sizeBytes: nothing!.sizeBytes, valueCount: 3, nullCount: 3 });
  expect(tags).toEqual({ fieldId: 50, sizeBytes: tags!.sizeBytes, valueCount: 3, nullCount: 2 });
});

test('an upper bound carries over characters that have no next one', async () => {
  const schema = tableOf({ text: { kind: 'string' } });
  const upper = async (text: string) => (await writeRows(schema, [{ text }])).stats.columns[0]!.upperBound;
  expect(hex(await upper(`a${'\u{10ffff}'.repeat(20)}`))).toBe('62');
  expect(await upper('\u{10ffff}'.repeat(20))).toBeUndefined();
  expect(hex(await upper(`${'a'.repeat(15)}\ud7ffb`))).toBe(`${'61'.repeat(15)}ee8080`);
  // A leading byte order mark is a character like any other.
  expect(hex(await upper(`\ufeff${'a'.repeat(20)}`))).toBe(`efbbbf${'61'.repeat(14)}62`);
});

test('a chunk leaves its dictionary when that stops paying, and tells its encodings', async () => {
  const schema = tableOf({
    few: { kind: 'string' },
    many: { kind: 'string' },
    grows: { kind: 'string' },
    id: { kind: 'long' },
    code: { kind: 'int' },
  });
  const rows: Row[] = Array.from({ length: 60_000 }, (_, i) => ({
    few: i % 50 === 0 ? null : `value ${i % 7}`,
    many: `${i}-${Math.imul(i, 2_654_435_761)}`,
    grows: i < 25_000 ? `start ${i % 10}` : `${'later '.repeat(8)}${i}`,
    id: BigInt(i) * 1_000_003n,
    code: i % 1000,
  }));
  const { bytes } = await writeRows(schema, rows, { batchRows: 7000 });
  const encodings = footer(bytes).rowGroups[0]!.chunks.map((chunk) => chunk.encodings);
  const [plain, dictionary, mixed] = [
    [0, 3],
    [0, 3, 8],
    [0, 3, 8],
  ];
  expect(encodings).toEqual([dictionary, plain, mixed, plain, dictionary]);
  const stats = footer(bytes).rowGroups[0]!.chunks[2]!.encodingStats.filter((page) => page.pageType === 0);
  expect(stats.map((page) => page.encoding).sort()).toEqual([0, 8]);
  expect(await rowsOf((await openBytes(bytes)).read())).toEqual(rows);
});

test('a chunk that ends with its first page is judged by what it holds, not by what a row group might', async () => {
  const schema = tableOf({ text: { kind: 'string' }, number: { kind: 'long' } });
  let state = 1;
  const rowsOfLength = (length: number): Row[] =>
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const number = state >>> 19;
      return { text: `${number + 10_000}`, number: BigInt(number) };
    });
  const encodings = async (length: number) => {
    const { bytes } = await writeRows(schema, rowsOfLength(length), { batchRows: 3000 });
    return footer(bytes).rowGroups[0]!.chunks.map((chunk) => chunk.encodings);
  };
  expect(await encodings(7000)).toEqual([
    [0, 3],
    [0, 3],
  ]);
  expect(await encodings(60_000)).toEqual([
    [0, 3, 8],
    [0, 3, 8],
  ]);
});

test('columns that are null for long stretches, or for whole batches, keep their values', async () => {
  const schema = tableOf({
    text: { kind: 'string' },
    long: { kind: 'long' },
    int: { kind: 'int' },
    none: { kind: 'string' },
  });
  const rows: Row[] = Array.from({ length: 12_000 }, (_, i) => {
    const shown = i > 3000 && i < 9000 ? i % 97 === 0 : i % 2500 === 7;
    const value = shown
      ? { text: `${i % 11}`, long: BigInt(i) << 33n, int: -i }
      : { text: null, long: null, int: null };
    return { ...value, none: null };
  });
  for (const options of [{ batchRows: 500 }, { batchRows: 777, pageRows: 1000 }]) {
    const { bytes } = await writeRows(schema, rows, options);
    expect(await rowsOf((await openBytes(bytes)).read())).toEqual(rows);
  }
});

test('row groups end by rows and by bytes, and the estimate follows the file', async () => {
  const schema = tableOf({ text: { kind: 'string' } });
  const rows = Array.from({ length: 5000 }, (_, i) => ({ text: `${i}`.padStart(200, `${Math.imul(i, 40_503)}`) }));
  const byRows = await writeRows(schema, rows, { rowGroupRows: 1200, codec: 'none' });
  const file = await openBytes(byRows.bytes);
  expect(file.rowGroups.map((group) => group.rowCount)).toEqual([1200, 1200, 1200, 1200, 200]);
  expect(byRows.stats.rowGroupOffsets).toEqual(file.rowGroups.map((group) => group.offset));
  expect(await rowsOf(file.read({ rowGroups: [4, 1] }))).toEqual([...rows.slice(4800), ...rows.slice(1200, 2400)]);
  const byBytes = await writeRows(schema, rows, { rowGroupBytes: 400_000, codec: 'none' });
  expect((await openBytes(byBytes.bytes)).rowGroups.map((group) => group.rowCount)).toEqual([2000, 2000, 1000]);
});

test('long values end pages early, and every page has its place in the index', async () => {
  const schema = tableOf({ blob: { kind: 'binary' } });
  const rows = Array.from({ length: 40 }, (_, i) => ({ blob: new Uint8Array(100_000).fill(i) }));
  const { bytes } = await writeRows(schema, rows, { codec: 'none' });
  const [chunk] = footer(bytes).rowGroups[0]!.chunks;
  expect(chunk!.encodingStats.reduce((pages, { count }) => pages + count, 0)).toBe(4);
  expect(chunk!.columnIndex!.offset).toBe(chunk!.dataPageOffset + chunk!.compressedBytes);
  // The values are long: bounds in the footer and in the index are cut, and say so.
  expect([hex(chunk!.min!.value), chunk!.min!.exact]).toEqual(['00'.repeat(64), false]);
  expect(await rowsOf((await openBytes(bytes)).read({ batchRows: 3 }))).toEqual(rows);
});

test('a page of nothing but NaN has no ColumnIndex; ids and metadata are left out or put in as asked', async () => {
  const schema = tableOf({ x: { kind: 'float' }, y: { kind: 'float' } });
  const { bytes } = await writeRows(schema, [{ x: Number.NaN, y: 1 }], {
    fieldIds: false,
    keyValueMetadata: { 'iceberg.schema': '{}' },
  });
  const metadata = footer(bytes);
  const [x, y] = metadata.rowGroups[0]!.chunks;
  expect([x!.columnIndex, x!.min, x!.offsetIndex !== undefined]).toEqual([undefined, undefined, true]);
  expect(y!.columnIndex).toBeDefined();
  expect(metadata).toMatchObject({ keyValueMetadata: { 'iceberg.schema': '{}' }, createdBy: 'millrace version 0.1.0' });
  expect(metadata.elements.every((element) => element.fieldId === undefined)).toBe(true);
  expect((await openBytes(bytes)).hasFieldIds).toBe(false);
});

test('an error of the sink is the writer’s', async () => {
  const schema = tableOf({ a: { kind: 'int' } });
  const { createParquetWriter } = await import('./writer.ts');
  const writer = createParquetWriter({ schema, sink: () => Promise.reject(new Error('disk full')) });
  await expect(writer.finish()).rejects.toThrow('disk full');
});
