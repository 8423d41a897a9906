import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openBytes, rowsOf } from './memory-file.fixture.ts';

const parquetjs = createRequire(import.meta.url)('parquetjs-lite');

// It can't read our files (it wants footer version 1), so it serves as a writer that is not ours.
test('files by parquetjs-lite: V2 pages, snappy, optional and repeated columns, no field ids', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-parquetjs-'));
  const file = join(folder, 'x.parquet');
  const schema = new parquetjs.ParquetSchema({
    id: { type: 'INT32' },
    price: { type: 'DOUBLE', compression: 'SNAPPY' },
    name: { type: 'UTF8', optional: true, compression: 'GZIP' },
    paid: { type: 'BOOLEAN' },
    tags: { type: 'UTF8', repeated: true },
  });
  const rows = Array.from({ length: 5_000 }, (_, i) => ({
    id: i * 7919 - 10_000,
    price: i / 3,
    name: i % 5 === 0 ? null : `name ${i % 40} é`,
    paid: i % 3 === 0,
    tags: Array.from({ length: i % 4 }, (_, n) => `t${n}`),
  }));
  const writer = await parquetjs.ParquetWriter.openFile(schema, file, { rowGroupSize: 1_500 });
  for (const { name, tags, ...row } of rows) {
    await writer.appendRow({ ...row, ...(name === null ? {} : { name }), ...(tags.length === 0 ? {} : { tags }) });
  }
  await writer.close();
  const opened = await openBytes(readFileSync(file));
  expect(opened.hasFieldIds).toBe(false);
  expect(opened.rowCount).toBe(rows.length);
  expect(await rowsOf(opened.read())).toEqual(rows);
  rmSync(folder, { recursive: true });
});
