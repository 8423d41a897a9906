import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase } from '@millrace/database';
import { sql } from 'kysely';

/** What is shared among replicas, and where its owners stand: schema and kind. */
export const SHARED = {
  'metadata-discovery': ['metadata_discovery', 'topic'],
  'iceberg-rest-catalog': ['iceberg_rest_catalog', 'iceberg-table'],
  'delta-committer': ['metadata_discovery', 'delta-table'],
  'catalog-publisher': ['catalog_publisher', 'publication'],
  'maintenance-scheduler': ['maintenance_scheduler', 'maintenance-table'],
} as const;
export type SharedService = keyof typeof SHARED;
export const SHARED_SERVICES = Object.keys(SHARED) as SharedService[];

/** Subjects by the replica that owns them; '' holds those that nobody owns. */
export type Owners = Map<string, string[]>;

export interface Observer {
  owners(service: SharedService): Promise<Owners>;
  /** Looks until it is so; answers how long it took. */
  until(service: SharedService, what: string, timeoutMs: number, done: (owners: Owners) => boolean): Promise<number>;
  query<Row>(text: string): Promise<Row[]>;
  close(): Promise<void>;
}

/** Reads what the services keep in PostgreSQL, as no service does. */
export async function observe(url: string): Promise<Observer> {
  const own = new URL(url);
  own.searchParams.set('schema', 'observer');
  const database: Database<object> = await openDatabase(own.href, [], { busyTimeoutMs: 60_000 });
  const query = async <Row>(text: string): Promise<Row[]> => {
    for (let tries = 0; ; tries++) {
      try {
        return (await sql.raw<Row>(text).execute(database.db)).rows;
      } catch (error) {
        // Its connections end with the server, too.
        if (tries === 20) throw error;
        await sleep(500);
      }
    }
  };
  async function owners(service: SharedService): Promise<Owners> {
    const [schema, kind] = SHARED[service];
    const rows = await query<{ subject: string; replica: string | null }>(
      `select subject, replica from ${schema}.owners where kind = '${kind}' order by subject`,
    );
    const found: Owners = new Map();
    for (const { subject, replica } of rows) found.set(replica ?? '', [...(found.get(replica ?? '') ?? []), subject]);
    return found;
  }
  return {
    owners,
    query,
    close: database.close,
    async until(service, what, timeoutMs, done) {
      const startedMs = performance.now();
      for (;;) {
        const now = await owners(service);
        const ms = Math.round(performance.now() - startedMs);
        if (done(now)) return ms;
        if (ms > timeoutMs)
          throw new Error(`${service}: ${what} did not happen within ${timeoutMs} ms: ${JSON.stringify([...now])}`);
        await sleep(50);
      }
    },
  };
}
