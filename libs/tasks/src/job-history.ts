import { randomBytes } from 'node:crypto';
import { type ErrorKind, isKind, MillraceError } from '@millrace/base';
import type { Migration } from '@millrace/database';
import { type Generated, type Kysely, type Selectable, sql } from 'kysely';

export type JobState = 'running' | 'succeeded' | 'failed';

/** One run of a job for a subject (a table). */
export interface JobRecord {
  jobId: string;
  /** Of its subject's jobs: this one came after all that have a smaller one. */
  epoch: number;
  subject: string;
  kind: string;
  dryRun: boolean;
  state: JobState;
  startedMs: number;
  /** 0 while it runs. */
  endedMs: number;
  /** What it did, by name. */
  counts: Record<string, number>;
  summary: string;
  error: MillraceError | undefined;
}

export interface JobOutcome {
  counts: Record<string, number>;
  summary: string;
  /** Set: the job failed; counts still say what had been done. */
  error?: MillraceError;
}

export interface JobSchema {
  jobs: {
    job_id: string;
    subject: string;
    kind: string;
    dry_run: number;
    state: JobState;
    started_ms: number;
    ended_ms: number;
    counts_json: string;
    summary: string;
    error_json: string;
    /** The process that runs it. */
    owner: Generated<string>;
    /** Larger than that of every earlier job of the subject. */
    epoch: Generated<number>;
  };
}

