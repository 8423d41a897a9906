import { MillraceError } from '@millrace/base';
import { filePath, localStore } from './local-store.ts';
import type { ObjectStore } from './object-store.ts';
import { s3Store } from './s3-store.ts';

/** The store at a URI (file:///folder, s3://bucket/prefix) or a local path. Nothing is created until something is written. */
export function openStore(uri: string): ObjectStore {
  const path = filePath(uri);
  if (path !== undefined) return localStore(path);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1];
  if (scheme === undefined) return localStore(uri);
  if (scheme === 's3' || scheme === 's3a') return s3Store(uri);
  throw new MillraceError(
    'unsupported',
    `no object store for ${scheme}:// (in ${uri}); legal: file:///folder, a path, s3://bucket/prefix`,
    {
      code: 'store-unsupported',
      context: { uri },
    },
  );
}
