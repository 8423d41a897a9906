import { openDatabase } from '@millrace/database';
import { testDatabaseUrl } from '@millrace/database/testing';
import { expect, test } from 'vitest';
import { BUILT_IN, policyValues, protoName, resolvePolicy } from './policy.ts';
import { type PolicySchema, policiesMigration, policyStore } from './policy-store.ts';

test('the nearest level decides each field', () => {
  const { values, sources } = resolvePolicy([
    { source: 'table', values: { compactMinFiles: 3 } },
    { source: 'namespace', values: { compactMinFiles: 4, sweepGraceMs: 0 } },
    { source: 'default', values: { sweepGraceMs: 7, snapshotKeepCount: 9 } },
  ]);
  expect(values).toEqual({ ...BUILT_IN, compactMinFiles: 3, sweepGraceMs: 0, snapshotKeepCount: 9 });
  expect(sources).toMatchObject({
    compactMinFiles: 'table',
    sweepGraceMs: 'namespace',
    snapshotKeepCount: 'default',
    expireIntervalMs: 'built-in',
  });
});

test('setting a field leaves the others; setting none ends the scope', async () => {
  const { db, close } = await openDatabase<PolicySchema>(testDatabaseUrl(), [policiesMigration]);
  const store = policyStore(db);
  const table = { namespace: 'demo', name: 'orders' };
  await store.set({ namespace: '', name: '' }, { compactMinFiles: 20, snapshotRetentionMs: 5 });
  await store.set(table, { compactMinFiles: 3 });
  await store.set(table, { sweepGraceMs: 1 });
  expect((await store.resolve(table)).values).toEqual({
    ...BUILT_IN,
    compactMinFiles: 3,
    sweepGraceMs: 1,
    snapshotRetentionMs: 5,
  });
  expect((await store.resolve({ namespace: 'demo', name: 'other' })).values.compactMinFiles).toBe(20);
  expect((await store.resolve({ namespace: 'demo', name: '' })).sources.compactMinFiles).toBe('default');
  await store.set(table, {});
  expect((await store.resolve(table)).values.compactMinFiles).toBe(20);
  await close();
});

test('values below the least are refused by their name', () => {
  expect(policyValues({ compactIntervalMs: 0n, compactMinFiles: 2 })).toEqual({
    compactIntervalMs: 0,
    compactMinFiles: 2,
  });
  expect(() => policyValues({ compactMinFiles: 1 })).toThrow('compact_min_files is 1: use 2 or more');
  expect(() => policyValues({ snapshotKeepCount: 0 })).toThrow('snapshot_keep_count is 0: use 1 or more');
  expect(() => policyValues({ sweepGraceMs: -1n })).toThrow('sweep_grace_ms');
  expect(() => policyValues({ sweepGraceMs: 2n ** 60n })).toThrow('sweep_grace_ms');
  expect(protoName('compactSmallFileBytes')).toBe('compact_small_file_bytes');
});
