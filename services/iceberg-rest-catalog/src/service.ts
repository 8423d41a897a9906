import { MillraceError, type TableName } from '@millrace/base';
import { currentSnapshot, type Snapshot, type TableMetadata } from '@millrace/iceberg';
import { POSITIONS, type Projector, parseOffsets } from '@millrace/ledger';
import type { TableRef } from '@millrace/proto/common';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { errorToDetail, type ImplementedService, implement } from '@millrace/rpc';
import type { TableIdent } from './catalog-errors.ts';
import { DISABLED, ledgerVersionOf } from './fed-table.ts';
import { oldestLedgerVersion, type SnapshotExpiry, snapshotVersion } from './snapshots.ts';
import type { Tables } from './tables.ts';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

export interface ServiceDeps {
  tables: Tables;
  projector: Projector;
  expiry: SnapshotExpiry;
  /** As engines reach the REST API. */
  catalogUri: string;
}

/** gRPC: what other services ask of the Iceberg projection. */
export const icebergCatalogService = ({ tables, projector, expiry, catalogUri }: ServiceDeps): ImplementedService =>
  implement(IcebergCatalogService, {
    async projectIceberg({ table, version }, { signal }) {
      const name = nameOf(table);
      await projector.project(name, version, signal);
      // A ledger table without this format has nothing to be projected.
      const found = await tables.find(identOf(table));
      if (found === undefined) return { ledgerVersion: 0n, snapshotId: 0n };
      return {
        ledgerVersion: ledgerVersionOf(found.metadata),
        snapshotId: found.metadata['current-snapshot-id'] ?? 0n,
      };
    },

    async describeIceberg({ table }) {
      const error = projector.errorOf(nameOf(table));
      const detail = error === undefined ? {} : { error: errorToDetail(error) };
      const found = await tables.find(identOf(table));
      if (found === undefined) return { exists: false, catalogUri, ...detail };
      const { metadata } = found;
      const current = currentSnapshot(metadata);
      return {
        exists: true,
        enabled: metadata.properties[DISABLED] !== 'true',
        ledgerVersion: ledgerVersionOf(metadata),
        oldestLedgerVersion: oldestLedgerVersion(metadata),
        snapshotId: current?.['snapshot-id'] ?? 0n,
        snapshotCount: metadata.snapshots.length,
        metadataLocation: found.metadataLocation,
        catalogUri,
        recordCount: BigInt(current?.summary['total-records'] ?? 0),
        fileCount: BigInt(current?.summary['total-data-files'] ?? 0),
        positions: parseOffsets(current?.summary[POSITIONS] ?? '{}'),
        ...detail,
      };
    },

    async listSnapshots({ table, pageSize, pageToken }) {
      const { metadata } = await tables.get(identOf(table));
      const newestFirst = [...metadata.snapshots].reverse();
      const size = Math.min(pageSize > 0 ? pageSize : DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
      const start = pageToken === '' ? 0 : indexAfter(newestFirst, pageToken);
      const snapshots = newestFirst.slice(start, start + size);
      const last = snapshots.at(-1);
      return {
        snapshots: snapshots.map((snapshot) => ({
          snapshotId: snapshot['snapshot-id'],
          timestampMs: BigInt(snapshot['timestamp-ms']),
          operation: snapshot.summary.operation,
          ledgerVersion: snapshotVersion(snapshot),
          summary: snapshot.summary,
        })),
        nextPageToken: last !== undefined && start + size < newestFirst.length ? String(last['snapshot-id']) : '',
      };
    },

    async expireSnapshots({ table, olderThanMs, keepCount, dryRun }) {
      return expiry.expire(identOf(table), { olderThanMs: Number(olderThanMs), keepCount, dryRun });
    },
  });

function nameOf(table: TableRef | undefined): TableName {
  if (table === undefined) throw new MillraceError('invalid', 'the request names no table');
  return { namespace: table.namespace, name: table.name };
}

function identOf(table: TableRef | undefined): TableIdent {
  const { namespace, name } = nameOf(table);
  return { namespace: [namespace], name };
}

/** Snapshots may come and expire between two pages; a token that is gone would skip some. */
function indexAfter(snapshots: TableMetadata['snapshots'], token: string): number {
  const index = snapshots.findIndex((snapshot: Snapshot) => String(snapshot['snapshot-id']) === token);
  if (index < 0) throw new MillraceError('conflict', 'the page token names a snapshot that has expired: list again');
  return index + 1;
}
