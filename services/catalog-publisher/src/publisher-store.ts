import { fromJsonString, toJsonString } from '@bufbuild/protobuf';
import type { TableName } from '@millrace/base';
import type { CatalogSettings } from '@millrace/catalogs';
import { type Database, type Migration, openDatabase } from '@millrace/database';
import { checkOwner, type Owned, type OwnerSchema, ownersMigration } from '@millrace/ownership';
import { type ErrorDetail, ErrorDetailSchema } from '@millrace/proto/common';
import type { Kysely } from 'kysely';

/** An outside catalog and which tables go there. */
export interface Integration extends CatalogSettings {
  /** "namespace.name", "namespace.*" or "*"; empty: all. */
  tables: string[];
  /** Being removed: nothing is published there any more, some tables may still wait to be withdrawn. */
  removing: boolean;
}

/** One table in one catalog. */
export interface PublicationRecord {
  integration: string;
  table: TableName;
  /** What was published last; empty: nothing yet. */
  pointer: string;
  /** What was about to be published when the service stopped; empty otherwise. */
  pendingPointer: string;
  /** What the catalog showed last; empty: no such table. */
  seenPointer: string;
  /** The last check found something else than what was published; it has been repaired unless there is an error. */
  drifted: boolean;
  /** The ledger's version that the pointer shows: whose traces have been continued. */
  ledgerVersion: bigint;
  publishedMs: number;
  checkedMs: number;
  error: ErrorDetail | undefined;
}

export const newPublication = (integration: string, table: TableName): PublicationRecord => ({
  integration,
  table,
  pointer: '',
  pendingPointer: '',
  seenPointer: '',
  drifted: false,
  ledgerVersion: 0n,
  publishedMs: 0,
  checkedMs: 0,
  error: undefined,
});

interface Schema extends OwnerSchema {
  integrations: {
    name: string;
    kind: string;
    uri: string;
    warehouse: string;
    namespace: string;
    token_source: string;
    tables_json: string;
    removing: number;
  };
  publications: {
    integration: string;
    table_namespace: string;
    table_name: string;
    pointer: string;
    pending_pointer: string;
    seen_pointer: string;
    drifted: number;
    ledger_version: number;
    published_ms: number;
    checked_ms: number;
    error_json: string;
  };
}

