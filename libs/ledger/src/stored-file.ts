import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import { type DataFile, DataFileSchema, type DeadLetterFile } from '@millrace/proto/common';

export type DataFileInit = MessageInitShape<typeof DataFileSchema>;

/** A 64-bit number of the .proto as the database holds it; `invalid` when it is negative or 2^53 and above. */
export function toStored(value: bigint | number | undefined, what: string): number {
  const number = Number(value ?? 0);
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new MillraceError('invalid', `${what} must be a whole number from 0 to 2^53 - 1, not ${value}`, {
      code: 'number-out-of-range',
    });
  }
  return number;
}

/** What a row of `files` holds of a DataFile: the statistics apart, because most readers leave them out. */
export function fileToRow(init: DataFileInit) {
  const file = create(DataFileSchema, init);
  checkPath(file.path, 'data/');
  return {
    path: file.path,
    size_bytes: toStored(file.sizeBytes, `${file.path}: size_bytes`),
    record_count: toStored(file.recordCount, `${file.path}: record_count`),
    body: toBinary(DataFileSchema, create(DataFileSchema, { ...file, columns: [] })),
    column_stats: toBinary(DataFileSchema, create(DataFileSchema, { columns: file.columns })),
  };
}

/** Joined protobuf bytes are the merged message; without `column_stats` the file comes without statistics. */
export function rowToFile(row: { body: Uint8Array; column_stats?: Uint8Array }): DataFile {
  const stats = row.column_stats ?? new Uint8Array(0);
  const bytes = new Uint8Array(row.body.length + stats.length);
  bytes.set(row.body);
  bytes.set(stats, row.body.length);
  return fromBinary(DataFileSchema, bytes);
}

/** Paths become object keys and entries of table metadata: below their folder, no part empty, "." or "..". */
export function checkPath(path: string, folder: 'data/' | '_dead_letters/'): void {
  const parts = path.split('/');
  if (!path.startsWith(folder) || path.includes('\\') || parts.some((part) => ['', '.', '..'].includes(part))) {
    throw new MillraceError(
      'invalid',
      `file path ${JSON.stringify(path)} must lie under ${folder} and have no empty, "." or ".." part`,
      { code: 'path-invalid', context: { path } },
    );
  }
}

export const deadLetterRows = (files: readonly DeadLetterFile[]) =>
  files.map((file) => {
    checkPath(file.path, '_dead_letters/');
    return { path: file.path, recordCount: toStored(file.recordCount, `${file.path}: record_count`) };
  });
