import type { Kysely, Transaction } from 'kysely';

/** Runs an action in the transaction that it is given, or in one of its own. */
export const transact = <Schema, T>(
  db: Kysely<Schema> | Transaction<Schema>,
  action: (trx: Transaction<Schema>) => Promise<T>,
): Promise<T> => (db.isTransaction ? action(db as Transaction<Schema>) : db.transaction().execute(action));
