import { MillraceError } from '@millrace/base';
import {
  type Action,
  type AddFile,
  type CommitInfo,
  type DeltaStruct,
  deltaSchema,
  encodePath,
  evolveSchema,
  leastProtocol,
  type Metadata,
  parseDeltaSchema,
  type RemoveFile,
  type Snapshot,
  statisticsWriter,
  stringifyJson,
  type Transaction,
  upgradeProtocol,
} from '@millrace/delta';
import { formatOffsets, LEDGER_VERSION, OFFSETS, POSITIONS } from '@millrace/ledger';
import type { DataFile, PartitionOffsets } from '@millrace/proto/common';
import { type LedgerTable, type LedgerVersion, VersionKind } from '@millrace/proto/metadata_discovery';
import { fromIcebergSchemaJson } from '@millrace/schema';
import { disabledProperties, followedProperties, isDisabled, type TableDefaults } from './fed-table.ts';

const ENGINE = 'Millrace/0.1.0';

/** The commit that a ledger version becomes. It throws `conflict` when a file that it removes is not live. */
export function versionTransaction(table: LedgerTable, version: LedgerVersion, now: number): Transaction {
  const dataChange = version.kind !== VersionKind.REWRITE;
  const addFile = addFileOf(table.tableSchemaJson, dataChange, Number(version.createdMs));
  const adds = version.added.map(addFile);
  const wanted =
    version.tableSchemaJson === '' ? undefined : deltaSchema(fromIcebergSchemaJson(version.tableSchemaJson));
  const commitInfo = provenance(version.version, version.offsets, version.positions);
  return {
    version: version.version,
    now,
    commitInfo,
    actions(snapshot) {
      const before = present(snapshot, table);
      const removes = version.removed.map((file) => {
        const live = before.files.get(encodePath(file.path));
        if (live === undefined) throw notLive(table, version.version, file.path);
        return removeFile(live, dataChange, now);
      });
      const change = wanted && schemaActions(before, wanted);
      describe(commitInfo, version.kind, adds, removes, change?.added);
      return [...(change?.actions ?? []), ...removes.map((remove) => ({ remove })), ...adds.map((add) => ({ add }))];
    },
  };
}

/** The commit that makes the table, or brings one that is there to exactly these files. */
export function stateTransaction(
  table: LedgerTable,
  state: { version: bigint; tableSchemaJson: string; positions: PartitionOffsets[]; files: DataFile[] },
  defaults: TableDefaults,
  now: number,
): Transaction {
  const wanted = deltaSchema(fromIcebergSchemaJson(state.tableSchemaJson));
  const addFile = addFileOf(state.tableSchemaJson, true, now);
  const byPath = new Map(state.files.map((file) => [encodePath(file.path), file]));
  const commitInfo = provenance(state.version, state.positions, state.positions);
  return {
    version: state.version,
    now,
    commitInfo,
    overDrift: true,
    actions(snapshot) {
      const live = snapshot?.files ?? new Map<string, AddFile>();
      const adds = [...byPath].filter(([path]) => !live.has(path)).map(([, file]) => addFile(file));
      const removes = [...live.values()]
        .filter(({ path }) => !byPath.has(path))
        .map((add) => removeFile(add, true, now));
      const configuration = followedProperties(table, defaults, snapshot?.metadata.configuration);
      const definition =
        snapshot === undefined
          ? [{ protocol: leastProtocol(wanted) }, { metaData: newMetadata(table, wanted, configuration) }]
          : schemaActions(snapshot, wanted, configuration).actions;
      describe(commitInfo, VersionKind.CREATE, adds, removes);
      if (snapshot !== undefined) commitInfo.operation = 'REBUILD';
      return [...definition, ...removes.map((remove) => ({ remove })), ...adds.map((add) => ({ add }))];
    },
  };
}

/** The metadata commit that ends a table's projection; nothing when it has ended already. */
export const disableTransaction = (now: number): Transaction => ({
  now,
  overDrift: true,
  commitInfo: {
    operation: 'SET TBLPROPERTIES',
    operationParameters: { properties: '{"millrace.disabled":"true"}' },
    engineInfo: ENGINE,
  },
  actions(snapshot) {
    if (snapshot === undefined || isDisabled(snapshot)) return undefined;
    return [{ metaData: { ...snapshot.metadata, configuration: disabledProperties(snapshot.metadata) } }];
  },
});

const addFileOf = (schemaJson: string, dataChange: boolean, modificationTime: number) => {
  const statistics = statisticsWriter(fromIcebergSchemaJson(schemaJson));
  return (file: DataFile): AddFile => ({
    path: encodePath(file.path),
    partitionValues: {},
    size: Number(file.sizeBytes),
    modificationTime,
    dataChange,
    stats: statistics(file.recordCount, file.columns),
  });
};

