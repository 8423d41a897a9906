import { createHash, randomBytes } from 'node:crypto';

/**
 * The database that a store's test uses: SQLite, or, where MILLRACE_TEST_POSTGRES holds the URL of a PostgreSQL
 * database, a schema of its own in there, so that the same tests run on both. Without `path` each call gives an empty
 * database, that dies with its connection (SQLite) or its server; with one, the same database each time.
 */
export function testDatabaseUrl(path?: string): string {
  const server = process.env.MILLRACE_TEST_POSTGRES;
  if (server === undefined || server === '') return path === undefined ? 'sqlite::memory:' : `sqlite:${path}`;
  const name = path === undefined ? randomBytes(8) : createHash('sha256').update(path).digest().subarray(0, 8);
  const url = new URL(server);
  url.searchParams.set('schema', `test_${name.toString('hex')}`);
  return url.href;
}
