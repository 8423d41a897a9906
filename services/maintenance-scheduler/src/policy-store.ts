import type { TableName } from '@millrace/base';
import type { Migration } from '@millrace/database';
import type { Kysely } from 'kysely';
import { type PolicySource, type PolicyValues, resolvePolicy } from './policy.ts';

export interface PolicySchema {
  policies: { namespace: string; name: string; values_json: string };
}

export const policiesMigration: Migration = {
  name: '0001-policies',
  async up(db) {
    await db.schema
      .createTable('policies')
      .addColumn('namespace', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('values_json', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('policies_key', ['namespace', 'name'])
      .execute();
  },
};

export interface PolicyStore {
  /**
   * Sets these fields of a scope (a table; a namespace: name empty; the default: both empty) and leaves its others as
   * they are. No field at all: the scope sets nothing any more.
   */
  set(scope: TableName, values: Partial<PolicyValues>): Promise<void>;
  /** What holds for a table, a namespace or by default. */
  resolve(scope: TableName): Promise<ReturnType<typeof resolvePolicy>>;
  /** The same for any number of scopes, as all policies stand now: one question for thousands of tables. */
  resolver(): Promise<(scope: TableName) => ReturnType<typeof resolvePolicy>>;
}

export function policyStore(db: Kysely<PolicySchema>): PolicyStore {
  type Values = Partial<PolicyValues>;
  const at = (from: Kysely<PolicySchema>, scope: TableName) =>
    from
      .selectFrom('policies')
      .select('values_json')
      .where('namespace', '=', scope.namespace)
      .where('name', '=', scope.name)
      .executeTakeFirst()
      .then((row) => JSON.parse(row?.values_json ?? '{}') as Values);

  async function resolver() {
    const rows = await db.selectFrom('policies').selectAll().execute();
    const all = new Map(rows.map((row) => [`${row.namespace}.${row.name}`, JSON.parse(row.values_json) as Values]));
    return ({ namespace, name }: TableName) => {
      const scopes: [PolicySource, string][] = [
        ['table', `${namespace}.${name}`],
        ['namespace', `${namespace}.`],
        ['default', '.'],
      ];
      const own = scopes.slice(name !== '' ? 0 : namespace !== '' ? 1 : 2);
      return resolvePolicy(own.map(([source, key]) => ({ source, values: all.get(key) ?? {} })));
    };
  }

  return {
    async set({ namespace, name }, values) {
      await db.transaction().execute(async (trx) => {
        const before = Object.keys(values).length === 0 ? {} : await at(trx, { namespace, name });
        const values_json = JSON.stringify({ ...before, ...values });
        await trx
          .insertInto('policies')
          .values({ namespace, name, values_json })
          .onConflict((c) => c.columns(['namespace', 'name']).doUpdateSet({ values_json }))
          .execute();
      });
    },
    resolve: async (scope) => (await resolver())(scope),
    resolver,
  };
}
