import { type ErrorContext, MillraceError } from '@millrace/base';

/** The error for bytes that are no Parquet file, or a broken one. Whoever knows the file adds it to the context. */
export const corrupt = (message: string, context: ErrorContext = {}): MillraceError =>
  new MillraceError('corrupt', `Broken Parquet file: ${message}`, { code: 'parquet-corrupt', context });

export const unsupported = (message: string): MillraceError =>
  new MillraceError('unsupported', `Parquet: ${message}`, { code: 'parquet-unsupported' });