const migrations: Migration[] = [
  {
    name: '0001-publisher',
    async up(db) {
      await db.schema
        .createTable('integrations')
        .addColumn('name', 'text', (c) => c.primaryKey())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('uri', 'text', (c) => c.notNull())
        .addColumn('warehouse', 'text', (c) => c.notNull())
        .addColumn('namespace', 'text', (c) => c.notNull())
        .addColumn('token_source', 'text', (c) => c.notNull())
        .addColumn('tables_json', 'text', (c) => c.notNull())
        .addColumn('removing', 'integer', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('publications')
        .addColumn('integration', 'text', (c) => c.notNull().references('integrations.name'))
        .addColumn('table_namespace', 'text', (c) => c.notNull())
        .addColumn('table_name', 'text', (c) => c.notNull())
        .addColumn('pointer', 'text', (c) => c.notNull())
        .addColumn('pending_pointer', 'text', (c) => c.notNull())
        .addColumn('seen_pointer', 'text', (c) => c.notNull())
        .addColumn('drifted', 'integer', (c) => c.notNull())
        .addColumn('published_ms', 'bigint', (c) => c.notNull())
        .addColumn('checked_ms', 'bigint', (c) => c.notNull())
        .addColumn('error_json', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('publications_key', ['integration', 'table_namespace', 'table_name'])
        .execute();
    },
  },
  {
    name: '0002-ledger-version',
    up: (db) =>
      db.schema
        .alterTable('publications')
        .addColumn('ledger_version', 'bigint', (c) => c.notNull().defaultTo(0))
        .execute(),
  },
  ownersMigration,
];

export interface PublisherStore {
  integrations(): Promise<Integration[]>;
  /** `already-exists` (code "unique-violation") when the name is taken. */
  addIntegration(integration: Integration): Promise<void>;
  markRemoving(name: string): Promise<void>;
  /** With its publications. */
  deleteIntegration(name: string): Promise<void>;
  /** Ordered by integration and table; of all integrations when `integration` is empty. */
  publications(integration: string): Promise<PublicationRecord[]>;
  publication(integration: string, table: TableName): Promise<PublicationRecord | undefined>;
  /** Both are refused (`conflict`, "owner-stale") when `owned` is another replica's by now. */
  save(record: PublicationRecord, owned?: Owned): Promise<void>;
  deletePublication(integration: string, table: TableName, owned?: Owned): Promise<void>;
  /** Whether a replica works on a table of the integration. */
  isOwned(integration: string): Promise<boolean>;
  database: Database<OwnerSchema>;
  close(): Promise<void>;
}

/** What replicas own: a table in a catalog. Names of namespaces and tables hold no slash. */
export const KIND = 'publication';
export const subjectOf = (integration: string, { namespace, name }: TableName): string =>
  `${namespace}/${name}/${integration}`;
export function pairOf(subject: string): { integration: string; table: TableName } {
  const [namespace = '', name = '', ...rest] = subject.split('/');
  return { integration: rest.join('/'), table: { namespace, name } };
}

/** What catalog-publisher remembers. Secrets are not among it: a token source only names where the token is. */
export async function openPublisherStore(url: string): Promise<PublisherStore> {
  const database = await openDatabase<Schema>(url, migrations);
  const { db, close } = database;
  const fenced = <T>(owned: Owned | undefined, action: (trx: Kysely<Schema>) => Promise<T>): Promise<T> =>
    owned === undefined
      ? action(db)
      : db.transaction().execute(async (trx) => {
          await checkOwner(trx, KIND, owned);
          return action(trx);
        });
  const one = (integration: string, table: TableName) =>
    ({ integration, table_namespace: table.namespace, table_name: table.name }) as const;
  return {
    close,
    database: database as unknown as Database<OwnerSchema>,
    async isOwned(integration) {
      const rows = await db
        .selectFrom('owners')
        .select('subject')
        .where('kind', '=', KIND)
        .where('replica', 'is not', null)
        .execute();
      return rows.some(({ subject }) => pairOf(subject).integration === integration);
    },
    async integrations() {
      const rows = await db.selectFrom('integrations').selectAll().orderBy('name').execute();
      return rows.map((row) => ({
        name: row.name,
        kind: row.kind as Integration['kind'],
        uri: row.uri,
        warehouse: row.warehouse,
        namespace: row.namespace,
        tokenSource: row.token_source,
        tables: JSON.parse(row.tables_json) as string[],
        removing: row.removing === 1,
      }));
    },
    async addIntegration({ tokenSource, tables, removing, ...same }) {
      const row = {
        ...same,
        token_source: tokenSource,
        tables_json: JSON.stringify(tables),
        removing: removing ? 1 : 0,
      };
      await db.insertInto('integrations').values(row).execute();
    },
    async markRemoving(name) {
      await db.updateTable('integrations').set({ removing: 1 }).where('name', '=', name).execute();
    },
    async deleteIntegration(name) {
      await db.transaction().execute(async (trx) => {
        await trx.deleteFrom('publications').where('integration', '=', name).execute();
        await trx.deleteFrom('integrations').where('name', '=', name).execute();
      });
    },
    async publications(integration) {
      let query = db.selectFrom('publications').selectAll();
      if (integration !== '') query = query.where('integration', '=', integration);
      const rows = await query.orderBy('integration').orderBy('table_namespace').orderBy('table_name').execute();
      return rows.map(toRecord);
    },
    async publication(integration, table) {
      const row = await db
        .selectFrom('publications')
        .selectAll()
        .where('integration', '=', integration)
        .where('table_namespace', '=', table.namespace)
        .where('table_name', '=', table.name)
        .executeTakeFirst();
      return row === undefined ? undefined : toRecord(row);
    },
    async save(record, owned) {
      const values = {
        pointer: record.pointer,
        pending_pointer: record.pendingPointer,
        seen_pointer: record.seenPointer,
        drifted: record.drifted ? 1 : 0,
        ledger_version: Number(record.ledgerVersion),
        published_ms: record.publishedMs,
        checked_ms: record.checkedMs,
        error_json: record.error === undefined ? '' : toJsonString(ErrorDetailSchema, record.error),
      };
      await fenced(owned, (trx) =>
        trx
          .insertInto('publications')
          .values({ ...one(record.integration, record.table), ...values })
          .onConflict((c) => c.columns(['integration', 'table_namespace', 'table_name']).doUpdateSet(values))
          .execute(),
      );
    },
    async deletePublication(integration, table, owned) {
      await fenced(owned, (trx) =>
        trx
          .deleteFrom('publications')
          .where('integration', '=', integration)
          .where('table_namespace', '=', table.namespace)
          .where('table_name', '=', table.name)
          .execute(),
      );
    },
  };
}

const toRecord = (row: Schema['publications']): PublicationRecord => ({
  integration: row.integration,
  table: { namespace: row.table_namespace, name: row.table_name },
  pointer: row.pointer,
  pendingPointer: row.pending_pointer,
  seenPointer: row.seen_pointer,
  drifted: row.drifted === 1,
  ledgerVersion: BigInt(row.ledger_version),
  publishedMs: row.published_ms,
  checkedMs: row.checked_ms,
  error: row.error_json === '' ? undefined : fromJsonString(ErrorDetailSchema, row.error_json),
});
