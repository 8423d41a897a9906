import { formatTableName, isKind, MillraceError, type TableName } from '@millrace/base';
import type { TableFormat } from '@millrace/proto/common';
import { type LedgerService, type LedgerTable, VersionKind } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import { record, untraced, withSharedSpan } from '@millrace/telemetry';
import type { LedgerState, ProjectionTarget } from './projection.ts';
import { versionTraces } from './version-traces.ts';

/** What the format's table shows: when its newest version was committed, and the latest Kafka timestamp in it (0: unknown). */
export type Shown = Pick<LedgerTable, 'versionMs' | 'newestRecordMs'>;

export interface SyncOptions {
  format: TableFormat;
  /** For spans: "iceberg". */
  formatName: string;
  ledger: Client<typeof LedgerService>;
  target: ProjectionTarget;
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
        await target.disable(table, version.version);
        // Newer than the table as it was read, which says no more what is wanted now: the watch tells of what came after.
        if (version.version > table.version) return version.version;
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
  // The commits that it takes in one go end their traces here.
  const traces = await versionTraces(ledger, table.table!, { after: 0n, upTo: first.version }, signal);
  const attributes = {
    'millrace.table': formatTableName(table.table!),
    'millrace.ledger_version': Number(first.version),
  };
  await withSharedSpan(`${formatName} rebuild`, traces, attributes, () => target.rebuild(table, state));
  return first.version;
}
