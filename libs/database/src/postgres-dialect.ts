import { type Clock, MillraceError, systemClock } from '@millrace/base';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  IdentifierNode,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryCompiler,
  type QueryResult,
  RawNode,
} from 'kysely';
import type pg from 'pg';
import { toPostgresError } from './postgres-error.ts';
import type { PostgresUrl } from './postgres-url.ts';

export interface PostgresOptions {
  /** How long a statement or a transaction's start waits for another one's lock. */
  busyTimeoutMs: number;
  /** Connections at the most; a transaction holds one. */
  maxConnections: number;
  clock: Clock;
}

/** A transaction whose process stands still gives its lock back after this: before those that wait for it give up. */
const IDLE_TRANSACTION_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A Kysely dialect on `pg` that keeps the promises of the SQLite one: transactions that write run one after another
 * (each takes its schema's advisory lock when it begins, as BEGIN IMMEDIATE does), 64-bit integers are numbers, bytea is
 * a Uint8Array, text compares by its bytes. So one store runs on both. A connection that was lost is replaced; the query
 * that was under way fails with `unavailable`.
 */
export function postgresDialect(url: PostgresUrl, options: Partial<PostgresOptions> = {}): Dialect {
  const settings = { busyTimeoutMs: 10_000, maxConnections: 8, clock: systemClock, ...options };
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => postgresDriver(url, settings),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

function postgresDriver(url: PostgresUrl, options: PostgresOptions): Driver {
  let pool: pg.Pool | undefined;
  const run = (connection: DatabaseConnection, text: string) => connection.executeQuery(CompiledQuery.raw(text));
  const savepoint = async (
    connection: DatabaseConnection,
    text: string,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ) => {
    const node = RawNode.create([`${text} `, ''], [IdentifierNode.create(name)]);
    await connection.executeQuery(compile(node, { queryId: name }));
  };
  return {
    async init() {
      // Only who uses it pays for it.
      const { default: driver } = await import('pg');
      pool = new driver.Pool({
        connectionString: url.connectionString,
        options: `-c search_path=${url.schema}`,
        application_name: 'millrace',
        max: options.maxConnections,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        lock_timeout: options.busyTimeoutMs,
        idle_in_transaction_session_timeout: IDLE_TRANSACTION_MS,
        keepAlive: true,
        types: { getTypeParser: typeParsers(driver) },
      });
      // An idle connection that the server ends is replaced at its next use; without a listener it would end the process.
      pool.on('error', () => {});
    },
    async acquireConnection() {
      const until = options.clock.now() + options.busyTimeoutMs;
      for (let delayMs = 50; ; delayMs = Math.min(delayMs * 2, 1_000)) {
        try {
          return postgresConnection(await pool!.connect(), url.name);
        } catch (thrown) {
          const error = toPostgresError(thrown, url.name);
          // A server that starts again is waited for; one that refuses this user is not.
          const waits = error instanceof MillraceError && error.retryable && options.clock.now() < until;
          if (!waits) throw error;
          await options.clock.sleep(delayMs);
        }
      }
    },
    async releaseConnection(connection) {
      (connection as PostgresConnection).release();
    },
    async beginTransaction(connection, { accessMode }) {
      const begin =
        accessMode === 'read only'
          ? 'begin isolation level repeatable read read only'
          : // One string, one round trip. The name is a plain identifier, see postgresUrl.
            `begin; select pg_advisory_xact_lock(hashtextextended('millrace ${url.schema}', 0))`;
      try {
        await run(connection, begin);
      } catch (error) {
        // Kysely takes it that nothing has begun.
        (connection as PostgresConnection).discard();
        throw error;
      }
    },
    async commitTransaction(connection) {
      // The server answers ROLLBACK to the commit of a transaction in which a statement had failed.
      if ((await (connection as PostgresConnection).command('commit')) !== 'COMMIT')
        throw new MillraceError('internal', `${url.name}: a transaction went on after a statement had failed`, {
          code: 'transaction-aborted',
        });
    },
    async rollbackTransaction(connection) {
      const open = connection as PostgresConnection;
      // A lost connection was rolled back by the server.
      if (!open.lost()) await run(connection, 'rollback').catch(() => open.discard());
    },
    savepoint: (connection, name, compile) => savepoint(connection, 'savepoint', name, compile),
    rollbackToSavepoint: (connection, name, compile) => savepoint(connection, 'rollback to', name, compile),
    releaseSavepoint: (connection, name, compile) => savepoint(connection, 'release', name, compile),
    async destroy() {
      await pool?.end();
      pool = undefined;
    },
  };
}

interface PostgresConnection extends DatabaseConnection {
  /** Runs one statement; answers the command tag ("COMMIT"). */
  command(text: string): Promise<string>;
  lost(): boolean;
  /** Not to be used again: released, it is closed. */
  discard(): void;
  release(): void;
}

const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE']);

function postgresConnection(client: pg.PoolClient, name: string): PostgresConnection {
  let broken = false;
  const onError = () => {
    broken = true;
  };
  client.on('error', onError);
  const query = async (text: string, values: readonly unknown[]) => {
    try {
      return await client.query(text, values.length === 0 ? undefined : values.map(toPostgres));
    } catch (thrown) {
      const error = toPostgresError(thrown, name);
      if (error instanceof MillraceError && error.code === 'database-lost') broken = true;
      throw error;
    }
  };
  return {
    async executeQuery<R>(compiled: CompiledQuery): Promise<QueryResult<R>> {
      const result = await query(compiled.sql, compiled.parameters);
      // Several statements in one string answer with several results; nobody asks for their rows.
      if (Array.isArray(result)) return { rows: [] };
      const { command, rowCount, rows } = result;
      return WRITES.has(command) && rowCount !== null
        ? { rows: rows as R[], numAffectedRows: BigInt(rowCount) }
        : { rows: rows as R[] };
    },
    // biome-ignore lint/correctness/useYield: rows of a store fit in memory; a cursor would need another package
    async *streamQuery(): AsyncIterableIterator<never> {
      throw new MillraceError('unsupported', 'rows of PostgreSQL are not streamed: page through them', {
        code: 'sql-stream',
      });
    },
    command: async (text) => (await query(text, [])).command,
    lost: () => broken,
    discard: onError,
    release() {
      client.off('error', onError);
      client.release(broken);
    },
  };
}

/** Same rule as for SQLite: text, whole and broken numbers, bytes, null. */
function toPostgres(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'bigint') return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new MillraceError('internal', `a value of type ${typeof value} can't be bound to a SQL parameter`, {
    code: 'sql-parameter',
  });
}

/** Types by their object ids (pg_type.dat): bool 16, bytea 17, int8 20, numeric 1700 (sums of int8). */
const typeParsers = (driver: typeof pg) => (oid: number, format?: 'text' | 'binary') => {
  if (oid === 20 || oid === 1700) return toNumber;
  if (oid === 16) return (text: string) => (text === 't' ? 1 : 0);
  const parse = driver.types.getTypeParser(oid, format as 'text') as (text: string) => unknown;
  if (oid !== 17) return parse;
  return (text: string) => {
    const bytes = parse(text) as Buffer;
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
};

function toNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new MillraceError('internal', `the database holds ${text}, beyond 2^53`, { code: 'sql-number' });
  return value;
}
