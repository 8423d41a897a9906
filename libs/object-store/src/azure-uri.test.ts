import { expect, test } from 'vitest';
import { azureKey, azureRoot } from './azure-uri.ts';

const read = (uri: string, account?: string) => azureRoot(uri, ['account', 'endpoint'], account);
const BLOB = 'https://acct.blob.core.windows.net';

test.each([
  ['abfss://lake@acct.dfs.core.windows.net/a/b/', 'abfss://lake@acct.dfs.core.windows.net/a/b', BLOB],
  ['abfs://lake@acct.dfs.core.windows.net', 'abfss://lake@acct.dfs.core.windows.net', BLOB],
  ['wasbs://lake@acct.blob.core.windows.net/a', 'abfss://lake@acct.dfs.core.windows.net/a', BLOB],
  ['az://lake/a?account=acct', 'abfss://lake@acct.dfs.core.windows.net/a', BLOB],
  [
    'abfss://lake@acct.dfs.core.chinacloudapi.cn',
    'abfss://lake@acct.dfs.core.chinacloudapi.cn',
    'https://acct.blob.core.chinacloudapi.cn',
  ],
  [
    'abfss://lake@acct.z01.dfs.storage.azure.net/a',
    'abfss://lake@acct.z01.dfs.storage.azure.net/a',
    'https://acct.z01.blob.storage.azure.net',
  ],
])('%s is what engines expect', (uri, root, blobUrl) => {
  expect(read(uri)).toMatchObject({ account: 'acct', container: 'lake', root, blobUrl });
});

test('the account of az:// is in the environment, or named', () => {
  expect(read('az://lake', 'mine').root).toBe('abfss://lake@mine.dfs.core.windows.net');
  expect(() => read('az://lake')).toThrow('name the storage account: "?account=", AZURE_STORAGE_ACCOUNT');
});

test.each([
  'abfss://lake/a',
  'az://lake@acct.dfs.core.windows.net/a',
  'abfss://@acct.dfs.core.windows.net',
  'abfss://lake@acct.example.com',
  'abfss://lake@AC.dfs.core.windows.net',
  'abfss://lake@acct.dfs.core.windows.net?secret=x',
])('%s is refused', (uri) => {
  expect(() => read(uri, 'acct')).toThrow('is not usable');
});

test('keys under a root, in every spelling', () => {
  const root = read('abfss://lake@acct.dfs.core.windows.net/w');
  for (const uri of [
    'abfss://lake@acct.dfs.core.windows.net/w/t/data/x.parquet',
    'abfs://lake@acct.dfs.core.windows.net/w/t/data/x.parquet',
    'wasbs://lake@acct.blob.core.windows.net/w/t/data/x.parquet',
    'az://lake/w/t/data/x.parquet',
  ])
    expect(azureKey(root, uri)).toBe('t/data/x.parquet');
  for (const uri of ['az://other/w/x', 'abfss://lake@other.dfs.core.windows.net/w/x', 'az://lake/v/x', 's3://lake/w/x'])
    expect(() => azureKey(root, uri)).toThrow('does not lie under');
  expect(() => azureKey(root, 'az://lake/w/../x')).toThrow('is not allowed');
});
