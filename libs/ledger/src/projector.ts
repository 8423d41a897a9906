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
import type { TableFormat } from '@millrace/proto/common';
import { type LedgerService, type LedgerTable, VersionKind } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import { type Logger, observe, record, untraced, withSharedSpan, withSpan } from '@millrace/telemetry';
import type { LedgerState, ProjectionTarget } from './projection.ts';
import {
  idleProjector,
  type ProjectorEffect,
  type ProjectorMessage,
  type ProjectorState,
  receiveProjector,
} from './projector-actor.ts';
import { watchLedger } from './watch.ts';

export interface ProjectorOptions {
  format: TableFormat;
  /** For spans and logs: "iceberg". */
  formatName: string;
  ledger: Client<typeof LedgerService>;
  target: ProjectionTarget;
  logger: Logger;
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

/**
 * Follows the ledger with one actor a table and drives a ProjectionTarget. The watch is a hint; what is to be done is
 * decided by asking the ledger and the table each time, so a missed hint or a crash costs time and nothing else.
 */
export function runProjector(options: ProjectorOptions): Projector {
  const { ledger, logger, formatName, clock = systemClock } = options;
  const actors = new Map<string, Actor<ProjectorState, ProjectorMessage>>();
  const waiting = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();
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
      case 'sync':
        return { kind: 'synced', reached: await turns(() => syncTable({ ...options, onShown }, table, signal)) };
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

  const watching = watchLedger({
    ledger,
    onMoved: (table, version) => actorOf(table).tell({ kind: 'moved', version }),
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
    errorOf: (table) => actors.get(formatTableName(table))?.state?.error,
    async project(table, version, signal) {
      const id = nextWaiter++;
      const actor = actorOf(table);
      try {
        await new Promise<void>((resolve, reject) => {
          waiting.set(id, { resolve, reject });
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          actor.tell({ kind: 'wait', id, version });
        });
      } finally {
        waiting.delete(id);
        if (!stopped.signal.aborted) actor.tell({ kind: 'leave', id });
      }
    },
    async stop() {
      endMetrics();
      stopped.abort(new MillraceError('cancelled', `${formatName} projector is stopping`));
      for (const { reject } of waiting.values()) reject(stopped.signal.reason);
      await Promise.all([watching, ...[...actors.values()].map((actor) => actor.stop())]);
    },
  };
}

/** What the format's table shows: when its newest version was committed, and the latest Kafka timestamp in it (0: unknown). */
type Shown = Pick<LedgerTable, 'versionMs' | 'newestRecordMs'>;

interface SyncOptions extends Pick<ProjectorOptions, 'format' | 'formatName' | 'ledger' | 'target'> {
  /** Told what the table shows once it is where the ledger is; undefined: it is no table of this format any more. */
  onShown?: (table: TableName, shown: Shown | undefined) => void;
}

/** Brings one table to the ledger's newest version; returns the version that it reached. */
export async function syncTable(options: SyncOptions, name: TableName, signal: AbortSignal): Promise<bigint> {
  const { table } = await untraced(() => options.ledger.getTable({ table: name }, { signal }));
  if (table === undefined) throw new MillraceError('not-found', `the ledger has no table ${formatTableName(name)}`);
  const reached = await bringTo(options, table, signal);
  const { versionMs, newestRecordMs } = table;
  const shows = !table.dropped && table.formats.includes(options.format);
  if (!shows) options.onShown?.(name, undefined);
  else if (reached >= table.version) options.onShown?.(name, { versionMs, newestRecordMs });
  return reached;
}

async function bringTo(options: SyncOptions, table: LedgerTable, signal: AbortSignal): Promise<bigint> {
  const { ledger, target, format, formatName } = options;
  const name = table.table!;
  if (table.dropped) {
    await target.drop(table);
    return table.version;
  }
  const position = await target.position(table);
  const wanted = table.formats.includes(format);
  if (!position?.enabled && !wanted) return table.version;
  if (!position?.enabled || position.ledgerVersion < table.oldestVersion - 1n) {
    return rebuild(options, table, signal);
  }
  let reached = position.ledgerVersion;
  for (let more = true; more; ) {
    const asked = untraced(() => ledger.listVersions({ table: name, afterVersion: reached }, { signal }));
    const page = await asked.catch((error) => {
      // The versions expired between the two calls.
      if (isKind(error, 'conflict')) return undefined;
      throw error;
    });
    if (page === undefined) return rebuild(options, table, signal);
    for (const version of page.versions) {
      signal.throwIfAborted();
      if (version.kind === VersionKind.FORMATS && !version.formats.includes(format)) {
        await target.disable(table);
        // Switched on again later: from there the whole state is taken.
        return wanted ? rebuild(options, table, signal) : table.version;
      }
      const traceparents = [version.traceparent, ...version.otherTraceparents];
      const attributes = {
        'millrace.table': formatTableName(name),
        'millrace.ledger_version': Number(version.version),
      };
      const startedMs = performance.now();
      let outcome = 'error';
      try {
        await withSharedSpan(`${formatName} commit`, traceparents, attributes, () => target.apply(table, version));
        outcome = 'ok';
      } finally {
        record('millrace.projection.commit.duration', (performance.now() - startedMs) / 1e3, {
          'millrace.format': formatName,
          'millrace.outcome': outcome,
        });
      }
      reached = version.version;
    }
    more = page.more;
  }
  return reached;
}

async function rebuild(
  { ledger, target, formatName }: SyncOptions,
  table: LedgerTable,
  signal: AbortSignal,
): Promise<bigint> {
  const request = { table: table.table!, version: table.version };
  const first = await ledger.listFiles(request, { signal });
  const files = async function* () {
    yield first.files;
    for (let pageToken = first.nextPageToken; pageToken !== ''; ) {
      const page = await ledger.listFiles({ ...request, pageToken }, { signal });
      yield page.files;
      pageToken = page.nextPageToken;
    }
  };
  const state: LedgerState = {
    version: first.version,
    tableSchemaJson: table.tableSchemaJson,
    positions: first.positions,
    files: files(),
  };
  await withSpan(`${formatName} rebuild`, { attributes: { 'millrace.ledger_version': Number(first.version) } }, () =>
    target.rebuild(table, state),
  );
  return first.version;
}
