import { type ErrorKind, MillraceError } from '@millrace/base';

// Primary result codes of SQLite (sqlite.org/rescode.html); extended codes carry more in the higher bytes.
const KINDS: Record<number, ErrorKind> = {
  3: 'permission', // PERM
  5: 'unavailable', // BUSY
  6: 'unavailable', // LOCKED
  8: 'permission', // READONLY
  10: 'unavailable', // IOERR
  11: 'corrupt', // CORRUPT
  13: 'exhausted', // FULL
  14: 'permission', // CANTOPEN
  26: 'corrupt', // NOTADB
};
const CODES: Record<number, string> = {
  5: 'database-busy',
  6: 'database-busy',
  13: 'disk-full',
  26: 'database-foreign',
};
const PRIMARY_KEY = 1555;
const UNIQUE = 2067;

/** SQLite says it while another connection holds the lock that was asked for; nothing has been changed then. */
export const isBusy = (thrown: unknown): boolean => {
  const code = resultCode(thrown);
  return code !== undefined && ((code & 0xff) === 5 || (code & 0xff) === 6);
};

/**
 * Errors of node:sqlite as MillraceErrors. A unique constraint is `already-exists` with code "unique-violation", other
 * constraints are `internal` ("constraint-violation"): stores rely on the first and never cause the others.
 */
export function toDatabaseError(thrown: unknown, database: string): unknown {
  const code = resultCode(thrown);
  if (code === undefined) return thrown;
  const text = (thrown as Error).message;
  const options = { cause: thrown, context: { database } };
  if (code === UNIQUE || code === PRIMARY_KEY) {
    return new MillraceError('already-exists', `${database}: ${text}`, { ...options, code: 'unique-violation' });
  }
  const primary = code & 0xff;
  if (primary === 19) {
    return new MillraceError('internal', `${database}: ${text}`, { ...options, code: 'constraint-violation' });
  }
  const kind = KINDS[primary] ?? 'internal';
  return new MillraceError(kind, `${database}: ${text}`, { ...options, code: CODES[primary] ?? `sqlite-${primary}` });
}

function resultCode(thrown: unknown): number | undefined {
  const error = thrown as { code?: unknown; errcode?: unknown } | undefined;
  return error?.code === 'ERR_SQLITE_ERROR' && typeof error.errcode === 'number' ? error.errcode : undefined;
}
