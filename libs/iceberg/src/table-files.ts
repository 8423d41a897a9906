import { randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { isKind, MillraceError } from '@millrace/base';
import type { ObjectInfo, ObjectStore } from '@millrace/object-store';
import { parseTableMetadata, serializeTableMetadata, type TableMetadata } from './table-metadata.ts';

/** Tables' files by their full URIs, as metadata names them. */
export interface TableFiles {
  read(uri: string): Promise<Uint8Array>;
  exists(uri: string): Promise<boolean>;
  /** Fails with `already-exists`: every file of a table has a name of its own. */
  write(uri: string, bytes: Uint8Array): Promise<void>;
  /** No error when it is not there. */
  remove(uri: string): Promise<void>;
  list(prefixUri: string): AsyncIterable<ObjectInfo & { uri: string }>;
  /** False: the URI lies in none of the stores. */
  covers(uri: string): boolean;
}

/** Files in any of the stores: the one whose root a URI starts with. Also takes "file:/x" and "/x", as Hadoop writes. */
export function tableFiles(stores: ObjectStore[]): TableFiles {
  const find = (uri: string): ObjectStore | undefined =>
    stores.find((store) => canonicalUri(uri).startsWith(store.uri.replace(/\/+$/, '') + '/'));
  const locate = (uri: string): { store: ObjectStore; key: string } => {
    const store = find(uri);
    if (store === undefined) {
      throw new MillraceError(
        'invalid',
        `${uri} is outside the locations of this catalog: ${stores.map((s) => s.uri).join(', ')}`,
        { code: 'location-not-allowed', context: { uri } },
      );
    }
    return { store, key: store.keyOf(canonicalUri(uri)) };
  };
  return {
    async read(uri) {
      const { store, key } = locate(uri);
      return store.get(key);
    },
    async exists(uri) {
      const { store, key } = locate(uri);
      return (await store.head(key)) !== undefined;
    },
    async write(uri, bytes) {
      const { store, key } = locate(uri);
      await store.put(key, bytes, { ifAbsent: true });
    },
    async remove(uri) {
      const { store, key } = locate(uri);
      await store.delete(key);
    },
    async *list(prefixUri) {
      const folder = prefixUri.endsWith('/') ? '/' : '';
      const { store, key } = locate(prefixUri.replace(/\/+$/, ''));
      for await (const info of store.list(key + folder)) yield { ...info, uri: store.uriOf(info.key) };
    },
    covers: (uri) => find(uri) !== undefined,
  };
}

/** "file:/x" and "/x" as "file:///x"; everything else as it is. */
export function canonicalUri(uri: string): string {
  if (uri.startsWith('/')) return 'file://' + uri;
  return uri.replace(/^file:\/(?!\/)/, 'file:///');
}

/** Where a table's metadata files lie: its own property, else `<location>/metadata`. */
export const metadataFolder = (metadata: Pick<TableMetadata, 'location' | 'properties'>): string =>
  (metadata.properties['write.metadata.path'] ?? `${metadata.location}/metadata`).replace(/\/+$/, '');

export async function readMetadata(files: TableFiles, uri: string): Promise<TableMetadata> {
  const bytes = await files.read(uri).catch((error) => {
    throw isKind(error, 'not-found') ? metadataMissing(uri) : error;
  });
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return parseTableMetadata(Buffer.from(zipped ? gunzipSync(bytes) : bytes).toString('utf8'), uri);
}

export const metadataMissing = (uri: string): MillraceError =>
  new MillraceError('not-found', `Failed to open input stream for file: ${uri} (the table's metadata is not there)`, {
    code: 'NotFoundException',
  });

/** Writes a new metadata file, its number one above the previous file's, and returns its URI. */
export async function writeMetadata(
  files: TableFiles,
  metadata: TableMetadata,
  previousUri: string | undefined,
): Promise<string> {
  const previous = Number(/\/(\d+)-[^/]*$/.exec(previousUri ?? '')?.[1] ?? -1);
  const version = String(previous + 1).padStart(5, '0');
  const uri = `${metadataFolder(metadata)}/${version}-${randomUUID()}.metadata.json`;
  await files.write(uri, Buffer.from(serializeTableMetadata(metadata)));
  return uri;
}

const DEFAULT_PREVIOUS_VERSIONS = 100;

/** `metadata` with the file that it replaces in its metadata log, trimmed by write.metadata.previous-versions-max. */
export function withPreviousMetadata(metadata: TableMetadata, base: TableMetadata, baseUri: string): TableMetadata {
  const wanted = Number(metadata.properties['write.metadata.previous-versions-max'] ?? DEFAULT_PREVIOUS_VERSIONS);
  const limit = Math.max(1, Number.isInteger(wanted) ? wanted : DEFAULT_PREVIOUS_VERSIONS);
  const log = [...base['metadata-log'], { 'timestamp-ms': base['last-updated-ms'], 'metadata-file': baseUri }];
  return { ...metadata, 'metadata-log': log.slice(-limit) };
}
