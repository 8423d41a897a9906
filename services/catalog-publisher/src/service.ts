import { MillraceError, type TableName } from '@millrace/base';
import type { CatalogKind } from '@millrace/catalogs';
import { CatalogPublisherService } from '@millrace/proto/catalog_publisher';
import type { TableRef } from '@millrace/proto/common';
import { implement } from '@millrace/rpc';
import type { Publisher } from './publisher.ts';
import type { PublicationRecord, PublisherStore } from './publisher-store.ts';

/** The proto's calls as messages to the publisher and questions to its store. */
export const publisherService = (publisher: Publisher, store: PublisherStore) =>
  implement(CatalogPublisherService, {
    async addIntegration({ integration }, { signal }) {
      if (integration === undefined) throw new MillraceError('invalid', 'the request has no integration');
      const { name, kind, uri, warehouse, namespace, tokenSource, tables } = integration;
      await publisher.add({ name, kind: kind as CatalogKind, uri, warehouse, namespace, tokenSource, tables }, signal);
      return {};
    },
    async removeIntegration({ name, withdraw }, { signal }) {
      await publisher.remove(name, withdraw, signal);
      return {};
    },
    async listIntegrations() {
      const integrations = await store.integrations();
      return { integrations: integrations.map(({ removing: _, ...integration }) => integration) };
    },
    async publishNow({ integration, table }, { signal }) {
      const records = await publisher.publishNow(integration, tableName(table), signal);
      return { publications: records.map(toPublication) };
    },
    async listPublications({ integration }) {
      return { publications: (await store.publications(integration)).map(toPublication) };
    },
  });

const tableName = (table: TableRef | undefined): TableName | undefined =>
  table === undefined || (table.namespace === '' && table.name === '')
    ? undefined
    : { namespace: table.namespace, name: table.name };

const toPublication = (record: PublicationRecord) => ({
  integration: record.integration,
  table: record.table,
  pointer: record.pointer,
  seenPointer: record.seenPointer,
  drifted: record.drifted,
  publishedMs: BigInt(record.publishedMs),
  checkedMs: BigInt(record.checkedMs),
  ...(record.error === undefined ? {} : { error: record.error }),
});
