import { rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { openParquet, rowsFromBatch } from '@millrace/parquet';
import { fileSource } from './file-source.ts';
import { createLaps, type Round } from './round.ts';

export interface ParquetjsJob {
  kind: 'parquetjs';
  /** A file of orders. */
  file: string;
  out: string;
  /** It takes the first so many rows. */
  records: number;
}

/** parquetjs-lite writing some of a file's orders: it knows neither null, bigint nor decimals, and no zstd. */
export async function createParquetjs({ file, out, records }: ParquetjsJob): Promise<() => Promise<Round>> {
  const { ParquetSchema, ParquetWriter } = createRequire(import.meta.url)('parquetjs-lite');
  const text = { type: 'UTF8', optional: true };
  const schema = new ParquetSchema({
    order_id: { type: 'INT64' },
    customer_id: { type: 'INT64' },
    status: text,
    created_at: { type: 'INT64' },
    total: { type: 'INT64' },
    currency: text,
    email: text,
    note: text,
    address: { fields: { city: text, zip: text } },
    items: { repeated: true, fields: { sku: text, quantity: { type: 'INT32' }, price: { type: 'DOUBLE' } } },
  });
  const rows: object[] = [];
  for await (const batch of (await openParquet(fileSource(file))).read({ batchRows: records })) {
    rows.push(...rowsFromBatch(batch).slice(0, records - rows.length));
    if (rows.length >= records) break;
  }
  const simple = JSON.parse(
    JSON.stringify(rows, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value === null ? undefined : value,
    ),
  ) as object[];
  return async () => {
    rmSync(out, { force: true });
    const laps = createLaps(['write']);
    const writer = await ParquetWriter.openFile(schema, out);
    for (const row of simple) await writer.appendRow(row);
    await writer.close();
    laps.lap('write');
    return { cpuSeconds: laps.spent.write, records: simple.length, bytes: 0, bytesOut: statSync(out).size };
  };
}
