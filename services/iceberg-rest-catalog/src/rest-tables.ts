import { MillraceError } from '@millrace/base';
import { serializeTableMetadata } from '@millrace/iceberg';
import type { TableIdent } from './catalog-errors.ts';
import { namespaceParam, pageOf } from './rest-namespaces.ts';
import {
  type CommitRequest,
  type CreateTableRequest,
  checkBody,
  commitTableRequest,
  commitTransactionRequest,
  createTableRequest,
  registerTableRequest,
  renameTableRequest,
} from './rest-schemas.ts';
import type { RestAnswer, RestRequest, Route } from './rest-server.ts';
import { etagOf, type LoadedTable, type TableEndpoints, withRefsOnly } from './table-endpoints.ts';
import type { Tables } from './tables.ts';

const identParam = (request: RestRequest): TableIdent => ({
  namespace: namespaceParam(request),
  name: request.params['table']!,
});

function loaded({ metadata, metadataLocation }: LoadedTable, snapshots = 'all'): RestAnswer {
  const shown = snapshots === 'refs' ? withRefsOnly(metadata) : metadata;
  return {
    ...(metadataLocation === undefined ? {} : { headers: { etag: etagOf(metadataLocation, snapshots) } }),
    body: {
      ...(metadataLocation === undefined ? {} : { 'metadata-location': metadataLocation }),
      // Version 1 is written in its own form; parsing it back costs only such tables.
      metadata: shown['format-version'] === 1 ? JSON.parse(serializeTableMetadata(shown)) : shown,
      config: {},
    },
  };
}

export function tableRoutes(tables: Tables, endpoints: TableEndpoints): Route[] {
  const inNamespace = '/v1/namespaces/:namespace';
  const path = `${inNamespace}/tables/:table`;
  return [
    [
      'GET',
      `${inNamespace}/tables`,
      async (request) => {
        const { items, nextToken } = await tables.list(namespaceParam(request), pageOf(request));
        return { body: { identifiers: items, 'next-page-token': nextToken ?? null } };
      },
    ],
    [
      'POST',
      `${inNamespace}/tables`,
      async (request) => {
        const table = checkBody(createTableRequest, request.body) as unknown as CreateTableRequest;
        return loaded(await endpoints.create(namespaceParam(request), table));
      },
    ],
    [
      'POST',
      `${inNamespace}/register`,
      async (request) => {
        const { name, 'metadata-location': location, overwrite } = checkBody(registerTableRequest, request.body);
        return loaded(
          await endpoints.register({ namespace: namespaceParam(request), name }, location, overwrite ?? false),
        );
      },
    ],
    [
      'GET',
      path,
      async (request) => {
        const snapshots = request.query['snapshots'] ?? 'all';
        if (snapshots !== 'all' && snapshots !== 'refs') {
          throw new MillraceError('invalid', `snapshots must be "all" or "refs", not ${JSON.stringify(snapshots)}`);
        }
        const table = await endpoints.load(identParam(request));
        const etag = etagOf(table.metadataLocation, snapshots);
        const known = request.headers['if-none-match']?.split(',').some((tag) => tag.trim() === etag);
        return known ? { status: 304, headers: { etag } } : loaded(table, snapshots);
      },
    ],
    [
      'HEAD',
      path,
      async (request) => {
        await tables.get(identParam(request));
        return {};
      },
    ],
    [
      'POST',
      path,
      async (request) => {
        const commit = checkBody(commitTableRequest, request.body) as unknown as CommitRequest;
        return loaded(await endpoints.commit(identParam(request), commit));
      },
    ],
    [
      'DELETE',
      path,
      async (request) => {
        await endpoints.drop(identParam(request), request.query['purgeRequested']?.toLowerCase() === 'true');
        return {};
      },
    ],
    [
      'POST',
      `${path}/metrics`,
      async (request) => {
        await tables.get(identParam(request));
        return {};
      },
    ],
    [
      'POST',
      '/v1/tables/rename',
      async (request) => {
        const { source, destination } = checkBody(renameTableRequest, request.body);
        await endpoints.rename(source, destination);
        return {};
      },
    ],
    [
      'POST',
      '/v1/transactions/commit',
      async (request) => {
        const { 'table-changes': changes } = checkBody(commitTransactionRequest, request.body);
        await endpoints.commitAll(changes as unknown as (CommitRequest & { identifier: TableIdent })[]);
        return {};
      },
    ],
  ];
}

/** Which endpoints there are, in the form of the config response, and the warehouse's URI. */
export function configRoute(routes: Route[], warehouse: string): Route {
  const endpoints = routes.map(
    ([method, path]) => `${method} ${path.replace('/v1/', '/v1/{prefix}/').replace(/:(\w+)/g, '{$1}')}`,
  );
  return ['GET', '/v1/config', async () => ({ body: { defaults: { warehouse }, overrides: {}, endpoints } })];
}
