import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MillraceError } from '@millrace/base';
import { type Database, openDatabase } from '@millrace/database';
import { testDatabaseUrl } from '@millrace/database/testing';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  dueMs,
  type JobSchema,
  jobHistory,
  jobOwnersMigration,
  jobsMigration,
  type ScheduleSchema,
  schedules,
  schedulesMigration,
} from './index.ts';

let folder: string;
let database: Database<JobSchema & ScheduleSchema>;
const open = async () => {
  database = await openDatabase(testDatabaseUrl(join(folder, 't.db')), [
    jobsMigration,
    schedulesMigration,
    jobOwnersMigration,
  ]);
};
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-tasks-'));
  await open();
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

const job = (subject: string, kind = 'compact') => ({ subject, kind, dryRun: false, owner: 'me' });
const done = { counts: { files: 3 }, summary: '3 files' };

test('one job of a subject runs at a time; another subject is free', async () => {
  const history = jobHistory(database.db);
  const tries = await Promise.allSettled(
    Array.from({ length: 5 }, (_, i) => history.begin(job('a.b', `k${i}`), 1_000)),
  );
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const refused = tries.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
  expect(refused.reason).toMatchObject({ kind: 'conflict', code: 'job-running', retryable: true });
  await history.begin(job('a.c'), 1_000);
  const running = (await history.list('a.b', 10, '')).jobs[0]!;
  expect(running).toMatchObject({ state: 'running', startedMs: 1_000, endedMs: 0 });
  const ended = await history.end(running.jobId, done, 1_500);
  expect(ended).toMatchObject({ state: 'succeeded', endedMs: 1_500, ...done, error: undefined });
  await history.begin(job('a.b'), 2_000);
});

test('a failure is kept with kind, code and context', async () => {
  const history = jobHistory(database.db);
  const { jobId } = await history.begin({ ...job('a.b'), dryRun: true }, 1);
  const error = new MillraceError('unavailable', 'no answer', { code: 'gone', context: { address: 'x:1' } });
  await history.end(jobId, { ...done, error }, 2);
  const [kept] = (await history.list('', 10, '')).jobs;
  expect(kept).toMatchObject({ state: 'failed', dryRun: true, counts: { files: 3 } });
  expect(kept!.error).toBeInstanceOf(MillraceError);
  expect(kept!.error).toMatchObject({
    kind: 'unavailable',
    code: 'gone',
    retryable: true,
    context: { address: 'x:1' },
  });
});

test('what a crash left running is failed at the start, and no longer in the way', async () => {
  const { jobId } = await jobHistory(database.db).begin(job('a.b'), 1_000);
  await database.close();
  await open();
  const history = jobHistory(database.db);
  const other = await history.begin({ ...job('a.c'), owner: 'another' }, 1_500);
  expect(await history.failInterrupted(2_000, ['another'])).toBe(1);
  expect(await history.failInterrupted(2_000, ['another'])).toBe(0);
  const [kept] = (await history.list('a.b', 10, '')).jobs;
  expect(kept).toMatchObject({ jobId, state: 'failed', endedMs: 2_000, error: { code: 'job-interrupted' } });
  // The dead process may still try to end it.
  expect(await history.end(jobId, done, 3_000)).toMatchObject({ state: 'failed', endedMs: 2_000 });
  const next = await history.begin(job('a.b'), 500);
  expect(next.epoch).toBeGreaterThan(kept!.epoch);
  expect(await history.failInterrupted(4_000, [])).toBe(2);
  expect((await history.list('a.c', 1, '')).jobs[0]).toMatchObject({ jobId: other.jobId, state: 'failed' });
});

test('pages are newest first and complete, also among equal times; old records go', async () => {
  const history = jobHistory(database.db, 20);
  for (let i = 0; i < 30; i++) {
    const { jobId } = await history.begin(job('a.b'), 1_000 + Math.floor(i / 4));
    await history.end(jobId, { counts: { i }, summary: '' }, 2_000);
  }
  const pages: number[][] = [];
  let token = '';
  do {
    const { jobs, nextPageToken } = await history.list('a.b', 7, token);
    pages.push(jobs.map(({ startedMs }) => startedMs));
    token = nextPageToken;
  } while (token !== '');
  const times = pages.flat();
  expect(times).toEqual([...times].sort((x, y) => y - x));
  // Records of the oldest kept time are all kept.
  expect(times.length).toBeGreaterThanOrEqual(20);
  expect(times.length).toBeLessThan(24);
  await expect(history.list('', 5, 'nonsense')).rejects.toMatchObject({ kind: 'invalid', code: 'page-token' });
});

test('schedules: first run an interval after the first sight, sooner after failures, off at 0', async () => {
  const plan = schedules(database.db);
  await plan.start([{ subject: 'a.b', kind: 'compact' }], 1_000);
  await plan.start([{ subject: 'a.b', kind: 'compact' }], 9_000);
  const now = async () => (await plan.all())[0]!;
  expect(dueMs(await now(), 500_000)).toBe(501_000);
  for (const [at, due] of [
    [2_000, 62_000],
    [3_000, 123_000],
    [4_000, 244_000],
    [5_000, 485_000],
    [6_000, 506_000],
  ] as const) {
    await plan.ended('a.b', 'compact', true, at);
    expect(dueMs(await now(), 500_000)).toBe(due);
  }
  await plan.ended('a.b', 'compact', false, 7_000);
  expect(await plan.all()).toEqual([{ subject: 'a.b', kind: 'compact', lastMs: 7_000, failures: 0 }]);
  expect(dueMs(await now(), 0)).toBe(Number.POSITIVE_INFINITY);
  await plan.ended('a.c', 'sweep', true, 1);
  expect(await plan.all()).toHaveLength(2);
});

// The refusal is a trigger of SQLite's.
if (testDatabaseUrl().startsWith('sqlite'))
  test('a record that the database did not end, or may have taken, is ended before the next job of the subject', async () => {
    const history = jobHistory(database.db);
    const first = await history.begin(job('a.b'), 1_000);
    const other = await history.begin(job('a.c'), 1_000);
    await sql`create trigger refuse before update on jobs begin select raise(fail, 'not now'); end`.execute(
      database.db,
    );
    await expect(history.end(first.jobId, done, 2_000)).rejects.toThrow('not now');
    await sql`drop trigger refuse`.execute(database.db);
    await history.begin(job('a.b'), 3_000);
    const records = new Map((await history.list('', 10, '')).jobs.map((record) => [record.jobId, record]));
    expect(records.get(first.jobId)).toMatchObject({
      state: 'failed',
      endedMs: 3_000,
      error: { code: 'job-unrecorded' },
    });
    expect(records.get(other.jobId)).toMatchObject({ state: 'running' });
    // Of another process's job nothing is known.
    await expect(jobHistory(database.db).begin(job('a.b'), 4_000)).rejects.toMatchObject({ code: 'job-running' });
  });
