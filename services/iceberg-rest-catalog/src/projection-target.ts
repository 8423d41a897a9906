import { type Clock, isKind, MillraceError } from '@millrace/base';
import {
  applyUpdates,
  type DataChange,
  type DataFile,
  metadataFolder,
  newTableMetadata,
  prepareSnapshot,
  type SchemaJson,
  type TableFiles,
  type TableMetadata,
  type TableUpdate,
} from '@millrace/iceberg';
import {
  formatOffsets,
  LEDGER_VERSION,
  type LedgerState,
  OFFSETS,
  POSITIONS,
  type ProjectionTarget,
} from '@millrace/ledger';
import { type PartitionOffsets, type DataFile as ProtoDataFile, TableFormat } from '@millrace/proto/common';
import { type LedgerTable, type LedgerVersion, VersionKind } from '@millrace/proto/metadata_discovery';
import { formatIdent, type TableIdent } from './catalog-errors.ts';
import { DISABLED, ledgerVersionOf, TABLE_UUID, TOPIC, TYPE_MAPPING } from './fed-table.ts';
import type { Namespaces } from './namespaces.ts';
import type { CatalogTable, TableChange, Tables } from './tables.ts';

const TEN_YEARS_MS = 315_360_000_000;
const MAX_SNAPSHOT_AGE = 'history.expire.max-snapshot-age-ms';

export interface ProjectionDeps {
  tables: Tables;
  namespaces: Namespaces;
  files: TableFiles;
  clock: Clock;
}

/** The Iceberg side of the ledger: each version is one commit to the table in this catalog. */
export function icebergProjection({ tables, namespaces, files, clock }: ProjectionDeps): ProjectionTarget {
  /** The catalog's table, unless it is an earlier one that had the same name. */
  async function findOwn(table: LedgerTable): Promise<CatalogTable | undefined> {
    const found = await tables.find(identOf(table));
    return found?.ledgerUuid === table.tableUuid ? found : undefined;
  }

  async function withSnapshot(metadata: TableMetadata, change: DataChange): Promise<TableChange> {
    const { updates, written } = await prepareSnapshot(files, metadata, change, clock.now());
    return { metadata: applyUpdates(metadata, updates, clock.now()), written };
  }

  async function applyTo(metadata: TableMetadata, table: LedgerTable, version: LedgerVersion): Promise<TableChange> {
    if (ledgerVersionOf(metadata) >= version.version) return { metadata };
    const updates = schemaUpdates(version.tableSchemaJson);
    if (version.kind === VersionKind.FORMATS) updates.push(...formatUpdates(version.formats));
    const hasData = version.added.length > 0 || version.removed.length > 0 || version.offsets.length > 0;
    if (!hasData) {
      updates.push({ action: 'set-properties', updates: { [LEDGER_VERSION]: String(version.version) } });
      return { metadata: applyUpdates(metadata, updates, clock.now()) };
    }
    const prepared = applyUpdates(metadata, [...updates, forgetVersion], clock.now());
    return withSnapshot(prepared, {
      operation: operationOf(version),
      added: [version.added.map((file) => toDataFile(table.location, file))],
      removed: new Set(version.removed.map((file) => uriOf(table.location, file.path))),
      summary: summaryOf(table, version.version, version.offsets, version.positions),
    });
  }

  async function rebuilt(base: TableMetadata, table: LedgerTable, state: LedgerState): Promise<TableChange> {
    const updates: TableUpdate[] = [
      { action: 'remove-properties', removals: [DISABLED, MAX_SNAPSHOT_AGE] },
      ...schemaUpdates(state.tableSchemaJson),
      ...formatUpdates(table.formats),
    ];
    const prepared = applyUpdates(base, updates, clock.now());
    if (state.positions.length === 0 && prepared['current-snapshot-id'] === undefined) {
      const version = { [LEDGER_VERSION]: String(state.version) };
      return { metadata: applyUpdates(prepared, [{ action: 'set-properties', updates: version }], clock.now()) };
    }
    return withSnapshot(applyUpdates(prepared, [forgetVersion], clock.now()), {
      operation: base['current-snapshot-id'] === undefined ? 'append' : 'overwrite',
      added: dataFiles(table.location, state.files),
      removed: 'others',
      summary: summaryOf(table, state.version, state.positions, state.positions),
    });
  }

  return {
    async position(table) {
      const found = await findOwn(table);
      if (found === undefined) return undefined;
      const enabled = found.metadata.properties[DISABLED] !== 'true';
      return { ledgerVersion: ledgerVersionOf(found.metadata), enabled };
    },

    async rebuild(table, state) {
      const ident = identOf(table);
      const found = await tables.find(ident);
      if (found !== undefined && found.ledgerUuid === undefined) {
        throw new MillraceError(
          'already-exists',
          `the catalog has a table ${formatIdent(ident)} that no topic feeds: rename or drop it, or give the topic another table`,
          { code: 'table-name-taken', context: { table: formatIdent(ident) } },
        );
      }
      if (found?.ledgerUuid === table.tableUuid) {
        const isThere = ({ properties }: TableMetadata) => properties[DISABLED] !== 'true';
        // The state's pages can be read only once, so a lost race is for the caller to repeat.
        const change = async ({ metadata }: CatalogTable): Promise<TableChange> =>
          isThere(metadata) && ledgerVersionOf(metadata) >= state.version
            ? { metadata }
            : rebuilt(metadata, table, state);
        await tables.commit([{ ident, change }], 1);
        return;
      }
      const { metadata, written = [] } = await rebuilt(firstMetadata(table, state, clock.now()), table, state);
      try {
        if (found !== undefined) await tables.replace(found, metadata, table.tableUuid);
        else {
          await namespaces.ensure(ident.namespace);
          await tables.create(ident, metadata, table.tableUuid);
        }
      } catch (error) {
        if (!isKind(error, 'conflict', 'already-exists')) throw error;
        await Promise.allSettled(written.map((uri) => files.remove(uri)));
        throw new MillraceError('conflict', `${formatIdent(ident)} was made by another process meanwhile`, {
          cause: error,
        });
      }
    },

    async apply(table, version) {
      const found = await findOwn(table);
      if (found === undefined) {
        throw new MillraceError(
          'conflict',
          `${formatIdent(identOf(table))} is not in the catalog: it has to be rebuilt`,
        );
      }
      await tables.commit([{ ident: found.ident, change: ({ metadata }) => applyTo(metadata, table, version) }]);
    },

    async disable(table, version) {
      const found = await findOwn(table);
      if (found === undefined) return;
      const updates = { [DISABLED]: 'true', [MAX_SNAPSHOT_AGE]: String(TEN_YEARS_MS), 'gc.enabled': 'false' };
      const change = ({ metadata }: CatalogTable): TableChange => ({
        metadata:
          ledgerVersionOf(metadata) >= version
            ? metadata
            : applyUpdates(metadata, [{ action: 'set-properties', updates }], clock.now()),
      });
      await tables.commit([{ ident: found.ident, change }]);
    },

    async drop(table) {
      const ident = identOf(table);
      const found = await tables.find(ident);
      if (found?.ledgerUuid === table.tableUuid) await tables.drop(ident, table.tableUuid);
      // The same folder may be a newer table's by now.
      else if (found !== undefined) return;
      if (!table.purge) return;
      for await (const { uri } of files.list(`${metadataFolder(folderOf(table))}/`)) await files.remove(uri);
    },
  };
}

