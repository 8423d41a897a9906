import { isKind, MillraceError } from '@millrace/base';
import type { Kysely } from 'kysely';
import type { CatalogSchema } from './catalog-database.ts';
import { type Namespace, namespaceExists, namespaceNotEmpty, noSuchNamespace } from './catalog-errors.ts';
import { type Page, type PageRequest, page } from './page.ts';

const SEPARATOR = '\u001f';
const MAX_LEVELS = 16;

export const namespaceKey = (namespace: Namespace): string => namespace.join(SEPARATOR);
export const namespaceOf = (key: string): Namespace => key.split(SEPARATOR);

export interface PropertiesChange {
  updated: string[];
  removed: string[];
  missing: string[];
}

/** Namespaces, nested by levels; a nested one needs its parent. */
export interface Namespaces {
  create(namespace: Namespace, properties: Record<string, string>): Promise<void>;
  /** Also for those that exist. */
  ensure(namespace: Namespace): Promise<void>;
  properties(namespace: Namespace): Promise<Record<string, string>>;
  /** The children of `parent`, or those of the first level. */
  list(parent: Namespace, request: PageRequest): Promise<Page<Namespace>>;
  update(namespace: Namespace, removals: string[], updates: Record<string, string>): Promise<PropertiesChange>;
  drop(namespace: Namespace): Promise<void>;
}

export function catalogNamespaces(db: Kysely<CatalogSchema>): Namespaces {
  async function propertiesIn(handle: Kysely<CatalogSchema>, namespace: Namespace): Promise<Record<string, string>> {
    const row = await handle
      .selectFrom('namespaces')
      .select('properties_json')
      .where('name', '=', namespaceKey(namespace))
      .executeTakeFirst();
    if (row === undefined) throw noSuchNamespace(namespace);
    return JSON.parse(row.properties_json) as Record<string, string>;
  }

  async function create(namespace: Namespace, properties: Record<string, string>): Promise<void> {
    checkLevels(namespace);
    try {
      await db.transaction().execute(async (trx) => {
        if (namespace.length > 1) await propertiesIn(trx, namespace.slice(0, -1));
        const row = { name: namespaceKey(namespace), properties_json: JSON.stringify(properties) };
        await trx.insertInto('namespaces').values(row).execute();
      });
    } catch (error) {
      throw isKind(error, 'already-exists') ? namespaceExists(namespace) : error;
    }
  }

  return {
    create,
    async ensure(namespace) {
      await create(namespace, {}).catch((error) => {
        if (!isKind(error, 'already-exists')) throw error;
      });
    },
    properties: (namespace) => propertiesIn(db, namespace),
    async list(parent, request) {
      if (parent.length > 0) await propertiesIn(db, parent);
      const prefix = parent.length === 0 ? '' : namespaceKey(parent) + SEPARATOR;
      const rows = await db
        .selectFrom('namespaces')
        .select('name')
        .$if(prefix !== '', (query) =>
          // The character after the separator bounds the prefix's range of the key's index.
          query.where('name', '>=', prefix).where('name', '<', namespaceKey(parent) + '\u0020'),
        )
        .$if(request.after !== undefined, (query) => query.where('name', '>', request.after!))
        .orderBy('name')
        .execute();
      const children = rows.map((row) => row.name).filter((name) => !name.slice(prefix.length).includes(SEPARATOR));
      return page(children, request, (name) => name, namespaceOf);
    },
    update: (namespace, removals, updates) =>
      db.transaction().execute(async (trx) => {
        const properties = await propertiesIn(trx, namespace);
        const removed = removals.filter((key) => key in properties);
        for (const key of removed) delete properties[key];
        Object.assign(properties, updates);
        await trx
          .updateTable('namespaces')
          .set({ properties_json: JSON.stringify(properties) })
          .where('name', '=', namespaceKey(namespace))
          .execute();
        return {
          updated: Object.keys(updates),
          removed,
          missing: removals.filter((key) => !removed.includes(key)),
        };
      }),
    drop: (namespace) =>
      db.transaction().execute(async (trx) => {
        const key = namespaceKey(namespace);
        await propertiesIn(trx, namespace);
        const table = await trx.selectFrom('tables').select('name').where('namespace', '=', key).executeTakeFirst();
        if (table !== undefined) throw namespaceNotEmpty(namespace, `tables, such as ${table.name}`);
        const child = await trx
          .selectFrom('namespaces')
          .select('name')
          .where('name', '>=', key + SEPARATOR)
          .where('name', '<', key + '\u0020')
          .executeTakeFirst();
        if (child !== undefined) throw namespaceNotEmpty(namespace, 'nested namespaces');
        await trx.deleteFrom('namespaces').where('name', '=', key).execute();
      }),
  };
}

function checkLevels(namespace: Namespace): void {
  const broken =
    namespace.length === 0 ||
    namespace.length > MAX_LEVELS ||
    namespace.some((level) => level === '' || level.length > 200 || level.includes(SEPARATOR));
  if (broken) {
    throw new MillraceError(
      'invalid',
      `Invalid namespace ${JSON.stringify(namespace)}: use 1 to ${MAX_LEVELS} levels of 1 to 200 characters without U+001F`,
      { code: 'BadRequestException' },
    );
  }
}
