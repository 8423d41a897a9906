import { type Clock, formatTableName, isKind, MillraceError, type TableName } from '@millrace/base';
import type { CatalogAdapter } from '@millrace/catalogs';
import { versionTraces } from '@millrace/ledger';
import type { Owned } from '@millrace/ownership';
import { TableFormat } from '@millrace/proto/common';
import type { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import type { LedgerService } from '@millrace/proto/metadata_discovery';
import { type Client, errorToDetail } from '@millrace/rpc';
import { count, type Logger, record as recordMetric, untraced, withSharedSpan } from '@millrace/telemetry';
import { newPublication, type PublicationRecord, type PublisherStore } from './publisher-store.ts';

export interface PublishingDeps {
  store: PublisherStore;
  ledger: Pick<Client<typeof LedgerService>, 'getTable' | 'listVersions'>;
  iceberg: Pick<Client<typeof IcebergCatalogService>, 'describeIceberg' | 'projectIceberg'>;
  clock: Clock;
  logger: Logger;
  projectionTimeoutMs: number;
}

/** The table's metadata file now; 'gone': it is no Iceberg table any more; 'later': it will be one. */
type Target = { pointer: string; ledgerVersion: bigint } | 'gone' | 'later';

/**
 * One attempt: asks where the table stands, makes the catalog show that, reads back, and stores the outcome. A failure
 * is part of the outcome (`error`) and is stored too. The pointer is noted before it is published, so that after a
 * crash our own work is not taken for drift. `conflict` ("owner-stale") when another replica has the table. It goes on in the traces of the commits that it publishes.
 */
export async function publishTable(
  deps: PublishingDeps,
  adapter: CatalogAdapter,
  table: TableName,
  owned: Owned,
  signal: AbortSignal,
): Promise<PublicationRecord> {
  const { store, clock, logger } = deps;
  const integration = adapter.settings.name;
  const attributes = { 'millrace.table': formatTableName(table), 'millrace.integration': integration };
  const startedMs = performance.now();
  let outcome: 'published' | 'unchanged' | 'withdrawn' | 'pending' | 'error' = 'error';
  let record = (await store.publication(integration, table)) ?? newPublication(integration, table);
  try {
    const target = await untraced(() => targetOf(deps, table, signal));
    if (target === 'later') {
      outcome = 'pending';
      return record;
    }
    if (target === 'gone') {
      if (record.pointer !== '' || record.pendingPointer !== '') {
        await withdrawOwn(adapter, table, record, signal);
        logger.info({ integration, table: formatTableName(table) }, 'withdrawn: the table is no more');
      }
      await store.deletePublication(integration, table, owned);
      outcome = 'withdrawn';
      return newPublication(integration, table);
    }
    const { pointer, ledgerVersion } = target;
    const isNews = pointer !== record.pointer;
    const news = { after: record.ledgerVersion, upTo: ledgerVersion };
    const traces = isNews ? await versionTraces(deps.ledger, table, news, signal) : [];
    await withSharedSpan(isNews ? 'publish table' : 'check publication', traces, attributes, async () => {
      const own = [record.pointer, record.pendingPointer, pointer];
      if (isNews) await store.save((record = { ...record, pendingPointer: pointer }), owned);
      const done = await adapter.publish(table, pointer, record.pointer === '' ? undefined : record.pointer, signal);
      const now = clock.now();
      const drifted = record.pointer !== '' && !own.includes(done.replacedPointer ?? '-');
      if (drifted) {
        count('millrace.publication.drifts', 1, { 'millrace.integration': integration });
        logger.warn(
          { integration, table: formatTableName(table), published: record.pointer, seen: done.replacedPointer },
          'drift repaired: the catalog showed something else than what was published',
        );
      }
      const unchanged = !isNews && done.action === 'unchanged';
      outcome = unchanged ? 'unchanged' : 'published';
      record = {
        ...record,
        pointer,
        pendingPointer: '',
        seenPointer: done.seenPointer,
        drifted,
        ledgerVersion,
        publishedMs: unchanged ? record.publishedMs : now,
        checkedMs: now,
        error: undefined,
      };
    });
  } catch (error) {
    if (signal.aborted || (error instanceof MillraceError && error.code === 'owner-stale')) throw error;
    record = { ...record, error: errorToDetail(error) };
    logger.warn({ integration, table: formatTableName(table), reason: record.error!.message }, 'publication failed');
    // A catalog that answers can be asked what it shows instead.
    if (!isKind(error, 'unavailable', 'deadline')) {
      const seenPointer = (await adapter.describe(table, signal).catch(() => undefined)) ?? '';
      const drifted = record.pointer !== '' && seenPointer !== record.pointer;
      record = { ...record, seenPointer, drifted, checkedMs: clock.now() };
    }
  } finally {
    recordMetric('millrace.publication.duration', (performance.now() - startedMs) / 1e3, {
      'millrace.integration': integration,
      'millrace.outcome': outcome,
    });
  }
  await store.save(record, owned);
  return record;
}

/** Takes the table out of the catalog; one that somebody else has put in its place stays. */
export async function withdrawOwn(
  adapter: CatalogAdapter,
  table: TableName,
  record: PublicationRecord,
  signal: AbortSignal,
): Promise<void> {
  await adapter.withdraw(table, record.pendingPointer || record.pointer, signal).catch((error: unknown) => {
    if (!isKind(error, 'already-exists')) throw error;
  });
}

async function targetOf(deps: PublishingDeps, table: TableName, signal: AbortSignal): Promise<Target> {
  const ledgerTable = await deps.ledger
    .getTable({ table }, { signal })
    .then(({ table: found }) => found)
    .catch((error: unknown) => {
      if (isKind(error, 'not-found')) return undefined;
      throw error;
    });
  const wanted = ledgerTable?.dropped === false && ledgerTable.formats.includes(TableFormat.ICEBERG);
  let shown = await deps.iceberg.describeIceberg({ table }, { signal });
  if (wanted && shown.ledgerVersion < ledgerTable.version) {
    await deps.iceberg
      .projectIceberg({ table, version: ledgerTable.version }, { signal, timeoutMs: deps.projectionTimeoutMs })
      .catch((error: unknown) => {
        // It lags: what it shows is published now, the rest on the next news or check.
        if (!(error instanceof MillraceError && error.retryable)) throw error;
      });
    shown = await deps.iceberg.describeIceberg({ table }, { signal });
  }
  if (shown.exists) return { pointer: shown.metadataLocation, ledgerVersion: shown.ledgerVersion };
  // Missing though the ledger wants it: not made yet, or lost; no reason to take it away elsewhere.
  return wanted ? 'later' : 'gone';
}

/** At most `limit` actions at a time; the others wait their turn, and leave when their signal aborts. */
export function createGate(limit: number): <T>(signal: AbortSignal, action: () => Promise<T>) => Promise<T> {
  let free = limit;
  const waiting: (() => void)[] = [];
  return async (signal, action) => {
    if (free > 0) free--;
    else {
      await new Promise<void>((resolve, reject) => {
        const enter = () => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = () => {
          waiting.splice(waiting.indexOf(enter), 1);
          reject(signal.reason);
        };
        if (signal.aborted) return reject(signal.reason);
        waiting.push(enter);
        signal.addEventListener('abort', leave, { once: true });
      });
    }
    try {
      return await action();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
