import {
  expireVersions,
  forgetFiles,
  getTable,
  listFiles,
  listKeptPaths,
  listRemovedFiles,
  listTables,
  listVersions,
  proposeRewrite,
} from '@millrace/ledger';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { implement } from '@millrace/rpc';
import { currentTraceparent } from '@millrace/telemetry';
import type { Discovery } from './discovery.ts';
import { ledgerWatch } from './ledger-watch.ts';
import { pageSize, wholeNumber } from './page.ts';

/** proto ↔ ledger: tables and their versions. */
export function ledgerService(discovery: Discovery) {
  const { db, clock } = discovery;
  const watch = ledgerWatch(db, discovery.ledger, clock);
  return implement(LedgerService, {
    getTable: async (request) => ({ table: await getTable(db, request.table) }),
    listTables: ({ includeDropped, pageToken, ...request }) =>
      listTables(db, { includeDropped, pageToken, pageSize: pageSize(request.pageSize, 100, 1_000) }),
    listVersions: (request) =>
      listVersions(db, {
        table: request.table,
        afterVersion: wholeNumber(request.afterVersion, 'after_version'),
        pageSize: pageSize(request.pageSize, 100, 1_000),
        withoutFiles: request.withoutFiles,
      }),
    async listFiles(request) {
      const page = await listFiles(db, {
        table: request.table,
        version: wholeNumber(request.version, 'version'),
        pageSize: pageSize(request.pageSize, 1_000, 5_000),
        pageToken: request.pageToken,
        withoutColumns: request.withoutColumns,
      });
      return { ...page, version: BigInt(page.version) };
    },
    watchLedger: (_request, call) => watch.follow(AbortSignal.any([call.signal, discovery.draining])),
    async proposeRewrite(request) {
      const { version } = await proposeRewrite(db, {
        table: request.table,
        removedPaths: request.removedPaths,
        added: request.added,
        proposalId: request.proposalId,
        maintenanceEpoch: wholeNumber(request.maintenanceEpoch, 'maintenance_epoch'),
        nowMs: clock.now(),
        traceparent: currentTraceparent(),
      });
      discovery.ledger.notify();
      return { version: BigInt(version) };
    },
    listRemovedFiles: async (request) => ({
      paths: await listRemovedFiles(db, {
        table: request.table,
        removedBeforeMs: wholeNumber(request.removedBeforeMs, 'removed_before_ms'),
        removedByVersion: wholeNumber(request.removedByVersion, 'removed_by_version'),
        pageSize: pageSize(request.pageSize, 1_000, 5_000),
      }),
    }),
    async forgetFiles(request) {
      await forgetFiles(db, request.table, request.paths);
      return {};
    },
    listKeptPaths: (request) =>
      listKeptPaths(db, {
        table: request.table,
        pageSize: pageSize(request.pageSize, 1_000, 5_000),
        pageToken: request.pageToken,
        maintenanceEpoch: wholeNumber(request.maintenanceEpoch, 'maintenance_epoch'),
      }),
    async expireVersions(request) {
      const expired = await expireVersions(db, {
        table: request.table,
        beforeMs: wholeNumber(request.beforeMs, 'before_ms'),
        beforeVersion: wholeNumber(request.beforeVersion, 'before_version'),
      });
      return { expiredCount: BigInt(expired) };
    },
  });
}
