import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localStore, type ObjectStore } from '@millrace/object-store';
import { openParquet, type Row, rowsFromBatch, vectorsFromRows } from '@millrace/parquet';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { createClient } from '@millrace/rpc';
import { type Field, type TableSchema, toIcebergSchemaJson } from '@millrace/schema';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDataFiles, type NewDataFile, toDataFile } from './data-files.ts';
import { createParquetConverter, parquetConverterConfig } from './index.ts';

const field = (id: number, name: string, kind: 'long' | 'string'): Field => ({
  id,
  name,
  type: { kind },
  required: false,
});
const OLD: TableSchema = { schemaId: 0, lastColumnId: 2, fields: [field(1, 'id', 'long'), field(2, 'note', 'string')] };
const NEW: TableSchema = {
  schemaId: 1,
  lastColumnId: 3,
  fields: [field(3, 'extra', 'string'), field(1, 'id', 'long'), field(2, 'remark', 'string')],
};

let folder: string;
let store: ObjectStore;
let converter: Awaited<ReturnType<typeof createParquetConverter>>;
let client: ReturnType<typeof createClient<typeof ParquetConverterService>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rewrite-'));
  store = localStore(folder);
  const away = { discoveryAddress: '127.0.0.1:1', segmentReaderAddress: '127.0.0.1:1' };
  converter = await createParquetConverter(parquetConverterConfig.parse({ port: 0, concurrency: 0, ...away }));
  client = createClient(ParquetConverterService, converter.address);
});
afterAll(async () => {
  client.close();
  await converter.stop();
  await rm(folder, { recursive: true });
});

async function write(
  key: string,
  schema: TableSchema,
  rows: Row[],
  partition: number,
  start: number,
): Promise<NewDataFile> {
  const signal = new AbortController().signal;
  const limits = { targetFileBytes: 1 << 20, rowGroupBytes: 1 << 20, rowGroupRows: 1000 };
  const files = createDataFiles({ store, keyOf: () => key, ...limits, signal });
  await files.append(vectorsFromRows(schema, rows), 0);
  const [file] = await files.finish();
  return toDataFile(file!, [{ partition, startOffset: BigInt(start), endOffset: BigInt(start + rows.length) }]);
}

async function read(path: string): Promise<Row[]> {
  const bytes = await store.get(path);
  const file = await openParquet({ size: bytes.length, read: async (start, end) => bytes.subarray(start, end) });
  const rows: Row[] = [];
  for await (const batch of file.read()) rows.push(...rowsFromBatch(batch));
  return rows;
}

async function dataKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('data/')) keys.push(key);
  return keys;
}

const request = (files: NewDataFile[], rewriteId: string, targetFileBytes = 0n) => ({
  table: { namespace: 'shop', name: 'orders' },
  location: store.uri,
  tableSchemaJson: toIcebergSchemaJson(NEW),
  files,
  targetFileBytes,
  rewriteId,
});

test('small files of two schemas become one: columns by id, what was not there null, offsets joined', async () => {
  const a = await write(
    'data/a.parquet',
    OLD,
    [
      { id: 1n, note: 'x' },
      { id: null, note: null },
    ],
    0,
    0,
  );
  const b = await write('data/b.parquet', NEW, [{ extra: 'e', id: 3n, remark: 'z' }], 0, 2);
  const c = await write('data/c.parquet', OLD, [{ id: 4n, note: 'w' }], 1, 7);
  const { files } = await client.rewriteFiles(request([a, b, c], 'r1'));
  expect(files).toMatchObject([
    {
      path: 'data/rewrite-r1-0.parquet',
      recordCount: 4n,
      schemaId: 1,
      offsets: [
        { partition: 0, startOffset: 0n, endOffset: 3n },
        { partition: 1, startOffset: 7n, endOffset: 8n },
      ],
    },
  ]);
  expect(await read(files[0]!.path)).toEqual([
    { extra: null, id: 1n, remark: 'x' },
    { extra: null, id: null, remark: null },
    { extra: 'e', id: 3n, remark: 'z' },
    { extra: null, id: 4n, remark: 'w' },
  ]);
});

test('the target size is kept', async () => {
  const rows = Array.from({ length: 60_000 }, (_, i) => ({ id: BigInt(i), note: String((i * 7919) % 1_000_003) }));
  const inputs: NewDataFile[] = [];
  for (let i = 0; i < 3; i++)
    inputs.push(await write(`data/in${i}.parquet`, OLD, rows.slice(i * 20_000, (i + 1) * 20_000), 0, i * 20_000));
  const { files } = await client.rewriteFiles(request(inputs, 'r2', 150_000n));
  expect(files.length).toBeGreaterThan(1);
  const found = (await Promise.all(files.map((file) => read(file.path)))).flat();
  expect(found.map((row) => row['id'])).toEqual(rows.map((row) => row.id));
});

test('a file that is gone, or is not the one that was committed, ends the rewrite and leaves nothing new', async () => {
  const a = await write('data/a2.parquet', OLD, [{ id: 1n, note: 'x' }], 0, 0);
  const before = await dataKeys();
  const gone = { ...a, path: 'data/gone.parquet' };
  await expect(client.rewriteFiles(request([a, gone], 'r3'))).rejects.toMatchObject({ code: 'data-file-missing' });
  const other = { ...a, recordCount: 2n };
  await expect(client.rewriteFiles(request([a, other], 'r4'))).rejects.toMatchObject({ code: 'file-rows-differ' });
  await expect(client.rewriteFiles(request([a], '../r5'))).rejects.toMatchObject({ code: 'rewrite-id-invalid' });
  expect(await dataKeys()).toEqual(before);
});

test('a second attempt with the same id never touches what the first one wrote', async () => {
  const a = await write('data/a3.parquet', OLD, [{ id: 1n, note: 'x' }], 0, 0);
  const { files } = await client.rewriteFiles(request([a], 'r6'));
  await expect(client.rewriteFiles(request([a], 'r6'))).rejects.toMatchObject({ kind: 'already-exists' });
  expect(await read(files[0]!.path)).toHaveLength(1);
});
