import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TableReport } from '@millrace/cli';
import { TableFormat } from '@millrace/proto/common';
import { expectSameRows } from '../peers/canonical-rows.ts';
import type { Reader, TableAddress } from '../peers/readers.ts';

export const addressOf = ({ table }: TableReport, catalogUri: string): TableAddress => ({
  catalogUri,
  namespace: table.table!.namespace,
  name: table.table!.name,
  location: table.location.startsWith('file:') ? fileURLToPath(table.location).replace(/\/$/, '') : table.location,
});

/** Has a reader print the table and compares it with what is expected; answers with the rows' number and SHA-256. */
export async function expectTable(options: {
  reader: Reader;
  /** Where the reader's peer lies. */
  folder: string;
  table: TableAddress;
  expected: string;
  outDir: string;
  before?: Record<number, number>;
}): Promise<{ rows: number; sha256: string }> {
  const { reader, folder, table, expected, outDir, before } = options;
  const found = join(outDir, `${table.namespace}.${table.name}.${reader.name.replace(/\W+/g, '-')}.jsonl`);
  await reader.read(folder, table, found);
  const what = `${table.namespace}.${table.name} read by ${reader.name}`;
  const result = await expectSameRows(what, expected, found, before === undefined ? {} : { before });
  await rm(found);
  return result;
}

/** Whether the table is kept in the reader's format. */
export const hasFormat = ({ table }: TableReport, reader: Reader): boolean =>
  table.formats.includes(reader.format === 'iceberg' ? TableFormat.ICEBERG : TableFormat.DELTA);
