import { MillraceError } from '@millrace/base';
import type { Namespace } from './catalog-errors.ts';
import { type Namespaces, namespaceOf } from './namespaces.ts';
import { pageRequest } from './page.ts';
import { checkBody, createNamespaceRequest, updatePropertiesRequest } from './rest-schemas.ts';
import type { RestRequest, Route } from './rest-server.ts';

/** A namespace in a path: its levels joined by the unit separator. */
export const namespaceParam = (request: RestRequest): Namespace => namespaceOf(request.params['namespace']!);

export const pageOf = ({ query }: RestRequest) =>
  pageRequest(query['pageToken'], query['pageSize'] === undefined ? undefined : Number(query['pageSize']));

export function namespaceRoutes(namespaces: Namespaces): Route[] {
  const path = '/v1/namespaces/:namespace';
  return [
    [
      'GET',
      '/v1/namespaces',
      async (request) => {
        const parent = request.query['parent'];
        const { items, nextToken } = await namespaces.list(
          parent === undefined || parent === '' ? [] : namespaceOf(parent),
          pageOf(request),
        );
        return { body: { namespaces: items, 'next-page-token': nextToken ?? null } };
      },
    ],
    [
      'POST',
      '/v1/namespaces',
      async (request) => {
        const { namespace, properties } = checkBody(createNamespaceRequest, request.body);
        await namespaces.create(namespace, properties ?? {});
        return { body: { namespace, properties: properties ?? {} } };
      },
    ],
    [
      'GET',
      path,
      async (request) => {
        const namespace = namespaceParam(request);
        return { body: { namespace, properties: await namespaces.properties(namespace) } };
      },
    ],
    [
      'HEAD',
      path,
      async (request) => {
        await namespaces.properties(namespaceParam(request));
        return {};
      },
    ],
    [
      'DELETE',
      path,
      async (request) => {
        await namespaces.drop(namespaceParam(request));
        return {};
      },
    ],
    [
      'POST',
      `${path}/properties`,
      async (request) => {
        const { removals, updates } = checkBody(updatePropertiesRequest, request.body);
        const both = (removals ?? []).filter((key) => key in (updates ?? {}));
        if (both.length > 0) {
          throw new MillraceError(
            'invalid',
            `Invalid namespace update, cannot simultaneously set and remove keys: ${both}`,
            {
              code: 'UnprocessableEntityException',
            },
          );
        }
        return { body: await namespaces.update(namespaceParam(request), removals ?? [], updates ?? {}) };
      },
    ],
  ];
}