const identOf = ({ table }: LedgerTable): TableIdent => ({ namespace: [table!.namespace], name: table!.name });

const folderOf = ({ location }: LedgerTable) => ({
  location,
  properties: { 'write.metadata.path': `${location}/_iceberg` },
});

function firstMetadata(table: LedgerTable, state: LedgerState, nowMs: number): TableMetadata {
  return newTableMetadata(
    {
      schema: JSON.parse(state.tableSchemaJson) as SchemaJson,
      location: table.location,
      properties: {
        ...folderOf(table).properties,
        'write.parquet.compression-codec': 'zstd',
        [TYPE_MAPPING]: '1',
        [TABLE_UUID]: table.tableUuid,
        [TOPIC]: table.topic,
      },
      uuid: table.tableUuid,
      keepIds: true,
    },
    nowMs,
  );
}

/** From here on a snapshot carries the version. */
const forgetVersion: TableUpdate = { action: 'remove-properties', removals: [LEDGER_VERSION] };

const schemaUpdates = (json: string): TableUpdate[] =>
  json === ''
    ? []
    : [
        { action: 'add-schema', schema: JSON.parse(json) as SchemaJson },
        { action: 'set-current-schema', 'schema-id': -1 },
      ];

/** While another format shares the data files, no engine may delete them for Iceberg alone. */
const formatUpdates = (formats: TableFormat[]): TableUpdate[] =>
  formats.some((format) => format !== TableFormat.ICEBERG)
    ? [{ action: 'set-properties', updates: { 'gc.enabled': 'false' } }]
    : [{ action: 'remove-properties', removals: ['gc.enabled'] }];

function operationOf({ kind, removed, added }: LedgerVersion): DataChange['operation'] {
  if (kind === VersionKind.REWRITE) return 'replace';
  if (removed.length === 0) return 'append';
  return added.length === 0 ? 'delete' : 'overwrite';
}

const summaryOf = (
  table: LedgerTable,
  version: bigint,
  offsets: PartitionOffsets[],
  positions: PartitionOffsets[],
): Record<string, string> => ({
  [LEDGER_VERSION]: String(version),
  [TABLE_UUID]: table.tableUuid,
  [OFFSETS]: formatOffsets(offsets),
  [POSITIONS]: formatOffsets(positions),
});

const uriOf = (location: string, path: string): string => `${location}/${path}`;

const toDataFile = (location: string, file: ProtoDataFile): DataFile => ({
  path: uriOf(location, file.path),
  sizeBytes: file.sizeBytes,
  recordCount: file.recordCount,
  splitOffsets: file.rowGroupOffsets,
  columns: file.columns,
});

async function* dataFiles(location: string, pages: AsyncIterable<ProtoDataFile[]>): AsyncGenerator<DataFile[]> {
  for await (const page of pages) yield page.map((file) => toDataFile(location, file));
}
