import { type ErrorKind, MillraceError, toMillraceError } from '@millrace/base';

// SQLSTATE codes (PostgreSQL documentation, appendix A): the code itself, or its class, the first two characters.
const STATES: Record<string, [ErrorKind, string]> = {
  '23505': ['already-exists', 'unique-violation'],
  '23': ['internal', 'constraint-violation'],
  '55P03': ['unavailable', 'database-busy'], // lock_not_available
  '40001': ['unavailable', 'database-busy'], // serialization_failure
  '40P01': ['unavailable', 'database-busy'], // deadlock_detected
  '25P03': ['unavailable', 'database-lost'], // idle_in_transaction_session_timeout
  '25006': ['unavailable', 'database-lost'], // read_only_sql_transaction: this server became a replica
  '57P05': ['unavailable', 'database-lost'], // idle_session_timeout
  '57P': ['unavailable', 'database-lost'], // admin_shutdown, crash_shutdown, cannot_connect_now
  '08': ['unavailable', 'database-lost'], // connection exceptions
  '53100': ['exhausted', 'disk-full'],
  '53': ['exhausted', 'database-full'], // too_many_connections, out_of_memory
  '28': ['unauthenticated', 'database-login'],
  '3D': ['not-found', 'database-missing'],
  '42501': ['permission', 'database-permission'],
  '58': ['unavailable', 'database-io'],
  XX: ['corrupt', 'database-corrupt'],
};

/** What `pg` says, in words of its own, when a connection ends under a query or can't be made. */
const LOST = /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error/i;

/**
 * Errors of `pg` as MillraceErrors: `already-exists` ("unique-violation"), `unavailable` ("database-busy", another one
 * holds the lock; "database-lost", no connection: what was under way may or may not have been committed), `exhausted`,
 * `unauthenticated`, `permission`. Messages name the database and never hold a password or a value.
 */
export function toPostgresError(thrown: unknown, database: string): unknown {
  if (thrown instanceof MillraceError || !(thrown instanceof Error)) return thrown;
  const state = (thrown as { code?: unknown }).code;
  const known =
    typeof state === 'string' ? (STATES[state] ?? STATES[state.slice(0, 3)] ?? STATES[state.slice(0, 2)]) : undefined;
  const options = { cause: thrown, context: { database } };
  if (known !== undefined && /^[0-9A-Z]{5}$/.test(state as string))
    return new MillraceError(known[0], `${database}: ${thrown.message}`, { ...options, code: known[1] });
  const system = toMillraceError(thrown);
  if (LOST.test(thrown.message) || system.kind === 'unavailable')
    return new MillraceError('unavailable', `${database}: ${thrown.message || system.message}`, {
      ...options,
      code: 'database-lost',
    });
  const code = typeof state === 'string' ? `postgres-${state}` : 'database';
  return new MillraceError(system.kind, `${database}: ${thrown.message}`, { ...options, code });
}
