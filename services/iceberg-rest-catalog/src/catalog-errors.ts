import { MillraceError } from '@millrace/base';

/** A namespace: its levels. */
export type Namespace = readonly string[];

export interface TableIdent {
  namespace: Namespace;
  name: string;
}

export const formatNamespace = (namespace: Namespace): string => namespace.join('.');
export const formatIdent = ({ namespace, name }: TableIdent): string => [...namespace, name].join('.');

// Errors in Iceberg's own words; the code is the type of the REST error model, and engines match on both.

export const noSuchNamespace = (namespace: Namespace): MillraceError =>
  new MillraceError('not-found', `Namespace does not exist: ${formatNamespace(namespace)}`, {
    code: 'NoSuchNamespaceException',
  });

export const namespaceExists = (namespace: Namespace): MillraceError =>
  new MillraceError('already-exists', `Namespace already exists: ${formatNamespace(namespace)}`, {
    code: 'AlreadyExistsException',
  });

export const namespaceNotEmpty = (namespace: Namespace, what: string): MillraceError =>
  new MillraceError('conflict', `Namespace ${formatNamespace(namespace)} is not empty: it has ${what}`, {
    code: 'NamespaceNotEmptyException',
    retryable: false,
  });

export const noSuchTable = (ident: TableIdent): MillraceError =>
  new MillraceError('not-found', `Table does not exist: ${formatIdent(ident)}`, { code: 'NoSuchTableException' });

export const tableExists = (ident: TableIdent): MillraceError =>
  new MillraceError('already-exists', `Table already exists: ${formatIdent(ident)}`, {
    code: 'AlreadyExistsException',
  });

export const commitFailed = (message: string): MillraceError =>
  new MillraceError('conflict', message, { code: 'CommitFailedException' });