export const jobsMigration: Migration = {
  name: 'tasks-0001-jobs',
  async up(db) {
    await db.schema
      .createTable('jobs')
      .addColumn('job_id', 'text', (c) => c.primaryKey())
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('dry_run', 'integer', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('started_ms', 'bigint', (c) => c.notNull())
      .addColumn('ended_ms', 'bigint', (c) => c.notNull())
      .addColumn('counts_json', 'text', (c) => c.notNull())
      .addColumn('summary', 'text', (c) => c.notNull())
      .addColumn('error_json', 'text', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('jobs_started').on('jobs').columns(['started_ms', 'job_id']).execute();
    await db.schema.createIndex('jobs_subject').on('jobs').columns(['subject', 'started_ms', 'job_id']).execute();
    // Whatever the processes believe: the database lets one job of a subject run.
    await sql`create unique index jobs_running on jobs (subject) where state = 'running'`.execute(db);
  },
};

export const jobOwnersMigration: Migration = {
  name: 'tasks-0002-owners',
  async up(db) {
    await db.schema
      .alterTable('jobs')
      .addColumn('owner', 'text', (c) => c.notNull().defaultTo(''))
      .execute();
    await db.schema
      .alterTable('jobs')
      .addColumn('epoch', 'bigint', (c) => c.notNull().defaultTo(0))
      .execute();
  },
};

export interface JobHistory {
  /** `conflict` (code "job-running") when a job of the subject runs. */
  begin(job: { subject: string; kind: string; dryRun: boolean; owner: string }, nowMs: number): Promise<JobRecord>;
  /** Ends a running job, and drops the subject's oldest records beyond `keepCount`. */
  end(jobId: string, outcome: JobOutcome, nowMs: number): Promise<JobRecord>;
  /** Newest first. `subject` empty: all. The token is the one that the page before gave. */
  list(subject: string, pageSize: number, pageToken: string): Promise<{ jobs: JobRecord[]; nextPageToken: string }>;
  /** Ends the running jobs of owners that live no more. How many there were. */
  failInterrupted(nowMs: number, liveOwners: readonly string[]): Promise<number>;
}

export function jobHistory(db: Kysely<JobSchema>, keepCount = 500): JobHistory {
  const read = async (jobId: string): Promise<JobRecord> => {
    const row = await db.selectFrom('jobs').selectAll().where('job_id', '=', jobId).executeTakeFirst();
    if (row === undefined) throw new MillraceError('not-found', `there is no job ${jobId}`, { code: 'job-unknown' });
    return toRecord(row);
  };
  /** Jobs that this process began and has not ended in the database. `runs` false: it does not say what it took. */
  const begun = new Map<string, { subject: string; runs: boolean }>();

  async function endUnrecorded(ofSubject: string, nowMs: number): Promise<void> {
    for (const [jobId, { subject, runs }] of begun) {
      if (runs || subject !== ofSubject) continue;
      await db
        .updateTable('jobs')
        .set({ state: 'failed', ended_ms: nowMs, summary: 'interrupted', error_json: errorToJson(UNRECORDED) })
        .where('job_id', '=', jobId)
        .where('state', '=', 'running')
        .execute();
      begun.delete(jobId);
    }
  }

  return {
    async begin({ subject, kind, dryRun, owner }, nowMs) {
      await endUnrecorded(subject, nowMs);
      const jobId = `${nowMs.toString(36).padStart(9, '0')}-${randomBytes(5).toString('hex')}`;
      const values = { job_id: jobId, subject, kind, dry_run: dryRun ? 1 : 0, owner, started_ms: nowMs, ...RUNNING };
      const entry = { subject, runs: true };
      begun.set(jobId, entry);
      try {
        return await db.transaction().execute(async (trx) => {
          const last = await trx
            .selectFrom('jobs')
            .select((e) => e.fn.max('epoch').as('epoch'))
            .where('subject', '=', subject)
            .executeTakeFirst();
          // By the clock, so that it also grows past what a lost history had.
          const row = { ...values, epoch: Math.max(nowMs, (last?.epoch ?? 0) + 1) };
          await trx.insertInto('jobs').values(row).execute();
          return toRecord(row);
        });
      } catch (error) {
        entry.runs = false;
        if (!isKind(error, 'already-exists')) throw error;
        begun.delete(jobId);
        throw new MillraceError('conflict', `a job of ${subject} is running: try again when it has ended`, {
          code: 'job-running',
          context: { subject },
        });
      }
    },

    async end(jobId, { counts, summary, error }, nowMs) {
      const values = {
        state: error === undefined ? ('succeeded' as const) : ('failed' as const),
        ended_ms: nowMs,
        counts_json: JSON.stringify(counts),
        summary,
        error_json: error === undefined ? '' : errorToJson(error),
      };
      const entry = begun.get(jobId);
      if (entry !== undefined) entry.runs = false;
      await db.updateTable('jobs').set(values).where('job_id', '=', jobId).where('state', '=', 'running').execute();
      begun.delete(jobId);
      const record = await read(jobId);
      await prune(db, record.subject, keepCount);
      return record;
    },

    async list(subject, pageSize, pageToken) {
      let query = db.selectFrom('jobs').selectAll();
      if (subject !== '') query = query.where('subject', '=', subject);
      if (pageToken !== '') {
        const { startedMs, jobId } = parseToken(pageToken);
        query = query.where((e) =>
          e.or([e('started_ms', '<', startedMs), e.and([e('started_ms', '=', startedMs), e('job_id', '<', jobId)])]),
        );
      }
      const rows = await query
        .orderBy('started_ms', 'desc')
        .orderBy('job_id', 'desc')
        .limit(pageSize + 1)
        .execute();
      const jobs = rows.slice(0, pageSize).map(toRecord);
      const last = jobs.at(-1);
      return { jobs, nextPageToken: rows.length > pageSize ? `${last!.startedMs}/${last!.jobId}` : '' };
    },

    async failInterrupted(nowMs, liveOwners) {
      const error = new MillraceError('cancelled', 'the scheduler ended while the job ran; it runs again when due', {
        code: 'job-interrupted',
      });
      const { numUpdatedRows } = await db
        .updateTable('jobs')
        .set({ state: 'failed', ended_ms: nowMs, summary: 'interrupted', error_json: errorToJson(error) })
        .where('state', '=', 'running')
        .$if(liveOwners.length > 0, (query) => query.where('owner', 'not in', liveOwners))
        .executeTakeFirstOrThrow();
      return Number(numUpdatedRows);
    },
  };
}

const UNRECORDED = new MillraceError('unavailable', 'the database was not there when the job began or ended', {
  code: 'job-unrecorded',
});

const RUNNING = { state: 'running' as const, ended_ms: 0, counts_json: '{}', summary: '', error_json: '' };

async function prune(db: Kysely<JobSchema>, subject: string, keepCount: number): Promise<void> {
  const oldest = await db
    .selectFrom('jobs')
    .select(['started_ms'])
    .where('subject', '=', subject)
    .orderBy('started_ms', 'desc')
    .orderBy('job_id', 'desc')
    .offset(keepCount - 1)
    .limit(1)
    .executeTakeFirst();
  if (oldest === undefined) return;
  await db
    .deleteFrom('jobs')
    .where('subject', '=', subject)
    .where('started_ms', '<', oldest.started_ms)
    .where('state', '!=', 'running')
    .execute();
}

function parseToken(token: string): { startedMs: number; jobId: string } {
  const match = /^(\d{1,15})\/([\w-]+)$/.exec(token);
  if (match === null) {
    throw new MillraceError('invalid', `page token ${JSON.stringify(token)} is not one that a listing gave`, {
      code: 'page-token',
    });
  }
  return { startedMs: Number(match[1]), jobId: match[2]! };
}

const errorToJson = ({ kind, code, message, retryable, context }: MillraceError): string =>
  JSON.stringify({ kind, code, message, retryable, context });

function errorFromJson(text: string): MillraceError {
  const { kind, message, ...options } = JSON.parse(text) as {
    kind: ErrorKind;
    code: string;
    message: string;
    retryable: boolean;
    context: Record<string, string>;
  };
  return new MillraceError(kind, message, options);
}

const toRecord = (row: Selectable<JobSchema['jobs']>): JobRecord => ({
  jobId: row.job_id,
  epoch: row.epoch,
  subject: row.subject,
  kind: row.kind,
  dryRun: row.dry_run === 1,
  state: row.state,
  startedMs: row.started_ms,
  endedMs: row.ended_ms,
  counts: JSON.parse(row.counts_json) as Record<string, number>,
  summary: row.summary,
  error: row.error_json === '' ? undefined : errorFromJson(row.error_json),
});
