import { formatTableName, MillraceError, type TableName, toMillraceError } from '@millrace/base';
import type { JobHistory, JobRecord, Schedules } from '@millrace/tasks';
import { count, failSpan, record as recordMetric, withSpan } from '@millrace/telemetry';
import { compactTable } from './compact-job.ts';
import { expireTable } from './expire-job.ts';
import { folderOf, type JobContext, type JobDeps, type JobRun } from './job-context.ts';
import type { JobName, JobRequest } from './maintenance.ts';
import type { PolicyStore } from './policy-store.ts';
import { sweepTable } from './sweep-job.ts';

export interface RunDeps extends JobDeps {
  /** Names this process among those that run jobs, once it is known to them. */
  owner: () => Promise<string>;
  history: JobHistory;
  schedules: Schedules;
  policies: PolicyStore;
}

const ASK_AGAIN_MS = 500;
const LONGEST_WAIT_MS = 60_000;

const JOBS: Record<JobName, JobRun> = { compact: compactTable, expire: expireTable, sweep: sweepTable };

/**
 * One job from its entry in the history to its end there. A job that fails is a record that says so; what throws has no
 * record: no such table, no ledger, another process's job of the table (`conflict`), a history that can't be written.
 */
export function runJob(deps: RunDeps, name: TableName, request: JobRequest, signal: AbortSignal): Promise<JobRecord> {
  const { history, schedules, policies, clock, logger } = deps;
  const { kind, dryRun } = request;
  const subject = formatTableName(name);
  const attributes = { 'millrace.table': subject, 'millrace.job': kind, 'millrace.dry_run': dryRun };
  return withSpan(`maintenance ${kind}`, { attributes }, async (span) => {
    const { table } = await deps.ledger.getTable({ table: name }, { signal });
    if (table === undefined) throw new MillraceError('not-found', `the ledger has no table ${subject}`);
    const schedule = table.dropped ? purgeSchedule(table.tableUuid) : kind;
    const { jobId, epoch, startedMs: nowMs } = await begin(deps, subject, request, signal);
    const counts: Record<string, number> = {};
    let summary = '';
    let error: MillraceError | undefined;
    try {
      const { values } = await policies.resolve(name);
      const context: JobContext = {
        ...deps,
        jobId,
        epoch: BigInt(epoch),
        name,
        table,
        folder: folderOf(deps.store, table),
        policy: { ...values, ...request.overrides },
        dryRun,
        nowMs,
        signal,
        counts,
      };
      summary = await JOBS[kind](context);
    } catch (thrown) {
      error = toMillraceError(thrown, { table: subject, job: kind });
      summary = `failed: ${error.message}`;
      failSpan(span, error);
    }
    const record = await history.end(
      jobId,
      { counts, summary, ...(error === undefined ? {} : { error }) },
      clock.now(),
    );
    const seconds = (record.endedMs - record.startedMs) / 1e3;
    const outcome = error === undefined ? 'ok' : 'error';
    recordMetric('millrace.maintenance.job.duration', seconds, { 'millrace.job': kind, 'millrace.outcome': outcome });
    for (const [change, by] of Object.entries(dryRun ? {} : counts)) {
      count('millrace.maintenance.changes', by, { 'millrace.job': kind, 'millrace.change': change });
    }
    if (!dryRun) await schedules.ended(subject, schedule, error !== undefined, clock.now());
    const line = { job: jobId, table: subject, kind, dryRun, counts, ms: record.endedMs - record.startedMs };
    if (error === undefined) logger.info(line, summary);
    else logger.warn({ ...line, code: error.code }, summary);
    return record;
  });
}

/** A job that somebody waits for waits for another replica's of the table; one that is due comes again. */
async function begin(
  { history, clock, owner }: RunDeps,
  subject: string,
  { kind, dryRun, automatic }: JobRequest,
  signal: AbortSignal,
): Promise<JobRecord> {
  for (let waitedMs = 0; ; waitedMs += ASK_AGAIN_MS) {
    try {
      return await history.begin({ subject, kind, dryRun, owner: await owner() }, clock.now());
    } catch (error) {
      const isRunning = error instanceof MillraceError && error.code === 'job-running';
      if (!isRunning || automatic || waitedMs >= LONGEST_WAIT_MS) throw error;
      await clock.sleep(ASK_AGAIN_MS, signal);
    }
  }
}

/** A dropped table is purged once; its name may come to mean another table. */
export const purgeSchedule = (tableUuid: string): string => `purge ${tableUuid}`;
