import { createHash, randomUUID } from 'node:crypto';
import { type Clock, isKind, MillraceError } from '@millrace/base';
import {
  applyUpdates,
  canonicalUri,
  checkRequirements,
  dataFilesOf,
  metadataFilesOf,
  metadataMissing,
  newTableMetadata,
  type TableFiles,
  type TableMetadata,
} from '@millrace/iceberg';
import { commitFailed, formatIdent, type Namespace, type TableIdent, tableExists } from './catalog-errors.ts';
import { checkOutsideCommit, refuseFed } from './fed-table.ts';
import type { Namespaces } from './namespaces.ts';
import type { CommitRequest, CreateTableRequest } from './rest-schemas.ts';
import type { CatalogTable, TableCommit, Tables } from './tables.ts';

export interface LoadedTable {
  metadata: TableMetadata;
  /** Absent for a staged table. */
  metadataLocation?: string;
}

/** What the REST API does with tables, in terms of the catalog. */
export interface TableEndpoints {
  /** Also checks that the metadata file is there, which engines may read by themselves. */
  load(ident: TableIdent): Promise<CatalogTable>;
  create(namespace: Namespace, request: CreateTableRequest): Promise<LoadedTable>;
  register(ident: TableIdent, metadataLocation: string, overwrite: boolean): Promise<LoadedTable>;
  commit(ident: TableIdent, request: CommitRequest): Promise<LoadedTable>;
  commitAll(requests: (CommitRequest & { identifier: TableIdent })[]): Promise<void>;
  rename(source: TableIdent, destination: TableIdent): Promise<void>;
  drop(ident: TableIdent, purge: boolean): Promise<void>;
}

export interface TableEndpointDeps {
  tables: Tables;
  namespaces: Namespaces;
  files: TableFiles;
  /** URI of the warehouse. */
  warehouse: string;
  clock: Clock;
}

