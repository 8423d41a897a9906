import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { ParquetSource } from '@millrace/parquet';

/** A local file, opened at each read: nothing has to be closed. */
export const fileSource = (path: string): ParquetSource => ({
  size: statSync(path).size,
  async read(start, end) {
    const file = openSync(path, 'r');
    const bytes = Buffer.allocUnsafe(end - start);
    const length = readSync(file, bytes, 0, bytes.length, start);
    closeSync(file);
    return bytes.subarray(0, length);
  },
});
