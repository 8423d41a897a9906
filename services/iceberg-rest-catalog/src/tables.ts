import { isKind } from '@millrace/base';
import {
  readMetadata,
  type TableFiles,
  type TableMetadata,
  withPreviousMetadata,
  writeMetadata,
} from '@millrace/iceberg';
import type { Kysely } from 'kysely';
import type { CatalogSchema } from './catalog-database.ts';
import {
  commitFailed,
  formatIdent,
  noSuchNamespace,
  noSuchTable,
  type TableIdent,
  tableExists,
} from './catalog-errors.ts';
import { namespaceKey } from './namespaces.ts';
import { type Page, type PageRequest, page } from './page.ts';

export interface CatalogTable {
  ident: TableIdent;
  metadataLocation: string;
  metadata: TableMetadata;
  /** The table's UUID in the ledger when a topic feeds it. */
  ledgerUuid?: string;
}

/** What a commit makes of a table. */
export interface TableChange {
  metadata: TableMetadata;
  /** Files that were written for it: removed when another commit came first. */
  written?: string[];
}

export interface TableCommit {
  ident: TableIdent;
  change(base: CatalogTable): TableChange | Promise<TableChange>;
}

/** Table pointers and the metadata they point at; every change is a compare-and-swap. */
export interface Tables {
  find(ident: TableIdent): Promise<CatalogTable | undefined>;
  /** Throws NoSuchTableException. */
  get(ident: TableIdent): Promise<CatalogTable>;
  list(namespace: TableIdent['namespace'], request: PageRequest): Promise<Page<TableIdent>>;
  /** Locations of the tables that topics feed. */
  fedLocations(): Promise<string[]>;
  create(ident: TableIdent, metadata: TableMetadata, ledgerUuid?: string): Promise<CatalogTable>;
  /** Points a new table, or with `overwrite` an old one, at metadata that is there already. */
  register(ident: TableIdent, metadataLocation: string, overwrite: boolean): Promise<CatalogTable>;
  /** All of the commits or none; each is made again on new metadata while others come first. */
  commit(commits: TableCommit[], attempts?: number): Promise<CatalogTable[]>;
  /** Replaces the table by another one of the same name. */
  replace(base: CatalogTable, metadata: TableMetadata, ledgerUuid: string): Promise<CatalogTable>;
  rename(from: TableIdent, to: TableIdent): Promise<void>;
  /** Takes the table out of the catalog; no file is touched. With `ledgerUuid` only that one: NoSuchTableException else. */
  drop(ident: TableIdent, ledgerUuid?: string): Promise<void>;
}

const ATTEMPTS = 10;
/** Of all cached metadata: of each its snapshots, which are most of it (about 2 KB each), and a few more for the rest. */
const CACHED_SNAPSHOTS = 30_000;
const REST_OF_METADATA = 3;

