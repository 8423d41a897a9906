import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { MillraceError, systemClock, toMillraceError } from '@millrace/base';
import { Kysely } from 'kysely';
import { type Migration, migrate } from './migrations.ts';
import { type SqliteOptions, sqliteDialect } from './sqlite-dialect.ts';

export interface Database<Schema> {
  db: Kysely<Schema>;
  close(): Promise<void>;
}

/**
 * Opens a database and brings its schema up to date. `sqlite:<path>` (the file and its folders are made when they are
 * not there) or `sqlite::memory:`. Concurrent transactions wait for each other; inside `db.transaction()` use only the
 * handle that it gives: a query on `db` would wait for the transaction that waits for it.
 *
 * Errors while in use: `unavailable` (another process holds the lock longer than 10 s), `exhausted` (disk full),
 * `already-exists` (code "unique-violation"), `corrupt`, `permission`.
 */
export async function openDatabase<Schema>(
  url: string,
  migrations: readonly Migration[],
  options: Partial<SqliteOptions> = {},
): Promise<Database<Schema>> {
  const path = sqlitePath(url);
  if (path !== ':memory:') {
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch (error) {
      throw toMillraceError(error, { database: path });
    }
  }
  const db = new Kysely<Schema>({ dialect: sqliteDialect(path, options) });
  try {
    await migrate(db, migrations, (options.clock ?? systemClock).now());
  } catch (error) {
    await db.destroy().catch(() => {});
    throw toMillraceError(error, { database: path });
  }
  return { db, close: () => db.destroy() };
}

function sqlitePath(url: string): string {
  const path = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : '';
  if (path === '') {
    // The scheme alone: a URL of another database may hold a password.
    throw new MillraceError(
      'unsupported',
      `database ${JSON.stringify(`${/^[a-z0-9+]*/i.exec(url)![0]}:…`)} is not supported; legal: sqlite:<path of a file>, sqlite::memory:`,
      { code: 'database-url' },
    );
  }
  return path;
}
