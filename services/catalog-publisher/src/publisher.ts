import { isDeepStrictEqual } from 'node:util';
import { type Actor, startActor } from '@millrace/actor';
import { type Clock, formatTableName, MillraceError, parseTableName, type TableName } from '@millrace/base';
import { type CatalogAdapter, type CatalogSettings, openCatalog } from '@millrace/catalogs';
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
import type { Integration, PublicationRecord } from './publisher-store.ts';

export interface PublisherDeps extends PublishingDeps {
  pace: PublicationPace;
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
  tables: Map<string, { table: TableName; actor: Actor<PublicationState, PublicationMessage> }>;
}

/** Starts an actor for every (table, integration) pair that the store or the ledger knows. */
export async function startPublisher(deps: PublisherDeps): Promise<Publisher> {
  const { store, clock, logger } = deps;
  const known = new Map<string, TableName>();
  const running = new Map<string, Running>();
  const waiting = new Map<number, () => void>();
  let lastWaiter = 0;

  function ensure(
    catalog: Running,
    table: TableName,
  ): { actor: Actor<PublicationState, PublicationMessage>; isNew: boolean } {
    const key = formatTableName(table);
    const there = catalog.tables.get(key);
    if (there !== undefined) return { actor: there.actor, isNew: false };
    const actor = startActor<PublicationState, PublicationMessage, PublicationEffect>({
      name: `publication of ${key} to ${catalog.integration.name}`,
      recover: async () => startPublication(),
      receive: receivePublication(deps.pace),
      async perform(effect, signal) {
        switch (effect.kind) {
          case 'publish': {
            const record = await catalog.gate(signal, () => publishTable(deps, catalog.adapter, table, signal));
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
        logger.error({ error, table: key, integration: catalog.integration.name }, 'publication could not be stored');
        return effect.kind === 'sleep' ? { kind: 'woke', sleep: effect.sleep } : { kind: 'ended', failed: true };
      },
      onCrash: (error) => logger.error({ error }, 'publication restarted'),
      clock,
    });
    catalog.tables.set(key, { table, actor });
    return { actor, isNew: true };
  }

  function start(integration: Integration, adapter: CatalogAdapter, tables: Iterable<TableName>): void {
    const catalog: Running = { integration, adapter, gate: createGate(PUBLICATIONS_AT_ONCE), tables: new Map() };
    running.set(integration.name, catalog);
    for (const table of tables) if (matches(integration, table)) ensure(catalog, table);
  }

  async function stopIntegration(name: string): Promise<void> {
    const catalog = running.get(name);
    running.delete(name);
    await Promise.all([...(catalog?.tables.values() ?? [])].map(({ actor }) => actor.stop()));
  }

  for (const integration of await store.integrations()) {
    if (integration.removing) continue;
    const tables = (await store.publications(integration.name)).map((record) => record.table);
    start(integration, deps.openAdapter(integration), tables);
  }

  return {
    tableChanged(table) {
      known.set(formatTableName(table), table);
      for (const catalog of running.values()) {
        if (!matches(catalog.integration, table)) continue;
        const { actor, isNew } = ensure(catalog, table);
        if (!isNew) actor.tell({ kind: 'changed' });
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
      start(integration, adapter, known.values());
      logger.info({ integration: integration.name, uri: integration.uri }, 'catalog added');
    },

    async remove(name, withdraw, signal) {
      const integration = (await store.integrations()).find((one) => one.name === name);
      if (integration === undefined) throw noIntegration(name);
      await store.markRemoving(name);
      await stopIntegration(name);
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
      if (name !== '' && !running.has(name)) throw noIntegration(name);
      const asked: { catalog: string; table: TableName; done: Promise<void>; id: number }[] = [];
      for (const catalog of name === '' ? running.values() : [running.get(name)!]) {
        if (table !== undefined && known.has(formatTableName(table)) && matches(catalog.integration, table)) {
          ensure(catalog, table);
        }
        for (const entry of catalog.tables.values()) {
          if (table !== undefined && formatTableName(entry.table) !== formatTableName(table)) continue;
          const id = ++lastWaiter;
          const done = new Promise<void>((resolve) => waiting.set(id, resolve));
          asked.push({ catalog: catalog.integration.name, table: entry.table, done, id });
          entry.actor.tell({ kind: 'publish-now', id });
        }
      }
      if (asked.length === 0 && table !== undefined) {
        throw new MillraceError(
          'not-found',
          `table ${formatTableName(table)} is published to ${name === '' ? 'no catalog' : `catalog ${name} neither now nor before`}: is there such a table, and does a catalog's list of tables name it?`,
          { code: 'publication-unknown', context: { table: formatTableName(table) } },
        );
      }
      try {
        await untilAborted(Promise.all(asked.map(({ done }) => done)), signal);
      } finally {
        for (const { id } of asked) waiting.delete(id);
      }
      const records = await Promise.all(asked.map((one) => store.publication(one.catalog, one.table)));
      return records.filter((record) => record !== undefined);
    },

    async stop() {
      await Promise.all([...running.keys()].map(stopIntegration));
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