export function tableEndpoints({ tables, namespaces, files, warehouse, clock }: TableEndpointDeps): TableEndpoints {
  function checkLocation(location: string): string {
    const uri = canonicalUri(location).replace(/(?<=[^/])\/+$/, '');
    if (!files.covers(`${uri}/x`) || uri.split('/').includes('..')) {
      throw new MillraceError(
        'invalid',
        `location ${location} is outside the warehouse ${warehouse}: leave it out, or name its folder in the catalog's tableLocations`,
        { code: 'BadRequestException' },
      );
    }
    return location.replace(/(?<=[^/])\/+$/, '');
  }

  /** `<warehouse>/<namespace>/<table>`, or beside it when something lies there (a renamed or dropped table's files). */
  async function defaultLocation(ident: TableIdent): Promise<string> {
    const { location } = await namespaces.properties(ident.namespace);
    const base = location ?? [warehouse, ...ident.namespace.map(encodePart)].join('/');
    const plain = checkLocation(`${base}/${encodePart(ident.name)}`);
    for await (const _ of files.list(`${plain}/`)) return `${plain}-${randomUUID().slice(0, 8)}`;
    return plain;
  }

  async function staged(ident: TableIdent, request: CreateTableRequest): Promise<TableMetadata> {
    const { 'format-version': version, ...properties } = request.properties ?? {};
    return newTableMetadata(
      {
        schema: request.schema,
        spec: request['partition-spec'] ?? undefined,
        order: request['write-order'] ?? undefined,
        location: request.location == null ? await defaultLocation(ident) : checkLocation(request.location),
        properties,
        formatVersion: version === undefined ? undefined : Number(version),
      },
      clock.now(),
    );
  }

  /** The commit of one request against whatever the table is by then. */
  const commitOf = (ident: TableIdent, { requirements, updates }: CommitRequest): TableCommit => ({
    ident,
    change(base: CatalogTable) {
      checkRequirements(base.metadata, requirements);
      if (base.ledgerUuid !== undefined) checkOutsideCommit(ident, updates);
      const metadata = applyUpdates(base.metadata, updates, clock.now());
      if (metadata.location !== base.metadata.location) checkLocation(metadata.location);
      return { metadata };
    },
  });

  const createsTable = ({ requirements }: CommitRequest): boolean =>
    requirements.some((requirement) => requirement.type === 'assert-create');

  async function createByCommit(ident: TableIdent, { requirements, updates }: CommitRequest): Promise<LoadedTable> {
    await namespaces.properties(ident.namespace);
    checkRequirements((await tables.find(ident))?.metadata, requirements);
    const metadata = applyUpdates(undefined, updates, clock.now());
    checkLocation(metadata.location);
    return tables.create(ident, metadata).catch((error) => {
      // Another process made it just now: the same answer as when it had been there before.
      throw isKind(error, 'already-exists') ? commitFailed('Requirement failed: table already exists') : error;
    });
  }

  /** Removes what the metadata names, except outside the catalog's locations and in folders of tables that topics feed. */
  async function purge(table: CatalogTable): Promise<void> {
    const { metadata } = table;
    const kept = (await tables.fedLocations()).map((location) => `${canonicalUri(location)}/`);
    const remove = async (uri: string): Promise<void> => {
      if (files.covers(uri) && !kept.some((folder) => canonicalUri(uri).startsWith(folder))) await files.remove(uri);
    };
    const uris = await metadataFilesOf(files, metadata, table.metadataLocation);
    if (metadata.properties['gc.enabled'] !== 'false') {
      for await (const uri of dataFilesOf(files, metadata)) await remove(uri);
    }
    // The pointer's own file last: until then the purge can be done again by hand.
    for (const uri of [...uris].reverse()) await remove(uri);
  }

  async function refuseIfFed(ident: TableIdent, verb: string, wayOut: string): Promise<CatalogTable> {
    const table = await tables.get(ident);
    if (table.ledgerUuid !== undefined) throw refuseFed(ident, verb, wayOut);
    return table;
  }

  return {
    async load(ident) {
      const table = await tables.get(ident);
      if (!(await files.exists(table.metadataLocation))) throw metadataMissing(table.metadataLocation);
      return table;
    },
    async create(namespace, request) {
      const ident = { namespace, name: request.name };
      await namespaces.properties(namespace);
      if ((await tables.find(ident)) !== undefined) throw tableExists(ident);
      const metadata = await staged(ident, request);
      return request['stage-create'] ? { metadata } : tables.create(ident, metadata);
    },
    async register(ident, metadataLocation, overwrite) {
      if (!files.covers(metadataLocation)) checkLocation(metadataLocation);
      if (overwrite && (await tables.find(ident)) !== undefined) {
        await refuseIfFed(ident, 'overwritten', 'register the metadata under another name');
      }
      return tables.register(ident, metadataLocation, overwrite);
    },
    async commit(ident, request) {
      if (createsTable(request)) return createByCommit(ident, request);
      const [done] = await tables.commit([commitOf(ident, request)]);
      return done!;
    },
    async commitAll(requests) {
      const names = requests.map(({ identifier }) => formatIdent(identifier));
      const twice = names.find((name, i) => names.indexOf(name) !== i);
      if (twice !== undefined || requests.some(createsTable)) {
        const why = twice === undefined ? 'it cannot create tables' : `it names ${twice} twice`;
        throw new MillraceError('invalid', `Malformed transaction: ${why}`, { code: 'BadRequestException' });
      }
      await tables.commit(requests.map((request) => commitOf(request.identifier, request)));
    },
    async rename(source, destination) {
      await refuseIfFed(source, 'renamed', 'give its topic another table with `millrace topics`');
      await tables.rename(source, destination);
    },
    async drop(ident, purgeRequested) {
      const table = await refuseIfFed(ident, 'dropped', 'end its topic\'s table with "drop topic" in Millrace');
      await tables.drop(ident);
      if (purgeRequested) await purge(table);
    },
  };
}

/** A name as a folder: what a path can't hold is percent-encoded. */
const encodePart = (part: string): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  const safe = part.replace(/[%/\\\u0000-\u001f\u007f?#]/g, (character) => encodeURIComponent(character));
  return /^\.{1,2}$/.test(safe) ? safe.replaceAll('.', '%2E') : safe;
};

/** Names a table's state for If-None-Match: another pointer or another view of the snapshots is another state. */
export const etagOf = (metadataLocation: string, snapshots: string): string =>
  `"${createHash('sha256').update(`${metadataLocation}\n${snapshots}`).digest('hex').slice(0, 32)}"`;

/** Only the snapshots that branches and tags name ("refs" of the specification). */
export function withRefsOnly(metadata: TableMetadata): TableMetadata {
  const ids = new Set(Object.values(metadata.refs).map((ref) => ref['snapshot-id']));
  return { ...metadata, snapshots: metadata.snapshots.filter((snapshot) => ids.has(snapshot['snapshot-id'])) };
}
