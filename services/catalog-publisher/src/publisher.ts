import { isDeepStrictEqual } from 'node:util';
import { type Actor, startActor } from '@millrace/actor';
import {
  type Clock,
  formatTableName,
  MillraceError,
  parseTableName,
  type TableName,
  toMillraceError,
} from '@millrace/base';
import { type CatalogAdapter, type CatalogSettings, openCatalog } from '@millrace/catalogs';
import { type Owned, ownerStore, startOwnership } from '@millrace/ownership';
import type { Logger } from '@millrace/telemetry';
import {
  type PublicationEffect,
  type PublicationMessage,
  type PublicationPace,
  type PublicationState,
  receivePublication,
  startPublication,
} from './publication.ts';
import { createGate, type PublishingDeps, publishTable, withdrawOwn } from './publication-effects.ts';
import { publishRequests } from './publish-requests.ts';
import { type Integration, KIND, type PublicationRecord, pairOf, subjectOf } from './publisher-store.ts';

export interface PublisherDeps extends PublishingDeps {
  pace: PublicationPace;
  /** This replica among those that share the publications. */
  replica: string;
  ownerLeaseMs: number;
  openAdapter: (settings: CatalogSettings) => CatalogAdapter;
  clock: Clock;
  logger: Logger;
}

export interface Publisher {
  /** A table has a new version, or was heard of for the first time. */
  tableChanged(table: TableName): void;
  /** `already-exists` when the name is taken by other settings; whatever `check` throws when the catalog isn't reached. */
  add(integration: Omit<Integration, 'removing'>, signal: AbortSignal): Promise<void>;
  /** `withdraw` that fails keeps the integration, and publishes no more: call again. `not-found`. */
  remove(name: string, withdraw: boolean, signal: AbortSignal): Promise<void>;
  /** Waits for an attempt that begins after this call. Empty name, no table: all. `not-found` when nothing matches. */
  publishNow(integration: string, table: TableName | undefined, signal: AbortSignal): Promise<PublicationRecord[]>;
  stop(): Promise<void>;
}

/** One catalog's tables at a time: a slow catalog holds up neither the others nor the process. */
const PUBLICATIONS_AT_ONCE = 4;

interface Running {
  integration: Integration;
  adapter: CatalogAdapter;
  gate: ReturnType<typeof createGate>;
  /** With an actor where this replica owns the publication. */
  tables: Map<string, { table: TableName; actor: Actor<PublicationState, PublicationMessage> | undefined }>;
}

const INTEGRATIONS = 'integrations';
/** How often it is looked whether another replica has added or removed one, beside the signal. */
const RELOAD_MS = 10_000;
const ASK_MS = 100;

/**
 * Every (table, integration) pair that the store or the ledger knows has one owner among the replicas, where an actor
 * works on it. Integrations may be added and removed at any replica.
 */