const removeFile = ({ path, partitionValues, size }: AddFile, dataChange: boolean, now: number): RemoveFile => ({
  path,
  deletionTimestamp: now,
  dataChange,
  extendedFileMetadata: true,
  partitionValues,
  size,
});

const newMetadata = (table: LedgerTable, schema: DeltaStruct, configuration: Record<string, string>): Metadata => ({
  id: table.tableUuid,
  name: table.table!.name,
  format: { provider: 'parquet', options: {} },
  schemaString: stringifyJson(schema),
  partitionColumns: [],
  createdTime: Number(table.createdMs),
  configuration,
});

/**
 * The metaData (and protocol) that bring a table's definition to the wanted schema and properties, where they differ.
 */
function schemaActions(
  { metadata, protocol }: Snapshot,
  wanted: DeltaStruct,
  configuration: Record<string, string> = metadata.configuration,
): { actions: Action[]; added: string[] } {
  const { schema, added } = evolveSchema(parseDeltaSchema(metadata.schemaString), wanted);
  const needed = leastProtocol(schema);
  const upgrade = upgradeProtocol(protocol, needed);
  const properties = needed.readerFeatures?.includes('typeWidening')
    ? { ...configuration, 'delta.enableTypeWidening': 'true' }
    : configuration;
  const metaData = { ...metadata, schemaString: stringifyJson(schema), configuration: properties };
  const same = stringifyJson(metaData) === stringifyJson(metadata);
  return { actions: [...(upgrade ? [{ protocol: upgrade }] : []), ...(same ? [] : [{ metaData }])], added };
}

const provenance = (version: bigint, offsets: PartitionOffsets[], positions: PartitionOffsets[]): CommitInfo => ({
  engineInfo: ENGINE,
  [LEDGER_VERSION]: String(version),
  [OFFSETS]: formatOffsets(offsets),
  [POSITIONS]: formatOffsets(positions),
});

/** operation, operationParameters and operationMetrics, under the names that engines show in a table's history. */
function describe(info: CommitInfo, kind: VersionKind, adds: AddFile[], removes: RemoveFile[], columns: string[] = []) {
  const [operation, parameters] = OPERATIONS[kind] ?? ['SET FORMATS', {}];
  info.operation = operation;
  info.operationParameters = kind === VersionKind.SCHEMA ? { columns: JSON.stringify(columns) } : parameters;
  info.isBlindAppend = kind === VersionKind.APPEND && removes.length === 0;
  const sum = (values: (number | undefined)[]) =>
    String(values.reduce<number>((total, value) => total + (value ?? 0), 0));
  info.operationMetrics =
    kind === VersionKind.APPEND
      ? {
          numFiles: String(adds.length),
          numOutputRows: sum(adds.map(({ stats }) => numRecords(stats))),
          numOutputBytes: sum(adds.map(({ size }) => size)),
        }
      : {
          numAddedFiles: String(adds.length),
          numAddedBytes: sum(adds.map(({ size }) => size)),
          numRemovedFiles: String(removes.length),
          numRemovedBytes: sum(removes.map(({ size }) => size)),
        };
}

const OPERATIONS: Partial<Record<VersionKind, [string, Record<string, string>]>> = {
  [VersionKind.CREATE]: ['CREATE TABLE', { isManaged: 'false', partitionBy: '[]' }],
  [VersionKind.APPEND]: ['WRITE', { mode: 'Append', partitionBy: '[]' }],
  [VersionKind.REWRITE]: ['OPTIMIZE', { predicate: '[]' }],
  [VersionKind.SCHEMA]: ['ADD COLUMNS', {}],
};

/** Rows of a file by its statistics; 0 without any. */
export const numRecords = (stats: string | undefined): number =>
  Number(/"numRecords"\s*:\s*(\d+)/.exec(stats ?? '')?.[1] ?? 0);

function present(snapshot: Snapshot | undefined, table: LedgerTable): Snapshot {
  if (snapshot !== undefined) return snapshot;
  throw new MillraceError('conflict', `the Delta table at ${table.location} is gone`, { code: 'delta-table-gone' });
}

const notLive = (table: LedgerTable, version: bigint, path: string) =>
  new MillraceError(
    'conflict',
    `ledger version ${version} removes ${path}, which the Delta table at ${table.location} does not have: switch the topic's delta format off and, once that is done, on again`,
    { code: 'delta-file-not-live', retryable: false, context: { path, version } },
  );
