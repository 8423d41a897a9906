import { expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import { toPostgresError } from './postgres-error.ts';
import { postgresUrl } from './postgres-url.ts';

test('a PostgreSQL URL names its schema; the rest goes to the driver', () => {
  expect(postgresUrl('postgresql://u:p%40ss@db:5433/lake?sslmode=verify-full&schema=ledger')).toEqual({
    connectionString: 'postgresql://u:p%40ss@db:5433/lake?sslmode=verify-full',
    schema: 'ledger',
    name: 'postgres://db:5433/lake (schema ledger)',
  });
  expect(postgresUrl('postgres://db/lake')).toMatchObject({ schema: 'public' });
  expect(postgresUrl('sqlite:x')).toBeUndefined();
});

test.each([
  ['postgres://u:secret@db/', 'it names no database'],
  ['postgres://u:secret@db/lake?schema=a,b', 'the schema "a,b" is not a plain name'],
  ['postgres://u:secret@db/lake?schema=Ledger', 'the schema "Ledger" is not a plain name'],
  ['postgres://u:secret@db:port/lake', 'it is not a URL'],
])('%s is refused without its password', (url, why) => {
  expect(() => postgresUrl(url)).toThrow(why);
  expect(() => postgresUrl(url)).not.toThrow('secret');
});

test.each([
  ['23505', 'already-exists', 'unique-violation', false],
  ['23503', 'internal', 'constraint-violation', false],
  ['55P03', 'unavailable', 'database-busy', true],
  ['57P01', 'unavailable', 'database-lost', true],
  ['08006', 'unavailable', 'database-lost', true],
  ['53100', 'exhausted', 'disk-full', true],
  ['28P01', 'unauthenticated', 'database-login', false],
  ['3D000', 'not-found', 'database-missing', false],
  ['ECONNREFUSED', 'unavailable', 'database-lost', true],
  ['42P01', 'internal', 'postgres-42P01', false],
])('the error %s is %s (%s)', (code, kind, name, retryable) => {
  const error = toPostgresError(Object.assign(new Error('said'), { code }), 'the database');
  expect(error).toMatchObject({ kind, code: name, retryable, message: 'the database: said' });
});

test('a server that is not there is unavailable once the wait is over', async () => {
  const opened = openDatabase('postgres://u:secret@127.0.0.1:1/lake', [], { busyTimeoutMs: 100 });
  await expect(opened).rejects.toMatchObject({ kind: 'unavailable', code: 'database-lost' });
  await expect(opened).rejects.not.toThrow('secret');
});
