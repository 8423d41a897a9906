import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { testDatabaseUrl } from '@millrace/database/testing';
import { parseJson, stringifyJson, type TableUpdate } from '@millrace/iceberg';
import { DataFileSchema, TableFormat } from '@millrace/proto/common';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { type LedgerService, type LedgerTable, LedgerTableSchema } from '@millrace/proto/metadata_discovery';
import { type Client, createClient } from '@millrace/rpc';
import { setLogLevel } from '@millrace/telemetry';
import { createIcebergRestCatalog, icebergCatalogConfig } from './index.ts';

// biome-ignore lint/suspicious/noExplicitAny: bodies as a client sees them
export type Json = any;

export const schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'id', required: false, type: 'long' }],
};

/** A ledger with one table, demo.fed, at version 1. */
const fakeLedger = (fed: LedgerTable) =>
  ({
    getTable: async ({ table }: { table?: { name: string } }) => (table?.name === 'fed' ? { table: fed } : {}),
    listFiles: async () => ({
      version: 1n,
      files: [create(DataFileSchema, { path: 'data/1.parquet', sizeBytes: 4n, recordCount: 7n })],
      nextPageToken: '',
      positions: [{ partition: 0, startOffset: 0n, endOffset: 7n }],
    }),
    listVersions: async () => ({ versions: [], more: false }),
    watchLedger: async function* (_request: unknown, { signal }: { signal: AbortSignal }) {
      yield { table: { namespace: 'demo', name: 'fed' }, version: 1n };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    close: () => {},
  }) as unknown as Client<typeof LedgerService>;

/** The whole service over a fake ledger, and an HTTP client of its REST API. */
export async function startFixture() {
  setLogLevel('silent');
  const root = mkdtempSync(join(tmpdir(), 'millrace-rest-'));
  const fed = create(LedgerTableSchema, {
    table: { namespace: 'demo', name: 'fed' },
    topic: 'fed',
    tableUuid: '0b7d9a2e-1111-4222-8333-444455556666',
    location: `file://${root}/warehouse/demo/fed`,
    formats: [TableFormat.ICEBERG],
    tableSchemaJson: JSON.stringify(schema),
    version: 1n,
    oldestVersion: 1n,
  });
  const ledger = fakeLedger(fed);
  const config = icebergCatalogConfig.parse({
    databaseUrl: testDatabaseUrl(`${root}/catalog.db`),
    warehouseUri: `${root}/warehouse`,
    restPort: 0,
    port: 0,
  });
  const service = await createIcebergRestCatalog(config, { ledger });
  const client = createClient(IcebergCatalogService, service.address);

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(service.catalogUri + path, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: stringifyJson(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      etag: response.headers.get('etag'),
      body: (text === '' ? undefined : parseJson(text, path)) as Json,
    };
  }

  return {
    root,
    ledger,
    service,
    client,
    call,
    namespace: (...levels: string[]) => call('POST', '/v1/namespaces', { namespace: levels, properties: { a: '1' } }),
    newTable: (ns: string, name: string, more: object = {}) =>
      call('POST', `/v1/namespaces/${ns}/tables`, { name, schema, ...more }),
    commit: (path: string, updates: (TableUpdate | object)[], requirements: object[] = []) =>
      call('POST', path, { requirements, updates }),
    async stop() {
      client.close();
      await service.stop();
      setLogLevel('info');
      rmSync(root, { recursive: true });
    },
  };
}

export const setProperty = (key: string, value: string) => ({ action: 'set-properties', updates: { [key]: value } });
