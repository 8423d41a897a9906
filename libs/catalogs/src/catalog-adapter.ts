import type { TableName } from '@millrace/base';

/** How to reach an outside catalog. Never holds a secret: `tokenSource` says where the token is. */
export interface CatalogSettings {
  /** Unique among the integrations; named in every error. */
  name: string;
  kind: CatalogKind;
  uri: string;
  /** Of an Iceberg REST catalog: its warehouse. Empty: the server's default. */
  warehouse: string;
  /** The namespace that tables get there, dots between levels. Empty: the table's own, one level. */
  namespace: string;
  /** "env:NAME", "file:PATH" or empty. */
  tokenSource: string;
}

export type CatalogKind = 'iceberg-rest';

export const CATALOG_KINDS: readonly CatalogKind[] = ['iceberg-rest'];

/** What a publication did to the catalog. */
export interface Published {
  action: 'unchanged' | 'registered' | 'moved';
  /** Read back from the catalog afterwards: equal to the pointer that was asked for. */
  seenPointer: string;
  /** What the catalog showed before; undefined: it had no such table. */
  replacedPointer: string | undefined;
}

/**
 * An outside catalog that is kept pointing at our tables. A pointer is what the catalog stores of a table: for Iceberg
 * catalogs the URI of the metadata file. Every call is idempotent, retries what is worth it within its own time
 * budget, and throws a MillraceError that names the catalog, the table and the server's answer.
 */
export interface CatalogAdapter {
  readonly settings: CatalogSettings;
  /** Reaches the catalog and is let in; throws otherwise. */
  check(signal?: AbortSignal): Promise<void>;
  /** The pointer that the catalog shows; undefined: it has no such table. */
  describe(table: TableName, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * Makes the catalog show `pointer`, creating namespace and table when absent, and reads it back. `previous` is what
   * was published before: a table there that is neither `previous` nor at our table's location belongs to someone else
   * and is refused (`already-exists`), never replaced.
   */
  publish(table: TableName, pointer: string, previous: string | undefined, signal?: AbortSignal): Promise<Published>;
  /** Takes the table out of the catalog, never its files. False: it was not there. Refuses as `publish` does. */
  withdraw(table: TableName, previous: string, signal?: AbortSignal): Promise<boolean>;
}
