import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { noAnswer, world } from './world.ts';

/** One simulated database: a real SQLite in memory, kept over the seeds of a thread and emptied between them. */
export interface SimulatedDatabase {
  driver: Driver;
  connection: DatabaseConnection;
  /** Counted up by every statement that may have changed something. */
  changes: number;
  inTransaction: boolean;
}

const databases = new Map<string, Promise<SimulatedDatabase>>();

async function open(real: (path: string) => Dialect): Promise<SimulatedDatabase> {
  const driver = real(':memory:').createDriver();
  await driver.init();
  const connection = await driver.acquireConnection();
  return { driver, connection, changes: 0, inTransaction: false };
}

/** Undefined before a service has made its tables there. */
export async function databaseAt(name: string): Promise<SimulatedDatabase | undefined> {
  const database = await databases.get(name);
  if (database === undefined) return undefined;
  const tables = await rowsOf(database, "select name from sqlite_master where type = 'table' and name = 'tables'");
  return tables.length === 0 ? undefined : database;
}

/** Rows of a query, past all faults. */
export async function rowsOf<T>(database: SimulatedDatabase, text: string, ...parameters: unknown[]): Promise<T[]> {
  return (await database.connection.executeQuery<T>(CompiledQuery.raw(text, parameters))).rows;
}

/** Empties every table but those of the migrations. */
export async function emptyDatabases(): Promise<void> {
  for (const opening of databases.values()) {
    const database = await opening;
    if (database.inTransaction) await database.driver.rollbackTransaction(database.connection);
    database.inTransaction = false;
    await rowsOf(database, 'pragma foreign_keys = off');
    const tables = await rowsOf<{ name: string }>(
      database,
      "select name from sqlite_master where type = 'table' and name not like '%migration%' and name not like 'sqlite_%'",
    );
    for (const { name } of tables) await rowsOf(database, `delete from "${name}"`);
    await rowsOf(database, 'pragma foreign_keys = on');
  }
}

const isRead = (text: string): boolean => /^\s*(select|pragma|begin)/i.test(text);

/**
 * The dialect that each simulated process opens: transactions follow each other as on one file, and a call may fail
 * before it takes effect or after. A process that dies between begin and commit can't be: nothing else is taken meanwhile.
 */
export function simulatedDialect(path: string, real: (path: string) => Dialect): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createDriver: () => simulatedDriver(path, real),
  };
}

function simulatedDriver(path: string, real: (path: string) => Dialect): Driver {
  let database: SimulatedDatabase;
  let inTransaction = false;
  let wrote = false;
  const refuse = () => {
    if (world().faults.strikes('database-error')) throw noAnswer('the database');
  };
  const lostAnswer = () => {
    if (world().faults.strikes('database-lost-answer')) throw noAnswer('the database');
  };
  const connection: DatabaseConnection = {
    async executeQuery(query) {
      if (!inTransaction) refuse();
      const result = await database.connection.executeQuery(query);
      if (isRead(query.sql)) return result as never;
      database.changes++;
      wrote = true;
      if (!inTransaction) lostAnswer();
      return result as never;
    },
    streamQuery: () => {
      throw new Error('no service streams a query');
    },
  };
  return {
    async init() {
      let opening = databases.get(path);
      if (opening === undefined) databases.set(path, (opening = open(real)));
      database = await opening;
    },
    async acquireConnection() {
      const w = world();
      await w.wait(w.between(0, 5));
      return connection;
    },
    async releaseConnection() {},
    async beginTransaction(_, settings) {
      refuse();
      if (database.inTransaction) throw new Error('two transactions at once: one of them waited for something else');
      database.inTransaction = inTransaction = true;
      wrote = false;
      await database.driver.beginTransaction(database.connection, settings);
    },
    async commitTransaction() {
      await database.driver.commitTransaction(database.connection);
      database.inTransaction = inTransaction = false;
      if (wrote) lostAnswer();
    },
    async rollbackTransaction() {
      if (inTransaction) await database.driver.rollbackTransaction(database.connection);
      if (inTransaction) database.inTransaction = inTransaction = false;
    },
    async destroy() {},
  };
}
