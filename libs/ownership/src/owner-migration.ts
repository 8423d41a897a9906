import type { Migration } from '@millrace/database';

export interface OwnerSchema {
  /** Replicas that live: each keeps its row with a lease. */
  owner_replicas: { kind: string; replica: string; incarnation: string; expires_ms: number };
  /** Every subject of a kind; `replica` null: nobody's. The epoch grows with each new owner and is never used twice. */
  owners: { kind: string; subject: string; replica: string | null; epoch: number; note: string };
}

export const ownersMigration: Migration = {
  name: 'ownership-0001',
  async up(db) {
    await db.schema
      .createTable('owner_replicas')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('replica', 'text', (c) => c.notNull())
      .addColumn('incarnation', 'text', (c) => c.notNull())
      .addColumn('expires_ms', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('owner_replicas_key', ['kind', 'replica'])
      .execute();
    await db.schema
      .createTable('owners')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('replica', 'text')
      .addColumn('epoch', 'bigint', (c) => c.notNull())
      .addColumn('note', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('owners_key', ['kind', 'subject'])
      .execute();
  },
};
