import { fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { type Actor, type Scheduler, startActor } from '@millrace/actor';
import {
  type Clock,
  createTurns,
  formatTableName,
  isKind,
  MillraceError,
  systemClock,
  type TableName,
} from '@millrace/base';
import { type OwnerStore, type Ownership, startOwnership } from '@millrace/ownership';
import { ErrorDetailSchema } from '@millrace/proto/common';
import { detailToError, errorToDetail } from '@millrace/rpc';
import { type Logger, observe } from '@millrace/telemetry';
import {
  idleProjector,
  type ProjectorEffect,
  type ProjectorMessage,
  type ProjectorState,
  receiveProjector,
} from './projector-actor.ts';
import { type Shown, type SyncOptions, syncTable } from './table-sync.ts';
import { watchLedger } from './watch.ts';

export interface ProjectorOptions extends Omit<SyncOptions, 'onShown'> {
  logger: Logger;
  /** Where the replicas of the service agree on who projects which table; without, this process projects all. */
  owners?: { store: OwnerStore; replica: string; leaseMs: number };
  /** Tables that are synced at the same time. Default 4. */
  concurrency?: number;
  clock?: Clock;
  scheduler?: Scheduler;
}

export interface Projector {
  /** Brings the table to `version` (0: to where the ledger is now) and resolves when it is there. */
  project(table: TableName, version: bigint, signal: AbortSignal): Promise<void>;
  /** Why the table is behind, if its last sync failed. */
  errorOf(table: TableName): MillraceError | undefined;
  stop(): Promise<void>;
}

/** Names a table among what replicas own; names hold no slash. */
const subjectOf = ({ namespace, name }: TableName): string => `${namespace}/${name}`;

function tableOf(subject: string): TableName {
  const [namespace = '', name = ''] = subject.split('/');
  return { namespace, name };
}

/** How often it is looked whether another replica has brought a table to where somebody waits for it … */
const ASK_OWNER_MS = 200;
/** … and for how long, before it is done here: two that do the same waste work and nothing else. */
const OWNER_PATIENCE_MS = 5_000;

/**
 * Follows the ledger with one actor for each table that this replica owns, and drives a ProjectionTarget. The watch is a hint; what is to be done is
 * decided by asking the ledger and the table each time, so a missed hint or a crash costs time and nothing else.
 */
export function runProjector(options: ProjectorOptions): Projector {
  const { ledger, target, logger, formatName, clock = systemClock } = options;
  const actors = new Map<string, Actor<ProjectorState, ProjectorMessage>>();
  const waiting = new Map<number, { key: string; resolve: () => void; reject: (error: unknown) => void }>();
  const stopped = new AbortController();
  const turns = createTurns(options.concurrency ?? 4);
  const shown = new Map<string, Shown>();
  const onShown = (table: TableName, now: Shown | undefined) => {
    if (now === undefined) shown.delete(formatTableName(table));
    else shown.set(formatTableName(table), now);
  };
  let nextWaiter = 1;

  function actorOf(table: TableName): Actor<ProjectorState, ProjectorMessage> {
    const key = formatTableName(table);
    let actor = actors.get(key);
    if (actor === undefined) {
      actor = startActor<ProjectorState, ProjectorMessage, ProjectorEffect>({
        name: `${formatName} ${key}`,
        recover: async () => ({ state: idleProjector, effects: [] }),
        receive: receiveProjector,
        perform: (effect, signal) => perform(table, effect, signal),
        failed: (_, error) => {
          ownership?.note(subjectOf(table), toJsonString(ErrorDetailSchema, errorToDetail(error)));
          logger.warn({ error, table: key }, `${formatName}: could not bring the table to the ledger's version`);
          return { kind: 'failed', error };
        },
        onCrash: (error) => logger.error({ error, table: key }, `${formatName}: defect in the table's actor`),
        clock,
        ...(options.scheduler ? { scheduler: options.scheduler } : {}),
      });
      actors.set(key, actor);
    }
    return actor;
  }

  async function perform(
    table: TableName,
    effect: ProjectorEffect,
    signal: AbortSignal,
  ): Promise<ProjectorMessage | undefined> {
    switch (effect.kind) {
      case 'sync': {
        const reached = await turns(() => syncTable({ ...options, onShown }, table, signal));
        ownership?.note(subjectOf(table), '');
        return { kind: 'synced', reached };
      }
      case 'sleep':
        await clock.sleep(effect.ms, signal);
        return { kind: 'retry' };
      case 'answer':
        for (const id of effect.ids) waiting.get(id)?.resolve();
        return undefined;
      case 'refuse':
        for (const id of effect.ids) waiting.get(id)?.reject(effect.error);
        return undefined;
    }
  }

  const isOurs = (table: TableName) => ownership === undefined || actors.has(formatTableName(table));

  async function lose(table: TableName): Promise<void> {
    const key = formatTableName(table);
    const actor = actors.get(key);
    actors.delete(key);
    shown.delete(key);
    const moved = new MillraceError('unavailable', `another replica has the table ${key} now: ask again`, {
      code: 'owner-moved',
    });
    for (const waiter of waiting.values()) if (waiter.key === key) waiter.reject(moved);
    await actor?.stop();
  }

  const ownership: Ownership | undefined =
    options.owners &&
    startOwnership({
      ...options.owners,
      onGained: ({ subject }) => actorOf(tableOf(subject)).tell({ kind: 'moved', version: 0n }),
      onLost: ({ subject }) => lose(tableOf(subject)),
      clock,
      logger,
    });

  /** Why the table is behind, as its owner says, whichever replica that is. */
  function errorOf(table: TableName): MillraceError | undefined {
    if (isOurs(table)) return actors.get(formatTableName(table))?.state?.error;
    const note = ownership?.noteOf(subjectOf(table)) ?? '';
    return note === '' ? undefined : detailToError(fromJsonString(ErrorDetailSchema, note));
  }

  /** Waits until the replica that owns the table has brought it there. */
  async function projectElsewhere(name: TableName, version: bigint, signal: AbortSignal): Promise<void> {
    const { table } = await ledger.getTable({ table: name }, { signal });
    if (table === undefined) return;
    const wanted = version > 0n ? version : table.version;
    for (let waitedMs = 0; !isOurs(name); waitedMs += ASK_OWNER_MS) {
      const position = await target.position(table);
      const isFollowed = !table.dropped && table.formats.includes(options.format);
      if (isFollowed ? (position?.ledgerVersion ?? -1n) >= wanted : !position?.enabled) return;
      const error = errorOf(name);
      if (error !== undefined && !error.retryable) throw error;
      if (waitedMs >= OWNER_PATIENCE_MS) {
        await turns(() => syncTable(options, name, signal)).catch((thrown) => {
          // The owner came first after all.
          if (!isKind(thrown, 'conflict')) throw thrown;
        });
        waitedMs = 0;
      }
      await clock.sleep(ASK_OWNER_MS, signal);
    }
    await projectHere(name, version, signal);
  }

  async function projectHere(table: TableName, version: bigint, signal: AbortSignal): Promise<void> {
    const id = nextWaiter++;
    const actor = actorOf(table);
    try {
      await new Promise<void>((resolve, reject) => {
        waiting.set(id, { key: formatTableName(table), resolve, reject });
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        actor.tell({ kind: 'wait', id, version });
      });
    } finally {
      waiting.delete(id);
      if (actors.get(formatTableName(table)) === actor && !stopped.signal.aborted) actor.tell({ kind: 'leave', id });
    }
  }

  const watching = watchLedger({
    ledger,
    onMoved(table, version) {
      ownership?.want(subjectOf(table));
      if (isOurs(table)) actorOf(table).tell({ kind: 'moved', version });
    },
    clock,
    logger,
    signal: stopped.signal,
  });

  const endMetrics = observe(
    ['millrace.table.freshness', 'millrace.table.commit.age', 'millrace.projection.lag'],
    (report) => {
      for (const [key, { versionMs, newestRecordMs }] of shown) {
        const labels = { 'millrace.table': key, 'millrace.format': formatName };
        const age = (ms: bigint) => Math.max(0, clock.now() - Number(ms)) / 1e3;
        if (newestRecordMs > 0n) report('millrace.table.freshness', age(newestRecordMs), labels);
        report('millrace.table.commit.age', age(versionMs), labels);
        const { target = 0n, reached = 0n } = actors.get(key)?.state ?? {};
        report('millrace.projection.lag', Math.max(0, Number(target - reached)), labels);
      }
    },
  );

  return {
    errorOf,
    async project(table, version, signal) {
      ownership?.want(subjectOf(table));
      await (isOurs(table) ? projectHere(table, version, signal) : projectElsewhere(table, version, signal));
    },
    async stop() {
      endMetrics();
      stopped.abort(new MillraceError('cancelled', `${formatName} projector is stopping`));
      for (const { reject } of waiting.values()) reject(stopped.signal.reason);
      await Promise.all([watching, ownership?.stop(), ...[...actors.values()].map((actor) => actor.stop())]);
    },
  };
}
