import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { MillraceError, systemClock, toMillraceError } from '@millrace/base';
import { Kysely, sql } from 'kysely';
import { type Migration, migrate } from './migrations.ts';
import { type PostgresOptions, postgresDialect } from './postgres-dialect.ts';
import { postgresSignals } from './postgres-signals.ts';
import { postgresUrl } from './postgres-url.ts';
import { createSignals, type Signals } from './signals.ts';
import { type SqliteOptions, sqliteDialect } from './sqlite-dialect.ts';

export interface Database<Schema> {
  db: Kysely<Schema>;
  /** Between the processes on this database. */
  signals: Signals;
  close(): Promise<void>;
}

/**
 * Opens a database and brings its schema up to date: `sqlite:<path>` (the file and its folders are made when they are
 * not there), `sqlite::memory:`, or `postgres://user@host:5432/database?schema=name` (the schema is made; one for each
 * service, when services share a database). Transactions that write run one after another, also between processes;
 * inside `db.transaction()` use only the handle that it gives: a query on `db` could wait for the transaction that waits
 * for it. Text compares by its bytes, booleans are 0 and 1, whole numbers stay below 2^53.
 *
 * Errors while in use: `unavailable` (another process holds the lock longer than 10 s, or the server can't be reached),
 * `exhausted` (disk full), `already-exists` (code "unique-violation"), `corrupt`, `permission`.
 */
export async function openDatabase<Schema>(
  url: string,
  migrations: readonly Migration[],
  options: Partial<SqliteOptions & PostgresOptions> = {},
): Promise<Database<Schema>> {
  const postgres = postgresUrl(url);
  const name = postgres?.name ?? sqlitePath(url);
  if (postgres === undefined && name !== ':memory:') {
    try {
      mkdirSync(dirname(name), { recursive: true });
    } catch (error) {
      throw toMillraceError(error, { database: name });
    }
  }
  const db = new Kysely<Schema>({
    dialect: postgres ? postgresDialect(postgres, options) : sqliteDialect(name, options),
  });
  try {
    await migrate(db, migrations, (options.clock ?? systemClock).now(), postgres?.schema);
  } catch (error) {
    await db.destroy().catch(() => {});
    throw toMillraceError(error, { database: name });
  }
  const signals = createSignals(postgres === undefined ? undefined : postgresSignals(postgres, db));
  return {
    db,
    signals,
    async close() {
      await signals.close();
      await db.destroy();
    },
  };
}

function sqlitePath(url: string): string {
  const path = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : '';
  if (path === '') {
    // The scheme alone: a URL of another database may hold a password.
    throw new MillraceError(
      'unsupported',
      `database ${JSON.stringify(`${/^[a-z0-9+]*/i.exec(url)![0]}:…`)} is not supported; legal: sqlite:<path of a file>, sqlite::memory:, postgres://user@host:5432/database?schema=name`,
      { code: 'database-url' },
    );
  }
  return path;
}

/** Resolves when the database answers; what a service's readiness rests on. */
// biome-ignore lint/suspicious/noExplicitAny: whatever its tables are
export const askDatabase = (db: Kysely<any>): Promise<unknown> => sql`select 1`.execute(db);
