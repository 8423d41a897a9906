import { ownerConfig } from '@millrace/ownership';
import { listenConfig } from '@millrace/rpc';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_CATALOG_PUBLISHER';

export const publisherConfig = z.object({
  ...listenConfig(7806),
  ...ownerConfig,
  databaseUrl: z
    .string()
    .default('sqlite:data/catalog-publisher.db')
    .describe(
      'where integrations and publications are kept: sqlite:<path>, or postgres://user@host:5432/database?schema=name',
    ),
  discoveryAddress: z.string().default('127.0.0.1:7801').describe('gRPC address of metadata-discovery (the ledger)'),
  icebergAddress: z.string().default('127.0.0.1:7804').describe('gRPC address of iceberg-rest-catalog'),
  checkIntervalMs: z
    .number()
    .int()
    .min(100)
    .default(60_000)
    .describe('milliseconds after which a published table is read back and drift repaired'),
  minPublishIntervalMs: z
    .number()
    .int()
    .min(0)
    .default(2_000)
    .describe('least milliseconds between two publications of one table to one catalog; changes meanwhile are one'),
  projectionTimeoutMs: z
    .number()
    .int()
    .min(100)
    .default(30_000)
    .describe('milliseconds to wait for the Iceberg table to reach the ledger before publishing what it shows'),
  requestTimeoutMs: z.number().int().min(100).default(30_000).describe('milliseconds of one request to a catalog'),
  budgetMs: z
    .number()
    .int()
    .min(100)
    .default(120_000)
    .describe('milliseconds of one publication to a catalog, retries included'),
});

export type PublisherConfig = z.infer<typeof publisherConfig>;
