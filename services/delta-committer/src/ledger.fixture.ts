import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import {
  type DataFile,
  DataFileSchema,
  PartitionOffsetsSchema,
  TableFormat,
  TableRefSchema,
} from '@millrace/proto/common';
import {
  type LedgerService,
  type LedgerTable,
  LedgerTableSchema,
  type LedgerVersion,
  LedgerVersionSchema,
  VersionKind,
} from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import { encodeSingleValue, type TableSchema, toIcebergSchemaJson } from '@millrace/schema';

export const REF = create(TableRefSchema, { namespace: 'demo', name: 'orders' });

export const SCHEMA: TableSchema = {
  schemaId: 0,
  lastColumnId: 2,
  fields: [
    { id: 1, name: 'id', type: { kind: 'long' }, required: false },
    { id: 2, name: 'name', type: { kind: 'string' }, required: false },
  ],
};

export const dataFile = (name: string, from: number, to: number): DataFile =>
  create(DataFileSchema, {
    path: `data/${name}.parquet`,
    sizeBytes: 1_000n,
    recordCount: BigInt(to - from),
    columns: [
      {
        fieldId: 1,
        nullCount: 0n,
        lowerBound: encodeSingleValue({ kind: 'long' }, BigInt(from)),
        upperBound: encodeSingleValue({ kind: 'long' }, BigInt(to - 1)),
      },
    ],
    offsets: [{ partition: 0, startOffset: BigInt(from), endOffset: BigInt(to) }],
  });

export interface FakeLedger {
  client: Client<typeof LedgerService>;
  table: LedgerTable;
  /** Commits the next version. */
  add(kind: VersionKind, change?: MessageInitShape<typeof LedgerVersionSchema>): LedgerVersion;
  /** Appends a file of ten rows, whose ids are their offsets. */
  append(): LedgerVersion;
  live: Map<string, DataFile>;
}

/** A ledger of one table in memory, at the side of its client. */
export function fakeLedger(location: string): FakeLedger {
  const versions: LedgerVersion[] = [];
  const live = new Map<string, DataFile>();
  const watchers = new Set<() => void>();
  let end = 0;
  const table = create(LedgerTableSchema, {
    table: REF,
    topic: 'orders',
    tableUuid: '0b1c6a52-5a0e-4c4e-8f63-4f2d9d1f7c11',
    location,
    formats: [TableFormat.ICEBERG, TableFormat.DELTA],
    tableSchemaJson: toIcebergSchemaJson(SCHEMA),
    oldestVersion: 1n,
    createdMs: 1_700_000_000_000n,
  });
  const range = (from: number, to: number) =>
    create(PartitionOffsetsSchema, { partition: 0, startOffset: BigInt(from), endOffset: BigInt(to) });
  const positions = () => (end === 0 ? [] : [range(0, end)]);
  const ledger: FakeLedger = {
    table,
    live,
    add(kind, change = {}) {
      const version = create(LedgerVersionSchema, {
        table: REF,
        version: table.version + 1n,
        kind,
        createdMs: 1_700_000_000_000n,
        positions: positions(),
        ...change,
      });
      for (const file of version.removed) live.delete(file.path);
      for (const file of version.added) live.set(file.path, file);
      if (version.tableSchemaJson !== '') table.tableSchemaJson = version.tableSchemaJson;
      if (kind === VersionKind.FORMATS) table.formats = version.formats;
      if (kind === VersionKind.DROP) table.dropped = table.purge = true;
      versions.push(version);
      table.version = version.version;
      for (const tell of watchers) tell();
      return version;
    },
    append() {
      const start = end;
      end += 10;
      return ledger.add(VersionKind.APPEND, {
        added: [dataFile(`f${start}`, start, end)],
        offsets: [range(start, end)],
      });
    },
    client: {
      getTable: async ({ table: ref }: { table: typeof REF }) => {
        if (ref.name !== REF.name || versions.length === 0)
          throw new MillraceError('not-found', `no table ${ref.name}`);
        return { table: { ...table } };
      },
      listVersions: async ({ afterVersion }: { afterVersion: bigint }) => ({
        versions: versions.filter(({ version }) => version > afterVersion),
        more: false,
      }),
      listFiles: async () => ({
        version: table.version,
        files: [...live.values()],
        positions: positions(),
        nextPageToken: '',
      }),
      async *watchLedger(_: unknown, { signal }: { signal: AbortSignal }) {
        while (!signal.aborted) {
          if (versions.length > 0) yield { table: REF, version: table.version };
          await new Promise<void>((resolve) => {
            watchers.add(resolve);
            signal.addEventListener('abort', () => resolve());
          });
        }
      },
      close() {},
    } as unknown as Client<typeof LedgerService>,
  };
  return ledger;
}