export function catalogTables(db: Kysely<CatalogSchema>, files: TableFiles): Tables {
  const cached = metadataCache(files);

  async function load(ident: TableIdent, row: CatalogSchema['tables']): Promise<CatalogTable> {
    return {
      ident,
      metadataLocation: row.metadata_location,
      metadata: await cached.read(row.metadata_location),
      ...(row.ledger_uuid === null ? {} : { ledgerUuid: row.ledger_uuid }),
    };
  }

  const selectRow = (handle: Kysely<CatalogSchema>, ident: TableIdent) =>
    handle
      .selectFrom('tables')
      .selectAll()
      .where('namespace', '=', namespaceKey(ident.namespace))
      .where('name', '=', ident.name)
      .executeTakeFirst();

  async function find(ident: TableIdent): Promise<CatalogTable | undefined> {
    const row = await selectRow(db, ident);
    return row === undefined ? undefined : load(ident, row);
  }

  async function get(ident: TableIdent): Promise<CatalogTable> {
    const table = await find(ident);
    if (table === undefined) throw noSuchTable(ident);
    return table;
  }

  async function checkNamespace(handle: Kysely<CatalogSchema>, ident: TableIdent): Promise<void> {
    const key = namespaceKey(ident.namespace);
    const row = await handle.selectFrom('namespaces').select('name').where('name', '=', key).executeTakeFirst();
    if (row === undefined) throw noSuchNamespace(ident.namespace);
  }

  async function insert(ident: TableIdent, location: string, ledgerUuid: string | undefined): Promise<void> {
    const row = { namespace: namespaceKey(ident.namespace), name: ident.name, metadata_location: location };
    try {
      await db.transaction().execute(async (trx) => {
        await checkNamespace(trx, ident);
        await trx
          .insertInto('tables')
          .values({ ...row, ledger_uuid: ledgerUuid ?? null })
          .execute();
      });
    } catch (error) {
      throw isKind(error, 'already-exists') ? tableExists(ident) : error;
    }
  }

  /** Swaps pointers in one transaction; false when one of them had moved. */
  async function swap(moves: { base: CatalogTable; to: string; ledgerUuid?: string }[]): Promise<boolean> {
    const moved = new Error();
    try {
      await db.transaction().execute(async (trx) => {
        for (const { base, to, ledgerUuid } of moves) {
          const result = await trx
            .updateTable('tables')
            .set({ metadata_location: to, ...(ledgerUuid === undefined ? {} : { ledger_uuid: ledgerUuid }) })
            .where('namespace', '=', namespaceKey(base.ident.namespace))
            .where('name', '=', base.ident.name)
            .where('metadata_location', '=', base.metadataLocation)
            .executeTakeFirst();
          if (result.numUpdatedRows !== 1n) throw moved;
        }
      });
      return true;
    } catch (error) {
      if (error === moved) return false;
      throw error;
    }
  }

  const removeAll = (uris: string[]) => Promise.allSettled(uris.map((uri) => files.remove(uri)));

  /** One try of all commits; undefined when another commit came first. */
  async function tryCommit(commits: TableCommit[]): Promise<CatalogTable[] | undefined> {
    const written: string[] = [];
    const moves: { base: CatalogTable; to: string; result: CatalogTable }[] = [];
    try {
      for (const { ident, change } of commits) {
        const base = await get(ident);
        const made = await change(base);
        written.push(...(made.written ?? []));
        if (made.metadata === base.metadata) {
          moves.push({ base, to: base.metadataLocation, result: base });
          continue;
        }
        const metadata = withPreviousMetadata(made.metadata, base.metadata, base.metadataLocation);
        const to = await writeMetadata(files, metadata, base.metadataLocation);
        written.push(to);
        moves.push({ base, to, result: { ...base, metadataLocation: to, metadata } });
      }
    } catch (error) {
      await removeAll(written);
      throw error;
    }
    // Files stay when the database fails: whether it took the change is not known then, and orphans are swept.
    const changed = moves.filter(({ base, to }) => base.metadataLocation !== to);
    if (changed.length === 0 || (await swap(changed))) {
      for (const { base, result } of moves) {
        // What the table was before is hardly asked for again.
        cached.drop(base.metadataLocation);
        cached.keep(result);
      }
      return moves.map(({ result }) => result);
    }
    await removeAll(written);
    return undefined;
  }

  return {
    find,
    get,
    async list(namespace, request) {
      await checkNamespace(db, { namespace, name: '' });
      const rows = await db
        .selectFrom('tables')
        .select('name')
        .where('namespace', '=', namespaceKey(namespace))
        .$if(request.after !== undefined, (query) => query.where('name', '>', request.after!))
        .$if(request.size !== undefined, (query) => query.limit(request.size! + 1))
        .orderBy('name')
        .execute();
      return page(
        rows,
        request,
        (row) => row.name,
        (row) => ({ namespace, name: row.name }),
      );
    },
    async fedLocations() {
      const rows = await db
        .selectFrom('tables')
        .select('metadata_location')
        .where('ledger_uuid', 'is not', null)
        .execute();
      const locations: string[] = [];
      for (const row of rows) locations.push((await cached.read(row.metadata_location)).location);
      return locations;
    },
    async create(ident, metadata, ledgerUuid) {
      await checkNamespace(db, ident);
      if ((await selectRow(db, ident)) !== undefined) throw tableExists(ident);
      const metadataLocation = await writeMetadata(files, metadata, undefined);
      await insert(ident, metadataLocation, ledgerUuid).catch(async (error) => {
        if (isKind(error, 'already-exists', 'not-found')) await removeAll([metadataLocation]);
        throw error;
      });
      return { ident, metadataLocation, metadata, ...(ledgerUuid === undefined ? {} : { ledgerUuid }) };
    },
    async register(ident, metadataLocation, overwrite) {
      const metadata = await cached.read(metadataLocation);
      const base = overwrite ? await find(ident) : undefined;
      if (base === undefined) await insert(ident, metadataLocation, undefined);
      else if (!(await swap([{ base, to: metadataLocation }])))
        throw commitFailed(`${formatIdent(ident)} has changed meanwhile`);
      return { ident, metadataLocation, metadata };
    },
    async commit(commits, attempts = ATTEMPTS) {
      for (let attempt = 1; attempt <= attempts; attempt++) {
        const done = await tryCommit(commits);
        if (done !== undefined) return done;
      }
      const names = commits.map(({ ident }) => formatIdent(ident)).join(', ');
      throw commitFailed(`other commits to ${names} came first, ${attempts} times: reload and try again`);
    },
    async replace(base, metadata, ledgerUuid) {
      const to = await writeMetadata(files, metadata, base.metadataLocation);
      if (await swap([{ base, to, ledgerUuid }])) return { ...base, metadataLocation: to, metadata, ledgerUuid };
      await removeAll([to]);
      throw commitFailed(`${formatIdent(base.ident)} has changed meanwhile`);
    },
    async rename(from, to) {
      try {
        await db.transaction().execute(async (trx) => {
          if ((await selectRow(trx, from)) === undefined) throw noSuchTable(from);
          await checkNamespace(trx, to);
          await trx
            .updateTable('tables')
            .set({ namespace: namespaceKey(to.namespace), name: to.name })
            .where('namespace', '=', namespaceKey(from.namespace))
            .where('name', '=', from.name)
            .execute();
        });
      } catch (error) {
        throw isKind(error, 'already-exists') ? tableExists(to) : error;
      }
    },
    async drop(ident, ledgerUuid) {
      const result = await db
        .deleteFrom('tables')
        .where('namespace', '=', namespaceKey(ident.namespace))
        .where('name', '=', ident.name)
        .$if(ledgerUuid !== undefined, (query) => query.where('ledger_uuid', '=', ledgerUuid!))
        .executeTakeFirst();
      if (result.numDeletedRows === 0n) throw noSuchTable(ident);
    },
  };
}

/** Metadata by its location, which never changes: the newest used are kept. */
function metadataCache(files: TableFiles) {
  const entries = new Map<string, TableMetadata>();
  const weightOf = (metadata: TableMetadata): number => metadata.snapshots.length + REST_OF_METADATA;
  let weight = 0;
  const drop = (metadataLocation: string): void => {
    const metadata = entries.get(metadataLocation);
    if (metadata !== undefined && entries.delete(metadataLocation)) weight -= weightOf(metadata);
  };
  const keep = ({ metadataLocation, metadata }: Pick<CatalogTable, 'metadataLocation' | 'metadata'>): void => {
    drop(metadataLocation);
    entries.set(metadataLocation, metadata);
    weight += weightOf(metadata);
    while (weight > CACHED_SNAPSHOTS && entries.size > 1) drop(entries.keys().next().value!);
  };
  return {
    keep,
    drop,
    async read(metadataLocation: string): Promise<TableMetadata> {
      const metadata = entries.get(metadataLocation) ?? (await readMetadata(files, metadataLocation));
      keep({ metadataLocation, metadata });
      return metadata;
    },
  };
}
