import type { Action, AddFile, Metadata } from './actions.ts';
import type { Transaction } from './table.ts';

export const METADATA: Metadata = {
  id: '4f2a3c52-7d6e-4a52-9a55-0d6e3c1f8a10',
  format: { provider: 'parquet', options: {} },
  schemaString: '{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}',
  partitionColumns: [],
  configuration: {},
};

export const addOf = (path: string, dataChange = true): AddFile => ({
  path,
  partitionValues: {},
  size: 10,
  modificationTime: 1,
  dataChange,
  stats: '{"numRecords":1}',
});

export const removeOf = (path: string, deletionTimestamp = 1) => ({ path, deletionTimestamp, dataChange: true });

export const CREATE: Action[] = [{ protocol: { minReaderVersion: 1, minWriterVersion: 2 } }, { metaData: METADATA }];

/** A transaction that makes the table when there is none. */
export const transaction = (
  version: bigint | undefined,
  actions: Action[],
  more: Partial<Transaction> = {},
): Transaction => ({
  ...(version === undefined ? {} : { version }),
  now: 1_000,
  commitInfo: { operation: 'WRITE', engineInfo: 'test' },
  actions: (snapshot) => (snapshot === undefined ? [...CREATE, ...actions] : actions),
  ...more,
});
