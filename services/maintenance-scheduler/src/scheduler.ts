import { type Actor, startActor } from '@millrace/actor';
import { createTurns, formatTableName, MillraceError, type TableName, toMillraceError } from '@millrace/base';
import type { Ownership, OwnershipOptions } from '@millrace/ownership';
import type { LedgerTable } from '@millrace/proto/metadata_discovery';
import { dueMs, type JobRecord, type Schedule } from '@millrace/tasks';
import { observe, untraced } from '@millrace/telemetry';
import {
  idleMaintenance,
  JOB_NAMES,
  type JobName,
  type JobRequest,
  type MaintenanceEffect,
  type MaintenanceMessage,
  type MaintenanceState,
  receiveMaintenance,
} from './maintenance.ts';
import { purgeSchedule, type RunDeps, runJob } from './maintenance-effects.ts';
import type { PolicyValues } from './policy.ts';

export interface Scheduler {
  /** Runs a job after those of the table that wait, and resolves with its end, failed or not. */
  run(table: TableName, request: Omit<JobRequest, 'id' | 'automatic'>): Promise<JobRecord>;
  stop(): Promise<void>;
}

export interface SchedulerOptions {
  tickMs: number;
  maxConcurrentJobs: number;
}

const INTERVALS: Record<JobName, keyof PolicyValues> = {
  compact: 'compactIntervalMs',
  expire: 'expireIntervalMs',
  sweep: 'sweepIntervalMs',
};

/** A purge that failed (a projection is still there, say) is tried again after at most this long. */
const PURGE_RETRY_MS = 600_000;
const TABLES_PAGE = 500;

export interface SchedulerDeps extends Omit<RunDeps, 'owner'> {
  /** What is due is told by the table's owner; whoever is asked to run a job runs it. */
  startOwnership: (listener: Pick<OwnershipOptions, 'onGained' | 'onLost'>) => Ownership;
  /** The processes that run jobs. */
  liveOwners: () => Promise<string[]>;
}

