import { MillraceError } from '@millrace/base';

export interface PostgresUrl {
  /** Without the schema; may hold a password. */
  connectionString: string;
  schema: string;
  /** Host, database and schema: for messages. */
  name: string;
}

/** Unquoted identifiers only: the name goes into `search_path` and `create schema` as it is. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,62}$/;

/**
 * Reads `postgres://user@host:5432/database?schema=name&sslmode=verify-full`; undefined for another scheme. Everything
 * but `schema` (default "public") is as in libpq; a password that is not in the URL comes from PGPASSWORD or ~/.pgpass.
 */
export function postgresUrl(text: string): PostgresUrl | undefined {
  if (!/^postgres(ql)?:\/\//i.test(text)) return undefined;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // Not the URL itself: it may hold a password.
    throw invalid('it is not a URL: postgres://user@host:5432/database?schema=name (special characters as %XX)');
  }
  const schema = url.searchParams.get('schema') ?? 'public';
  if (!SCHEMA.test(schema))
    throw invalid(
      `the schema ${JSON.stringify(schema)} is not a plain name (a to z, 0 to 9 and _, not a digit first, at most 63)`,
    );
  url.searchParams.delete('schema');
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '') throw invalid('it names no database: postgres://user@host:5432/database');
  return { connectionString: url.href, schema, name: `postgres://${url.host}/${database} (schema ${schema})` };
}

const invalid = (why: string): MillraceError =>
  new MillraceError('invalid', `the database URL is not usable: ${why}`, { code: 'database-url' });