export async function startPublisher(deps: PublisherDeps): Promise<Publisher> {
  const { store, clock, logger } = deps;
  const known = new Map<string, TableName>();
  const running = new Map<string, Running>();
  const { signals } = store.database;
  const stopped = new AbortController();
  const waiting = new Map<number, () => void>();
  let lastWaiter = 0;

  const ownership = startOwnership({
    store: ownerStore(store.database, KIND, clock),
    replica: deps.replica,
    leaseMs: deps.ownerLeaseMs,
    onGained(owned) {
      const { integration, table } = pairOf(owned.subject);
      const begin = () => {
        const catalog = running.get(integration);
        if (catalog === undefined) ownership.forget(owned.subject);
        else if (ownership.epochOf(owned.subject) === owned.epoch)
          catalog.tables.set(formatTableName(table), { table, actor: startPair(catalog, table, owned) });
      };
      // Another replica has added it: it is read first.
      if (running.has(integration)) begin();
      else void reload().then(begin);
    },
    async onLost({ subject }) {
      const { integration, table } = pairOf(subject);
      const entry = running.get(integration)?.tables.get(formatTableName(table));
      const actor = entry?.actor;
      if (entry !== undefined) entry.actor = undefined;
      await actor?.stop();
    },
    clock,
    logger,
  });

  /** The actor of a pair that this replica owns. */
  const actorOf = (subject: string) => {
    const { integration, table } = pairOf(subject);
    return running.get(integration)?.tables.get(formatTableName(table))?.actor;
  };

  function attempt(subject: string): Promise<void> | undefined {
    const actor = actorOf(subject);
    if (actor === undefined) return undefined;
    const id = ++lastWaiter;
    return new Promise<void>((resolve) => {
      waiting.set(id, resolve);
      actor.tell({ kind: 'publish-now', id });
    }).finally(() => waiting.delete(id));
  }
  const requests = publishRequests(signals, clock, attempt);

  /** An attempt by whichever replica owns the pair. */
  async function publishOne(subject: string, signal: AbortSignal): Promise<void> {
    const isOurs = () => actorOf(subject) !== undefined;
    while (!(await requests.ask(subject, isOurs, signal))) {
      const ended = attempt(subject);
      if (ended !== undefined) return untilAborted(ended, signal);
    }
  }

  function ensure(catalog: Running, table: TableName): void {
    const key = formatTableName(table);
    if (!catalog.tables.has(key)) catalog.tables.set(key, { table, actor: undefined });
    ownership.want(subjectOf(catalog.integration.name, table));
  }

  function startPair(catalog: Running, table: TableName, owned: Owned): Actor<PublicationState, PublicationMessage> {
    const key = formatTableName(table);
    return startActor<PublicationState, PublicationMessage, PublicationEffect>({
      name: `publication of ${key} to ${catalog.integration.name}`,
      recover: async () => startPublication(),
      receive: receivePublication(deps.pace),
      async perform(effect, signal) {
        switch (effect.kind) {
          case 'publish': {
            const record = await catalog.gate(signal, () => publishTable(deps, catalog.adapter, table, owned, signal));
            return { kind: 'ended', failed: record.error !== undefined };
          }
          case 'sleep':
            await clock.sleep(effect.ms, signal);
            return { kind: 'woke', sleep: effect.sleep };
          case 'answer':
            for (const id of effect.ids) waiting.get(id)?.();
            return undefined;
        }
      },
      failed(effect, error) {
        if (error.code === 'owner-stale') ownership.look();
        else
          logger.error({ error, table: key, integration: catalog.integration.name }, 'publication could not be stored');
        return effect.kind === 'sleep' ? { kind: 'woke', sleep: effect.sleep } : { kind: 'ended', failed: true };
      },
      onCrash: (error) => logger.error({ error }, 'publication restarted'),
      clock,
    });
  }

  function start(integration: Integration, adapter: CatalogAdapter, tables: Iterable<TableName>): void {
    const catalog: Running = { integration, adapter, gate: createGate(PUBLICATIONS_AT_ONCE), tables: new Map() };
    running.set(integration.name, catalog);
    for (const table of tables) if (matches(integration, table)) ensure(catalog, table);
  }

  async function stopIntegration(name: string): Promise<void> {
    const catalog = running.get(name);
    running.delete(name);
    const entries = [...(catalog?.tables.values() ?? [])];
    await Promise.all(entries.map(({ actor }) => actor?.stop()));
    // Only what is this replica's: another one ends its work first.
    for (const { table } of entries) {
      const subject = subjectOf(name, table);
      if (ownership.epochOf(subject) !== undefined) ownership.forget(subject);
      else ownership.unwant(subject);
    }
  }

  let lastReload: Promise<unknown> = Promise.resolve();
  /** Takes in what was added and removed anywhere. */
  function reload(): Promise<void> {
    const next = lastReload.then(async () => {
      const stored = (await store.integrations()).filter(({ removing }) => !removing);
      for (const { integration } of [...running.values()])
        if (!stored.some((one) => isDeepStrictEqual(one, integration))) await stopIntegration(integration.name);
      for (const integration of stored) {
        if (running.has(integration.name)) continue;
        const tables = (await store.publications(integration.name)).map((record) => record.table);
        start(integration, deps.openAdapter(integration), [...tables, ...known.values()]);
      }
    });
    lastReload = next.catch((error) => {
      if (!stopped.signal.aborted)
        logger.warn({ reason: toMillraceError(error).message }, 'the catalogs could not be read; trying again');
    });
    return next;
  }
  await reload();
  const endListening = signals.listen((message) => {
    if (message === INTEGRATIONS || message === undefined) void reload().catch(() => {});
  });
  const reloading = (async () => {
    while (!stopped.signal.aborted) {
      await clock.sleep(RELOAD_MS, stopped.signal).catch(() => {});
      if (!stopped.signal.aborted) await reload().catch(() => {});
    }
  })();

  return {
    tableChanged(table) {
      known.set(formatTableName(table), table);
      for (const catalog of running.values()) {
        if (!matches(catalog.integration, table)) continue;
        ensure(catalog, table);
        catalog.tables.get(formatTableName(table))!.actor?.tell({ kind: 'changed' });
      }
    },

    async add(settings, signal) {
      const integration: Integration = { ...settings, removing: false };
      for (const pattern of integration.tables) checkPattern(pattern);
      const adapter = deps.openAdapter(integration);
      const there = (await store.integrations()).find(({ name }) => name === integration.name);
      if (there !== undefined) {
        if (isDeepStrictEqual(there, integration)) return;
        throw new MillraceError(
          'already-exists',
          there.removing
            ? `catalog ${there.name} is being removed: remove it once more, then add it`
            : `catalog ${there.name} exists with other settings: remove it first, or take another name`,
          { code: 'catalog-exists', context: { catalog: there.name } },
        );
      }
      await adapter.check(signal);
      await store.addIntegration(integration);
      await reload();
      signals.send(INTEGRATIONS);
      logger.info({ integration: integration.name, uri: integration.uri }, 'catalog added');
    },

    async remove(name, withdraw, signal) {
      const integration = (await store.integrations()).find((one) => one.name === name);
      if (integration === undefined) throw noIntegration(name);
      await store.markRemoving(name);
      signals.send(INTEGRATIONS);
      await reload();
      // Whoever works on one of its tables ends that first; a replica that died, or stands still, by its lease.
      await ownership.settled();
      while (await store.isOwned(name)) await clock.sleep(ASK_MS, signal);
      if (withdraw) {
        const adapter = deps.openAdapter(integration);
        for (const record of await store.publications(name)) {
          if (record.pointer !== '' || record.pendingPointer !== '') {
            await withdrawOwn(adapter, record.table, record, signal);
          }
          await store.deletePublication(name, record.table);
        }
      }
      await store.deleteIntegration(name);
      logger.info({ integration: name, withdraw }, 'catalog removed');
    },

    async publishNow(name, table, signal) {
      if (name !== '' && !running.has(name)) await reload();
      if (name !== '' && !running.has(name)) throw noIntegration(name);
      const asked: { catalog: string; table: TableName }[] = [];
      for (const catalog of name === '' ? running.values() : [running.get(name)!]) {
        if (table !== undefined && known.has(formatTableName(table)) && matches(catalog.integration, table)) {
          ensure(catalog, table);
        }
        for (const entry of catalog.tables.values()) {
          if (table !== undefined && formatTableName(entry.table) !== formatTableName(table)) continue;
          asked.push({ catalog: catalog.integration.name, table: entry.table });
        }
      }
      if (asked.length === 0 && table !== undefined) {
        throw new MillraceError(
          'not-found',
          `table ${formatTableName(table)} is published to ${name === '' ? 'no catalog' : `catalog ${name} neither now nor before`}: is there such a table, and does a catalog's list of tables name it?`,
          { code: 'publication-unknown', context: { table: formatTableName(table) } },
        );
      }
      await Promise.all(asked.map((one) => publishOne(subjectOf(one.catalog, one.table), signal)));
      const records = await Promise.all(asked.map((one) => store.publication(one.catalog, one.table)));
      return records.filter((record) => record !== undefined);
    },

    async stop() {
      stopped.abort();
      endListening();
      requests.stop();
      await reloading;
      await lastReload;
      await ownership.stop();
    },
  };
}

const noIntegration = (name: string) =>
  new MillraceError('not-found', `there is no catalog ${JSON.stringify(name)}: list them to see the names`, {
    code: 'catalog-unknown',
    context: { catalog: name },
  });

function checkPattern(pattern: string): void {
  if (pattern !== '*' && !/^[^*]+\.\*$/.test(pattern)) parseTableName(pattern);
}

/** Whether a table goes to a catalog: "*", "namespace.*" or "namespace.name"; no pattern at all means all. */
function matches({ tables }: Pick<Integration, 'tables'>, table: TableName): boolean {
  const name = formatTableName(table);
  return (
    tables.length === 0 ||
    tables.some((pattern) => pattern === '*' || pattern === name || pattern === `${table.namespace}.*`)
  );
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

export const openAdapterWith =
  (options: { requestTimeoutMs: number; budgetMs: number }) =>
  (settings: CatalogSettings): CatalogAdapter =>
    openCatalog(settings, options);