/** One actor a table, and a clock that tells each what is due. */
export function startScheduler(givenDeps: SchedulerDeps, options: SchedulerOptions): Scheduler {
  const { clock, logger, ledger, policies, schedules, history } = givenDeps;
  const actors = new Map<string, Actor<MaintenanceState, MaintenanceMessage>>();
  const waiting = new Map<number, { resolve: (record: JobRecord) => void; reject: (error: unknown) => void }>();
  const stopped = new AbortController();
  /** How often each job of each table has ended in this process. */
  const ends = new Map<string, number>();
  let lastId = 0;

  /** At most so many jobs at a time, whatever their tables. */
  const inTurn = createTurns(options.maxConcurrentJobs);

  const ownership = givenDeps.startOwnership({
    onGained: () => {},
    async onLost({ subject }, isTaken) {
      // A job that runs may end: another one of the table can't begin before. Unless this process was taken for dead.
      if (!isTaken) return;
      const actor = actors.get(subject);
      actors.delete(subject);
      await actor?.stop();
    },
  });
  const deps: RunDeps = {
    ...givenDeps,
    owner: () => ownership.member(),
  };

  function actorOf(table: TableName): Actor<MaintenanceState, MaintenanceMessage> {
    const key = formatTableName(table);
    let actor = actors.get(key);
    if (actor === undefined) {
      actor = startActor<MaintenanceState, MaintenanceMessage, MaintenanceEffect>({
        name: `maintenance of ${key}`,
        recover: async () => ({ state: idleMaintenance, effects: [] }),
        receive: receiveMaintenance,
        async perform(effect, signal) {
          if (effect.kind === 'refuse') {
            waiting.get(effect.id)?.reject(effect.error);
            return undefined;
          }
          const { id, kind, endsSeen } = effect.request;
          const job = `${kind} of ${key}`;
          if (endsSeen !== undefined && endsSeen !== (ends.get(job) ?? 0)) return { kind: 'ended', id };
          try {
            const record = await inTurn(() => runJob(deps, table, effect.request, signal));
            ends.set(job, (ends.get(job) ?? 0) + 1);
            waiting.get(id)?.resolve(record);
          } catch (error) {
            waiting.get(id)?.reject(
              signal.aborted && !stopped.signal.aborted
                ? new MillraceError('unavailable', `the maintenance of ${key} moved to another replica: ask again`, {
                    code: 'owner-moved',
                  })
                : error,
            );
            logger.warn({ reason: toMillraceError(error).message, table: key }, 'job could not be run');
          }
          return { kind: 'ended', id };
        },
        failed: (effect) => ({ kind: 'ended', id: effect.kind === 'run' ? effect.request.id : effect.id }),
        onCrash: (error) => logger.error({ error, table: key }, 'maintenance of the table restarted'),
        clock,
      });
      actors.set(key, actor);
    }
    return actor;
  }

  const tell = (table: TableName, kind: JobName, endsSeen: number) =>
    actorOf(table).tell({
      kind: 'run',
      request: { id: ++lastId, kind, dryRun: false, overrides: {}, automatic: true, endsSeen },
    });

  async function tick(): Promise<void> {
    await ownership.settled();
    const interrupted = await history.failInterrupted(clock.now(), await givenDeps.liveOwners());
    if (interrupted > 0) logger.warn({ interrupted }, 'jobs whose process has ended are marked failed');
    if (!(await tellDue())) return;
    await ownership.settled();
    await tellDue();
  }

  /** Answers whether there was a table whose owner is not known yet. */
  async function tellDue(): Promise<boolean> {
    let isNew = false;
    const now = clock.now();
    // Before the schedules are read: a job that ends in between is not taken for one that is still due.
    const seen = new Map(ends);
    const known = new Map((await schedules.all()).map((one) => [`${one.kind} of ${one.subject}`, one]));
    const policyOf = await policies.resolver();
    const fresh: { subject: string; kind: string }[] = [];
    for await (const ledgerTable of allTables()) {
      const table = { namespace: ledgerTable.table!.namespace, name: ledgerTable.table!.name };
      const subject = formatTableName(table);
      isNew = ownership.want(subject) || isNew;
      const isOurs = ownership.epochOf(subject) !== undefined;
      if (ledgerTable.dropped) {
        const last = known.get(`${purgeSchedule(ledgerTable.tableUuid)} of ${subject}`);
        if (isOurs && ledgerTable.purge && purgeIsDue(last, now))
          tell(table, 'expire', seen.get(`expire of ${subject}`) ?? 0);
        continue;
      }
      const { values } = policyOf(table);
      for (const kind of JOB_NAMES) {
        const last = known.get(`${kind} of ${subject}`);
        if (last === undefined) fresh.push({ subject, kind });
        else if (isOurs && dueMs(last, values[INTERVALS[kind]]) <= now)
          tell(table, kind, seen.get(`${kind} of ${subject}`) ?? 0);
      }
    }
    await schedules.start(fresh, now);
    return isNew;
  }

  async function* allTables(): AsyncGenerator<LedgerTable> {
    let pageToken = '';
    do {
      const page = await ledger.listTables(
        { includeDropped: true, pageSize: TABLES_PAGE, pageToken },
        { signal: stopped.signal },
      );
      yield* page.tables;
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }

  async function tickForever(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await untraced(tick);
      } catch (error) {
        if (stopped.signal.aborted) return;
        logger.warn({ reason: toMillraceError(error).message }, 'could not look for due jobs; trying again');
      }
      await clock.sleep(options.tickMs, stopped.signal).catch(() => {});
    }
  }
  const ticking = tickForever();
  const endMetrics = observe(['millrace.maintenance.jobs.waiting'], (report) => {
    let waits = 0;
    for (const { state } of actors.values()) waits += state?.queue.length ?? 0;
    report('millrace.maintenance.jobs.waiting', waits);
  });

  return {
    run(table, request) {
      const id = ++lastId;
      return new Promise<JobRecord>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        actorOf(table).tell({ kind: 'run', request: { ...request, id, automatic: false } });
      }).finally(() => waiting.delete(id));
    },
    async stop() {
      endMetrics();
      const reason = new MillraceError('cancelled', 'the scheduler is stopping');
      stopped.abort(reason);
      await Promise.all([...actors.values()].map((actor) => actor.stop()));
      await ownership.stop();
      await ticking;
      for (const { reject } of waiting.values()) reject(reason);
    },
  };
}

function purgeIsDue(last: Schedule | undefined, nowMs: number): boolean {
  return last === undefined || (last.failures > 0 && dueMs(last, PURGE_RETRY_MS) <= nowMs);
}
