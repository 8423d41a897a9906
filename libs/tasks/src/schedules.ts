import type { Migration } from '@millrace/database';
import type { Kysely } from 'kysely';

/** When a job of a subject ran last, however it was started. */
export interface Schedule {
  subject: string;
  kind: string;
  /** The end of the last run; before the first, when the subject was first seen. */
  lastMs: number;
  /** Failures in a row. */
  failures: number;
}

export interface ScheduleSchema {
  schedules: { subject: string; kind: string; last_ms: number; failures: number };
}

export const schedulesMigration: Migration = {
  name: 'tasks-0001-schedules',
  async up(db) {
    await db.schema
      .createTable('schedules')
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('last_ms', 'bigint', (c) => c.notNull())
      .addColumn('failures', 'integer', (c) => c.notNull())
      .addPrimaryKeyConstraint('schedules_key', ['subject', 'kind'])
      .execute();
  },
};

const FIRST_RETRY_MS = 60_000;
const ROWS_A_STATEMENT = 500;

/**
 * When a schedule is due under an interval: that long after its last end; after failures sooner, a minute first and
 * twice as long each time, never later than the interval. Infinity when the interval is 0: switched off. The interval
 * is not stored, so a changed policy counts at once.
 */
export function dueMs({ lastMs, failures }: Schedule, intervalMs: number): number {
  if (intervalMs <= 0) return Number.POSITIVE_INFINITY;
  return (
    lastMs + (failures === 0 ? intervalMs : Math.min(intervalMs, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 30)))
  );
}

export interface Schedules {
  all(): Promise<Schedule[]>;
  /** Notes what is new, so that its first run comes one interval from now. */
  start(fresh: readonly Pick<Schedule, 'subject' | 'kind'>[], nowMs: number): Promise<void>;
  ended(subject: string, kind: string, failed: boolean, nowMs: number): Promise<void>;
}

export const schedules = (db: Kysely<ScheduleSchema>): Schedules => ({
  async all() {
    const rows = await db.selectFrom('schedules').selectAll().execute();
    return rows.map(({ last_ms, ...row }) => ({ ...row, lastMs: last_ms }));
  },
  async start(fresh, nowMs) {
    for (let i = 0; i < fresh.length; i += ROWS_A_STATEMENT) {
      const rows = fresh.slice(i, i + ROWS_A_STATEMENT);
      await db
        .insertInto('schedules')
        .values(rows.map(({ subject, kind }) => ({ subject, kind, last_ms: nowMs, failures: 0 })))
        .onConflict((c) => c.doNothing())
        .execute();
    }
  },
  async ended(subject, kind, failed, nowMs) {
    await db
      .insertInto('schedules')
      .values({ subject, kind, last_ms: nowMs, failures: failed ? 1 : 0 })
      .onConflict((c) =>
        c.columns(['subject', 'kind']).doUpdateSet((e) => ({
          last_ms: nowMs,
          failures: failed ? e('schedules.failures', '+', 1) : 0,
        })),
      )
      .execute();
  },
});
