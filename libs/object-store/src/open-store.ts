import { MillraceError } from '@millrace/base';
import { azureStore } from './azure-store.ts';
import { AZURE_SCHEMES } from './azure-uri.ts';
import { gcsStore } from './gcs-store.ts';
import { filePath, localStore } from './local-store.ts';
import type { ObjectStore } from './object-store.ts';
import { s3Store } from './s3-store.ts';

const STORES: Record<string, (uri: string) => ObjectStore> = {
  s3: s3Store,
  s3a: s3Store,
  gs: gcsStore,
  ...Object.fromEntries(AZURE_SCHEMES.map((scheme) => [scheme, azureStore])),
};

/**
 * The store at a URI (file:///folder, s3://bucket/prefix, gs://bucket/prefix,
 * abfss://container@account.dfs.core.windows.net/prefix, az://container/prefix) or a local path. Nothing is created until
 * something is written.
 */
export function openStore(uri: string): ObjectStore {
  const path = filePath(uri);
  if (path !== undefined) return localStore(path);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1];
  if (scheme === undefined) return localStore(uri);
  const open = STORES[scheme];
  if (open !== undefined) return open(uri);
  throw new MillraceError(
    'unsupported',
    `no object store for ${scheme}:// (in ${uri.replace(/\?.*/s, '?…')}); legal: file:///folder, a path, ` +
      's3://bucket/prefix, gs://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix, az://container/prefix',
    { code: 'store-unsupported', context: { scheme } },
  );
}
