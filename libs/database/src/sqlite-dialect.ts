import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type Clock, MillraceError, systemClock } from '@millrace/base';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  IdentifierNode,
  type QueryCompiler,
  type QueryResult,
  RawNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely';
import { isBusy, toDatabaseError } from './sqlite-error.ts';

export interface SqliteOptions {
  /** How long a statement or a transaction's start waits for another process's lock. */
  busyTimeoutMs: number;
  clock: Clock;
}

const CACHED_STATEMENTS = 500;

/**
 * A Kysely dialect on node:sqlite with one connection. Kysely's mutex around it (the adapter says that there is one
 * connection) keeps concurrent transactions apart. Transactions start with BEGIN IMMEDIATE, so that the lock is
 * waited for at their start and never in the middle; the waiting is asynchronous, because SQLite's own busy timeout
 * would stop the process's event loop, and with it the other connection's transaction if that runs in here too.
 */
export function sqliteDialect(path: string, options: Partial<SqliteOptions> = {}): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => sqliteDriver(path, { busyTimeoutMs: 10_000, clock: systemClock, ...options }),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function sqliteDriver(path: string, options: SqliteOptions): Driver {
  let connection: DatabaseConnection | undefined;
  let database: DatabaseSync | undefined;
  const run = (text: string) => async () => {
    database!.exec(text);
  };
  const whenFree = async <T>(action: () => Promise<T> | T): Promise<T> => {
    const until = options.clock.now() + options.busyTimeoutMs;
    for (let delayMs = 2; ; delayMs = Math.min(delayMs * 2, 50)) {
      try {
        return await action();
      } catch (error) {
        if (!isBusy(error) || database!.isTransaction || options.clock.now() >= until) {
          throw toDatabaseError(error, path);
        }
        await options.clock.sleep(delayMs);
      }
    }
  };
  const savepoint = async (text: string, name: string, compile: QueryCompiler['compileQuery']) => {
    const node = RawNode.create([`${text} `, ''], [IdentifierNode.create(name)]);
    await run(compile(node, { queryId: name }).sql)();
  };
  return {
    async init() {
      try {
        database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: options.busyTimeoutMs });
        // The order matters: the switch to WAL is the one statement that waits in SQLite itself.
        database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 0;');
        connection = sqliteConnection(database, path, whenFree);
      } catch (error) {
        throw toDatabaseError(error, path);
      }
    },
    acquireConnection: async () => connection!,
    releaseConnection: async () => {},
    beginTransaction: (_connection, settings: TransactionSettings) =>
      whenFree(run(settings.accessMode === 'read only' ? 'begin' : 'begin immediate')),
    commitTransaction: () => whenFree(run('commit')),
    async rollbackTransaction() {
      // A full disk makes SQLite roll back by itself; then there is nothing left to end.
      if (database!.isTransaction) database!.exec('rollback');
    },
    savepoint: (_connection, name, compile) => savepoint('savepoint', name, compile),
    rollbackToSavepoint: (_connection, name, compile) => savepoint('rollback to', name, compile),
    releaseSavepoint: (_connection, name, compile) => savepoint('release', name, compile),
    async destroy() {
      database?.close();
    },
  };
}

interface Prepared {
  statement: StatementSync;
  hasRows: boolean;
}

function sqliteConnection(
  database: DatabaseSync,
  path: string,
  whenFree: <T>(action: () => T) => Promise<T>,
): DatabaseConnection {
  const cache = new Map<string, Prepared>();
  const prepare = (text: string): Prepared => {
    let prepared = cache.get(text);
    if (prepared === undefined) {
      const statement = database.prepare(text);
      prepared = { statement, hasRows: statement.columns().length > 0 };
      if (cache.size >= CACHED_STATEMENTS) cache.delete(cache.keys().next().value!);
      cache.set(text, prepared);
    }
    return prepared;
  };
  return {
    executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      return whenFree((): QueryResult<R> => {
        const { statement, hasRows } = prepare(query.sql);
        const parameters = query.parameters.map(toSqlite);
        if (hasRows) {
          const rows = statement.all(...parameters) as R[];
          return { rows, numAffectedRows: BigInt(rows.length) };
        }
        const { changes } = statement.run(...parameters);
        return { rows: [], numAffectedRows: BigInt(changes) };
      });
    },
    async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
      try {
        // A statement of its own: a cached one could be started again while this one is half read.
        for (const row of database.prepare(query.sql).iterate(...query.parameters.map(toSqlite))) {
          yield { rows: [row as R] };
        }
      } catch (error) {
        throw toDatabaseError(error, path);
      }
    },
  };
}

/** node:sqlite binds every number as a double; whole ones go as 64-bit integers. Booleans are 0 and 1 in every store. */
function toSqlite(value: unknown): SQLInputValue {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string' || typeof value === 'bigint' || value instanceof Uint8Array) return value;
  throw new MillraceError('internal', `a value of type ${typeof value} can't be bound to a SQL parameter`, {
    code: 'sql-parameter',
  });
}
