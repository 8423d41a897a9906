import { MillraceError } from '@millrace/base';
import { filePath, localStore } from './local-store.ts';
import type { ObjectStore } from './object-store.ts';

/** The store at a URI (file:///folder) or a local path. Nothing is created until something is written. */
export function openStore(uri: string): ObjectStore {
  const path = filePath(uri);
  if (path !== undefined) return localStore(path);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1];
  if (scheme === undefined) return localStore(uri);
  throw new MillraceError(
    'unsupported',
    `no object store for ${scheme}:// (in ${uri}); legal: file:///folder or a path`,
    {
      code: 'store-unsupported',
      context: { uri },
    },
  );
}
