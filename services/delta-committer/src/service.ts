import { type Clock, formatTableName, MillraceError } from '@millrace/base';
import { cleanLog, driftError, stringifyJson, writeCheckpoint } from '@millrace/delta';
import type { Projector } from '@millrace/ledger';
import type { TableRef } from '@millrace/proto/common';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import type { LedgerService, LedgerTable } from '@millrace/proto/metadata_discovery';
import { type Client, errorToDetail, type ImplementedService, implement } from '@millrace/rpc';
import { isDisabled, ledgerVersionOf } from './fed-table.ts';
import { numRecords } from './ledger-transaction.ts';
import { ledgerVersionIn, listCommits, oldestLedgerVersion, positionsAt } from './log-view.ts';
import type { TableCache } from './table-cache.ts';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

export interface ServiceDeps {
  ledger: Client<typeof LedgerService>;
  projector: Projector;
  cache: TableCache;
  clock: Clock;
}

/** gRPC: what other services and people ask of the Delta projection. */
export function deltaCommitterService({ ledger, projector, cache, clock }: ServiceDeps): ImplementedService {
  async function tableOf(ref: TableRef | undefined, signal: AbortSignal): Promise<LedgerTable> {
    const { table } = await ledger.getTable({ table: nameOf(ref) }, { signal });
    if (table !== undefined) return table;
    throw new MillraceError('not-found', `the ledger has no table ${formatTableName(nameOf(ref))}`, {
      code: 'table-not-found',
    });
  }

  return implement(DeltaCommitterService, {
    async projectDelta({ table: ref, version }, { signal }) {
      await projector.project(nameOf(ref), version, signal);
      // A ledger table without this format has nothing to be projected.
      return cache.use(await tableOf(ref, signal), async ({ snapshot, appId }) =>
        snapshot === undefined
          ? { ledgerVersion: 0n, deltaVersion: -1n }
          : { ledgerVersion: ledgerVersionOf(snapshot, appId), deltaVersion: BigInt(snapshot.version) },
      );
    },

    async describeDelta({ table: ref }, { signal }) {
      const failure = projector.errorOf(nameOf(ref));
      const detail = failure === undefined ? {} : { error: errorToDetail(failure) };
      return cache.use(await tableOf(ref, signal), async ({ snapshot, store, appId, drift }) => {
        if (snapshot === undefined) return { exists: false, ...detail };
        const { version, protocol, files, checkpointVersion } = snapshot;
        return {
          exists: true,
          enabled: !isDisabled(snapshot),
          ledgerVersion: ledgerVersionOf(snapshot, appId),
          oldestLedgerVersion: await oldestLedgerVersion(store, appId),
          deltaVersion: BigInt(version),
          minReaderVersion: protocol.minReaderVersion,
          minWriterVersion: protocol.minWriterVersion,
          recordCount: BigInt([...files.values()].reduce((total, { stats }) => total + numRecords(stats), 0)),
          fileCount: BigInt(files.size),
          positions: await positionsAt(store, version),
          checkpointVersion: BigInt(checkpointVersion ?? -1),
          ...(drift.since === undefined ? detail : { error: errorToDetail(driftError(store.uri, drift)) }),
        };
      });
    },

    async listCommits({ table: ref, pageSize, pageToken }, { signal }) {
      const table = await tableOf(ref, signal);
      const limit = Math.min(pageSize > 0 ? pageSize : DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
      const before = pageToken === '' ? Number.MAX_SAFE_INTEGER : versionOf(pageToken);
      return cache.use(table, async ({ store }) => {
        const commits = await listCommits(store, before, limit + 1);
        const page = commits.slice(0, limit);
        return {
          commits: page.map(({ deltaVersion, timestampMs, commitInfo }) => ({
            deltaVersion: BigInt(deltaVersion),
            timestampMs: BigInt(timestampMs),
            operation: String(commitInfo.operation ?? ''),
            ledgerVersion: ledgerVersionIn(commitInfo),
            info: Object.fromEntries(
              Object.entries(commitInfo).map(([key, value]) => [
                key,
                typeof value === 'string' ? value : (stringifyJson(value) ?? ''),
              ]),
            ),
          })),
          nextPageToken: commits.length > limit ? String(page.at(-1)!.deltaVersion) : '',
        };
      });
    },

    async checkpointDelta({ table: ref }, { signal }) {
      return cache.use(await tableOf(ref, signal), async ({ snapshot, store, drift }) => {
        if (snapshot === undefined) throw noDeltaTable(nameOf(ref));
        // A checkpoint would hide from a restart what another writer did.
        if (drift.since !== undefined) throw driftError(store.uri, drift);
        if (snapshot.checkpointVersion !== snapshot.version) await writeCheckpoint(store, snapshot, clock.now());
        return { deltaVersion: BigInt(snapshot.version) };
      });
    },

    async cleanDeltaLog({ table: ref, olderThanMs, dryRun }, { signal }) {
      return cache.use(await tableOf(ref, signal), async ({ snapshot, store, appId }) => {
        if (snapshot === undefined) throw noDeltaTable(nameOf(ref));
        const { deleted, oldestVersion } = await cleanLog(store, { olderThanMs: Number(olderThanMs), dryRun });
        return {
          deletedFileCount: deleted.length,
          oldestLedgerVersion: await oldestLedgerVersion(store, appId, oldestVersion),
        };
      });
    },
  });
}

function nameOf(table: TableRef | undefined): { namespace: string; name: string } {
  if (table !== undefined && table.namespace !== '' && table.name !== '') return table;
  throw new MillraceError('invalid', 'the request names no table (table.namespace and table.name)', {
    code: 'table-missing',
  });
}

function versionOf(token: string): number {
  if (/^\d{1,15}$/.test(token)) return Number(token);
  throw new MillraceError('invalid', `page_token ${JSON.stringify(token)} is not one that this service gave`, {
    code: 'page-token-invalid',
  });
}

const noDeltaTable = (table: { namespace: string; name: string }) =>
  new MillraceError('not-found', `${formatTableName(table)} has no Delta table`, { code: 'delta-table-not-found' });
