import { type ErrorContext, MillraceError, toMillraceError } from '@millrace/base';

/** The error for bytes that are no Parquet file, or a broken one. Whoever knows the file adds it to the context. */
export const corrupt = (message: string, context: ErrorContext = {}): MillraceError =>
  new MillraceError('corrupt', `Broken Parquet file: ${message}`, { code: 'parquet-corrupt', context });

export const unsupported = (message: string): MillraceError =>
  new MillraceError('unsupported', `Parquet: ${message}`, { code: 'parquet-unsupported' });

/** An error with the place where it came up, which the words of a broken file's error name; what hostile bytes lead to is `corrupt`. */
export function withPlace(thrown: unknown, place: ErrorContext): MillraceError {
  const error = thrown instanceof RangeError ? corrupt(thrown.message) : toMillraceError(thrown);
  const { message, kind, code, retryable, context, cause } = error.with(place);
  if (code !== 'parquet-corrupt' || message.includes(' [')) return error.with(place);
  const names = Object.entries(context).map(([key, value]) => `${key} ${value}`);
  const named = names.length === 0 ? message : `${message} [${names.join(', ')}]`;
  return new MillraceError(kind, named, { code, retryable, context, cause });
}
