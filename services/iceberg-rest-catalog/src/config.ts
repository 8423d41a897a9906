import { ownerConfig } from '@millrace/ownership';
import { listenConfig } from '@millrace/rpc';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_ICEBERG_REST_CATALOG';

export const icebergCatalogConfig = z.object({
  ...listenConfig(7804),
  ...ownerConfig,
  databaseUrl: z
    .string()
    .default('sqlite:data/iceberg-rest-catalog.db')
    .describe(
      'where namespaces and table pointers are kept: sqlite:<path>, or postgres://user@host:5432/database?schema=name',
    ),
  discoveryAddress: z.string().default('127.0.0.1:7801').describe('gRPC address of metadata-discovery (the ledger)'),
  warehouseUri: z.string().default('data/warehouse').describe('folder or URI under which tables lie'),
  tableLocations: z
    .array(z.string())
    .default([])
    .describe("folders or URIs beside the warehouse where users' own tables may lie"),
  restHost: z.string().default('127.0.0.1').describe('address of the REST API; loopback unless told otherwise'),
  restPort: z.number().int().min(0).max(65_535).default(8181).describe('port of the REST API; 0 takes a free one'),
  restCertificateFile: z
    .string()
    .optional()
    .describe('PEM file: certificate of the REST API, when engines do not know the authority of tlsCertificateFile'),
  restKeyFile: z.string().optional().describe("PEM file: that certificate's private key"),
  catalogUri: z
    .string()
    .optional()
    .describe('URI of the REST API as engines reach it, when it is not http(s)://<restHost>:<restPort>'),
  tokenSource: z
    .string()
    .regex(/^(env|file):.+$/, 'must be env:NAME or file:PATH')
    .optional()
    .describe('where the bearer token of the REST API is: env:NAME or file:PATH; required beyond loopback'),
  bodyLimitBytes: z
    .number()
    .int()
    .min(65_536)
    .default(33_554_432)
    .describe('bytes of the largest request body that the REST API takes'),
  restRequests: z
    .number()
    .int()
    .min(1)
    .default(256)
    .describe('requests of the REST API at a time; more are answered 429'),
  restBodiesBytes: z
    .number()
    .int()
    .min(65_536)
    .default(134_217_728)
    .describe('bytes of request bodies that the REST API has in memory at a time; more are answered 429'),
  orphanAgeMs: z
    .number()
    .int()
    .min(0)
    .default(3_600_000)
    .describe('milliseconds after which a metadata file that nothing refers to may be deleted'),
  projectionConcurrency: z.number().int().min(1).default(4).describe('tables that are projected at the same time'),
});

export type IcebergCatalogConfig = z.infer<typeof icebergCatalogConfig>;
