import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKind } from '@millrace/base';
import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import type { Migration } from './migrations.ts';
import { testDatabaseUrl } from './testing.ts';

interface Schema {
  counter: { name: string; value: number; body: Uint8Array | null };
}

const migrations: Migration[] = [
  {
    name: 'counter',
    async up(db) {
      await db.schema
        .createTable('counter')
        .addColumn('name', 'text', (c) => c.primaryKey())
        .addColumn('value', 'bigint', (c) => c.notNull())
        .addColumn('body', sql`bytea`)
        .execute();
    },
  },
];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-database-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const increment = (db: Kysely<Schema>) =>
  db.transaction().execute(async (trx) => {
    const { value } = await trx.selectFrom('counter').select('value').where('name', '=', 'n').executeTakeFirstOrThrow();
    await new Promise((resolve) => setImmediate(resolve));
    await trx
      .updateTable('counter')
      .set({ value: value + 1 })
      .where('name', '=', 'n')
      .execute();
  });

describe('openDatabase', () => {
  test('keeps numbers, bytes and nulls, on disk', async () => {
    const url = testDatabaseUrl(join(folder, 'a', 'b.db'));
    const first = await openDatabase<Schema>(url, migrations);
    const rows = [
      { name: 'bytes', value: 2 ** 53 - 1, body: Uint8Array.of(0, 255) },
      { name: 'null', value: -1, body: null },
    ];
    await first.db.insertInto('counter').values(rows).execute();
    await first.close();
    const second = await openDatabase<Schema>(url, migrations);
    expect(await second.db.selectFrom('counter').selectAll().orderBy('name').execute()).toEqual(rows);
    await second.close();
  });

  test('SQLite writes ahead, syncs every commit and checks foreign keys', async () => {
    const { db, close } = await openDatabase<Schema>(`sqlite:${join(folder, 'w.db')}`, migrations);
    const pragmas = await sql<{ journal_mode: string; synchronous: number; foreign_keys: number }>`
      select * from pragma_journal_mode, pragma_synchronous, pragma_foreign_keys`.execute(db);
    expect(pragmas.rows).toEqual([{ journal_mode: 'wal', synchronous: 2, foreign_keys: 1 }]);
    await close();
  });

  test('text is ordered by its bytes', async () => {
    const { db, close } = await openDatabase<Schema>(testDatabaseUrl(), migrations);
    const names = ['a', 'B', '_', 'é', 'z', 'A-', 'AB', '🙂', '\uFFFD'];
    await db
      .insertInto('counter')
      .values(names.map((name) => ({ name, value: 0, body: null })))
      .execute();
    const rows = await db.selectFrom('counter').select('name').orderBy('name').execute();
    const inBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(rows.map((row) => row.name)).toEqual(inBytes);
    await close();
  });

  test('transactions of one process and of two connections never interleave', async () => {
    const url = testDatabaseUrl(join(folder, 'x.db'));
    const [one, two] = await Promise.all([
      openDatabase<Schema>(url, migrations),
      openDatabase<Schema>(url, migrations),
    ]);
    await one.db.insertInto('counter').values({ name: 'n', value: 0, body: null }).execute();
    await Promise.all(Array.from({ length: 40 }, (_, i) => increment(i % 2 === 0 ? one.db : two.db)));
    const row = await two.db.selectFrom('counter').select('value').executeTakeFirstOrThrow();
    expect(row.value).toBe(40);
    await one.close();
    await two.close();
  });

  test('a failed transaction leaves nothing behind', async () => {
    const { db, close } = await openDatabase<Schema>(testDatabaseUrl(), migrations);
    const failed = db.transaction().execute(async (trx) => {
      await trx.insertInto('counter').values({ name: 'n', value: 1, body: null }).execute();
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await db.selectFrom('counter').selectAll().execute()).toEqual([]);
    await close();
  });

  test('a lock held too long is unavailable and retryable; a second key is a unique violation', async () => {
    const url = testDatabaseUrl(join(folder, 'y.db'));
    const one = await openDatabase<Schema>(url, migrations);
    const two = await openDatabase<Schema>(url, migrations, { busyTimeoutMs: 20 });
    await one.db.insertInto('counter').values({ name: 'n', value: 0, body: null }).execute();
    const busy = await one.db.transaction().execute(() => increment(two.db).catch((error: unknown) => error));
    expect(isKind(busy, 'unavailable')).toBe(true);
    expect(busy).toMatchObject({ retryable: true, code: 'database-busy' });
    await increment(two.db);
    await expect(
      one.db.insertInto('counter').values({ name: 'n', value: 0, body: null }).execute(),
    ).rejects.toMatchObject({ kind: 'already-exists', code: 'unique-violation' });
    await one.close();
    await two.close();
  });

  test('a full disk is exhausted, and the transaction can be tried again', async () => {
    const { db, close } = await openDatabase<Schema>(`sqlite:${join(folder, 'z.db')}`, migrations);
    await sql`pragma max_page_count = 20`.execute(db);
    const fill = db.transaction().execute(async (trx) => {
      await trx
        .insertInto('counter')
        .values({ name: 'n', value: 0, body: new Uint8Array(1_000_000) })
        .execute();
    });
    await expect(fill).rejects.toMatchObject({ kind: 'exhausted', code: 'disk-full', retryable: true });
    await db.insertInto('counter').values({ name: 'n', value: 0, body: null }).execute();
    await close();
  });

  test('migrations run once, all or none, and a newer database is refused', async () => {
    const url = testDatabaseUrl(join(folder, 'm.db'));
    const bad: Migration = {
      name: 'bad',
      async up(db) {
        await db.schema.createTable('half').addColumn('a', 'text').execute();
        throw new Error('broken step');
      },
    };
    await (await openDatabase(url, migrations)).close();
    await expect(openDatabase(url, [...migrations, bad])).rejects.toThrow('broken step');
    const again = await openDatabase<Schema>(url, migrations);
    await again.db.selectFrom('counter').selectAll().execute();
    await expect(sql`select * from half`.execute(again.db)).rejects.toThrow('half');
    await again.close();
    await expect(openDatabase(url, [])).rejects.toMatchObject({ kind: 'unsupported', code: 'database-newer' });
  });

  test('a URL of another scheme names the legal ones and hides its password', async () => {
    await expect(openDatabase('mysql://u:secret@h/db', [])).rejects.toThrow(
      'database "mysql:…" is not supported; legal: sqlite:<path of a file>, sqlite::memory:, postgres://user@host:5432/database?schema=name',
    );
  });
});
