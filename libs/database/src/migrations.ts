import { MillraceError } from '@millrace/base';
import { type Kysely, sql } from 'kysely';

/**
 * One step of a schema's history. Names are unique and never change once released; steps are only ever added at the
 * end. `up` speaks the SQL that SQLite and PostgreSQL share (types: text, integer, bigint, bytea).
 */
export interface Migration {
  name: string;
  // biome-ignore lint/suspicious/noExplicitAny: a migration sees the schema as it was, not as it is
  up(db: Kysely<any>): Promise<void>;
}

interface MigrationTable {
  millrace_migrations: { position: number; name: string; applied_ms: number };
}

/**
 * Brings a database to the newest schema in one transaction: all missing steps or none. `unsupported` when the
 * database has steps that this program doesn't know (it was written by a newer one).
 */
export async function migrate(
  // biome-ignore lint/suspicious/noExplicitAny: any schema
  db: Kysely<any>,
  migrations: readonly Migration[],
  nowMs: number,
  postgresSchema?: string,
): Promise<void> {
  await (db as Kysely<MigrationTable>).transaction().execute(async (trx) => {
    if (postgresSchema !== undefined) await sql`create schema if not exists ${sql.id(postgresSchema)}`.execute(trx);
    await trx.schema
      .createTable('millrace_migrations')
      .ifNotExists()
      .addColumn('position', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .addColumn('applied_ms', 'bigint', (column) => column.notNull())
      .execute();
    const applied = await trx.selectFrom('millrace_migrations').select('name').orderBy('position').execute();
    for (const [position, { name }] of applied.entries()) {
      if (migrations[position]?.name !== name) {
        throw new MillraceError(
          'unsupported',
          `the database has had the step ${JSON.stringify(name)}, which this version of Millrace doesn't know at position ${position}: start the version that wrote it, or a newer one`,
          { code: 'database-newer', context: { migration: name } },
        );
      }
    }
    for (const [position, { name, up }] of migrations.entries()) {
      if (position < applied.length) continue;
      await up(trx);
      await trx.insertInto('millrace_migrations').values({ position, name, applied_ms: nowMs }).execute();
      if (postgresSchema !== undefined) await compareByBytes(trx);
    }
  });
}

/** Text columns get the collation "C": a database's own would sort and page them otherwise than SQLite does. */
async function compareByBytes(trx: Kysely<MigrationTable>): Promise<void> {
  const { rows } = await sql<{ table_name: string; column_name: string }>`
    select table_name, column_name from information_schema.columns
    where table_schema = current_schema() and data_type = 'text' and collation_name is distinct from 'C'`.execute(trx);
  for (const { table_name, column_name } of rows)
    await sql`alter table ${sql.id(table_name)} alter column ${sql.id(column_name)} type text collate "C"`.execute(trx);
}
