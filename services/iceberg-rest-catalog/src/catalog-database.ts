import { type Database, type Migration, openDatabase } from '@millrace/database';
import { type OwnerSchema, ownersMigration } from '@millrace/ownership';

export interface CatalogSchema extends OwnerSchema {
  namespaces: {
    /** The levels, joined by the unit separator (U+001F). */
    name: string;
    properties_json: string;
  };
  tables: {
    namespace: string;
    name: string;
    /** The pointer: a commit is a compare-and-swap of it. */
    metadata_location: string;
    /** The table's UUID in the ledger when a topic feeds it. */
    ledger_uuid: string | null;
  };
}

const migrations: Migration[] = [
  {
    name: 'namespaces and tables',
    async up(db) {
      await db.schema
        .createTable('namespaces')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('properties_json', 'text', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('tables')
        .addColumn('namespace', 'text', (column) => column.notNull().references('namespaces.name'))
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('metadata_location', 'text', (column) => column.notNull())
        .addColumn('ledger_uuid', 'text')
        .addPrimaryKeyConstraint('tables_key', ['namespace', 'name'])
        .execute();
    },
  },
  ownersMigration,
];

export const openCatalogDatabase = (url: string): Promise<Database<CatalogSchema>> =>
  openDatabase<CatalogSchema>(url, migrations);
