import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { readBloomFilter } from './bloom-filter.ts';
import { openBytes, rowsOf, tableOf, writeRows } from './memory-file.fixture.ts';
import { readFileMetadata } from './metadata-reader.ts';
import { readerLimits } from './reader-limits.ts';
import { type Row, vectorsFromRows } from './rows.ts';
import { readThrift } from './thrift-reader.ts';
import { createParquetWriter } from './writer.ts';
import type { ParquetWriterOptions } from './writer-options.ts';

const footer = (bytes: Uint8Array) => {
  const length = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8).getUint32(0, true);
  return readFileMetadata(bytes.subarray(bytes.length - 8 - length, bytes.length - 8));
};
const schema = tableOf({
  id: { kind: 'long' },
  name: { kind: 'string' },
  flag: { kind: 'boolean' },
  tags: { kind: 'list', elementId: 50, element: { kind: 'string' }, elementRequired: true },
});
const rows: Row[] = Array.from({ length: 3000 }, (_, i) => ({
  id: BigInt(i),
  name: i % 2 === 0 ? `name ${i}` : null,
  flag: i % 3 === 0,
  tags: [`tag ${i % 7}`],
}));
const create = (options: ParquetWriterOptions) => createParquetWriter({ schema, sink: async () => {}, options });

test.for<[ParquetWriterOptions, RegExp]>([
  [{ columns: { nome: {} } }, /no column "nome": its columns are id, name, flag, tags.list.element/],
  [{ columns: { name: { encoding: 'delta_binary_packed' } } }, /"name" of type string .* choose one of plain, rle_dic/],
  [{ columns: { flag: { bloomFilter: true } } }, /"flag" of type boolean can have no Bloom filter/],
  [{ codec: 'zstd', codecLevel: 23 }, /23 is not one of zstd's 1 to 22/],
  [{ codec: 'snappy', codecLevel: 1 }, /snappy has no levels/],
  [
    { sortingColumns: [{ column: 'tags.list.element' }] },
    /no column "tags.list.element": its columns are id, name, flag$/,
  ],
  [{ readers: ['trino'], pageVersion: 2 }, /"trino" is not known to read data pages of version 2/],
  [{ readers: ['pyarrow', 'starrocks'], codec: 'lz4_raw' }, /"starrocks" is not known to read the codec lz4_raw/],
  [
    { readers: ['spark'], columns: { flag: { encoding: 'rle' } } },
    /"spark" cannot read the encoding rle of column "flag"/,
  ],
  [
    { readers: ['duckdb'], columns: { id: { encoding: 'byte_stream_split' } } },
    /"duckdb" cannot read .*byte_stream_split/,
  ],
])('%j is refused with the reason', ([options, message]) => {
  expect(() => create(options)).toThrow(message);
});

test('compact is what all readers read of it', async () => {
  const encodings = async (readers: string[]) => {
    const { bytes } = await writeRows(schema, rows, { encodings: 'compact', readers });
    return footer(bytes).rowGroups[0]!.chunks.map((chunk) => chunk.encodings);
  };
  expect(await encodings(['pyarrow'])).toEqual([[3, 5], [3, 7], [3], [0, 3, 8]]);
  expect(await encodings(['pyarrow', 'spark'])).toEqual([
    [3, 5],
    [3, 7],
    [0, 3],
    [0, 3, 8],
  ]);
  expect(await encodings(['pyarrow', 'another'])).toEqual([
    [0, 3],
    [0, 3],
    [0, 3],
    [0, 3, 8],
  ]);
  expect(readerLimits(['pyarrow', 'trino']).codecs).toEqual(['zstd', 'snappy', 'gzip', 'none']);
});

test('a filter rules out what is not in its row group, whether the chunk has a dictionary or not', async () => {
  const bloomFilter = { falsePositiveRate: 0.0001 };
  const columns = { id: { bloomFilter }, name: { bloomFilter }, 'tags.list.element': { bloomFilter } };
  const { bytes } = await writeRows(schema, rows, { columns, rowGroupRows: 1000 });
  const groups = footer(bytes).rowGroups.map(({ chunks }) =>
    chunks.map(
      ({ bloomFilter: place }) => place && readBloomFilter(bytes.subarray(place.offset, place.offset + place.length)),
    ),
  );
  const long = (value: bigint) => new Uint8Array(BigInt64Array.of(value).buffer);
  expect(groups.map(([id]) => id!.mightContain(long(1500n)))).toEqual([false, true, false]);
  expect(groups.map(([, name]) => name!.mightContain(Buffer.from('name 2998')))).toEqual([false, false, true]);
  expect(groups.map(([, , , tag]) => tag!.mightContain(Buffer.from('tag 6')))).toEqual([true, true, true]);
  expect(groups.map(([, , , tag]) => tag!.mightContain(Buffer.from('tag 7')))).toEqual([false, false, false]);
  expect(groups.map(([, , flag]) => flag)).toEqual([undefined, undefined, undefined]);
});

test('a declared order is in the footer, and refused when the pages show that it is not there', async () => {
  const write = (options: ParquetWriterOptions, of = rows) => writeRows(schema, of, { pageRows: 100, ...options });
  const { bytes } = await write({
    sortingColumns: [{ column: 'id' }, { column: 'name', descending: true }],
    rowGroupRows: 2000,
  });
  expect(footer(bytes).rowGroups.map((group) => group.sorting)).toEqual(
    [0, 1].map(() => [
      { column: 0, descending: false, nullsFirst: true },
      { column: 1, descending: true, nullsFirst: false },
    ]),
  );
  const unsorted = { kind: 'invalid', code: 'parquet-not-sorted' };
  await expect(write({ sortingColumns: [{ column: 'id', descending: true }] })).rejects.toMatchObject(unsorted);
  await expect(write({ sortingColumns: [{ column: 'name' }] })).rejects.toMatchObject(unsorted);
  const descending = rows.toReversed();
  await write({ sortingColumns: [{ column: 'id', descending: true }] }, descending);
  const nullsFirst = [...rows.slice(0, 500).map((row) => ({ ...row, id: null })), ...rows];
  await write({ sortingColumns: [{ column: 'id' }] }, nullsFirst);
  const nullsLast = { sortingColumns: [{ column: 'id', nullsFirst: false }] };
  await expect(write(nullsLast, nullsFirst)).rejects.toMatchObject(unsorted);
});

test('every page says its CRC-32; a V2 page that compression makes no smaller is not compressed', async () => {
  for (const pageVersion of [1, 2] as const) {
    const { bytes } = await writeRows(schema, rows, {
      pageVersion,
      pageChecksums: true,
      pageRows: 1000,
      codec: 'snappy',
    });
    for (const chunk of footer(bytes).rowGroups[0]!.chunks) {
      let at = chunk.dictionaryPageOffset ?? chunk.dataPageOffset;
      const end = at + chunk.compressedBytes;
      while (at < end) {
        const { struct, end: body } = readThrift(bytes, at, 'PageHeader');
        at = body + struct.size(3);
        expect(struct.number(4)).toBe(crc32(bytes.subarray(body, at)) | 0);
        const v2 = struct.struct(8, 'DataPageHeaderV2');
        if (v2 !== undefined) expect(v2.bool(7, true)).toBe(struct.size(3) < struct.size(2));
      }
      expect(at).toBe(end);
    }
  }
});

test('the footer says how many bytes the strings are', async () => {
  const { bytes } = await writeRows(schema, rows);
  const [id, name, , tags] = footer(bytes).rowGroups[0]!.chunks;
  const length = (of: (row: Row) => string | null) => rows.reduce((sum, row) => sum + (of(row)?.length ?? 0), 0);
  expect([id!.unencodedBytes, name!.unencodedBytes, tags!.unencodedBytes]).toEqual([
    undefined,
    length((row) => row['name'] as string | null),
    length((row) => (row['tags'] as string[])[0]!),
  ]);
});

test('page indexes go between row groups when they are many, and are found there', async () => {
  const { bytes } = await writeRows(schema, rows, { rowGroupRows: 500, pageRows: 50, indexBytes: 1 });
  const { rowGroups } = footer(bytes);
  for (const [n, { chunks }] of rowGroups.slice(0, -1).entries()) {
    for (const { offsetIndex } of chunks)
      expect(offsetIndex!.offset).toBeLessThan(rowGroups[n + 1]!.chunks[0]!.dataPageOffset);
  }
  expect(await rowsOf((await openBytes(bytes)).read())).toEqual(rows);
});

test('one row group waits for the sink while the next is encoded, and no more', async () => {
  const released: (() => void)[] = [];
  const parts: Uint8Array[] = [];
  const sink = (bytes: Uint8Array) =>
    new Promise<void>((resolve) => {
      released.push(() => {
        parts.push(bytes.slice());
        resolve();
      });
    });
  const writer = createParquetWriter({ schema, sink, options: { rowGroupRows: 1000 } });
  const batch = (n: number) => vectorsFromRows(schema, rows.slice(n * 1000, n * 1000 + 1000));
  await writer.append(batch(0));
  // The sink has the first bytes and has not taken them: the second group is encoded all the same, then append() waits.
  expect(released.length).toBe(1);
  let taken = false;
  const second = Promise.resolve(writer.append(batch(1))).then(() => {
    taken = true;
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  await turn();
  expect(taken).toBe(false);
  const releasing = setInterval(() => released.splice(0).forEach((release) => void release()), 0);
  await second;
  await writer.append(batch(2));
  const stats = await writer.finish();
  clearInterval(releasing);
  const bytes = Buffer.concat(parts);
  expect(stats.sizeBytes).toBe(bytes.length);
  expect(await rowsOf((await openBytes(bytes)).read())).toEqual(rows);
});

test('what the sink fails with comes out of the next call', async () => {
  let calls = 0;
  const sink = () => (++calls === 3 ? Promise.reject(new Error('disk full')) : Promise.resolve());
  const writer = createParquetWriter({ schema, sink, options: { rowGroupRows: 1000 } });
  await writer.append(vectorsFromRows(schema, rows.slice(0, 1000)));
  await expect(writer.finish()).rejects.toThrow('disk full');
});
