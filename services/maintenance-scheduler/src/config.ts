import { ownerConfig } from '@millrace/ownership';
import { listenConfig } from '@millrace/rpc';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_MAINTENANCE_SCHEDULER';

export const maintenanceConfig = z.object({
  ...listenConfig(7807),
  ...ownerConfig,
  databaseUrl: z
    .string()
    .default('sqlite:data/maintenance-scheduler.db')
    .describe(
      'where policies and the job history are kept: sqlite:<path>, or postgres://user@host:5432/database?schema=name',
    ),
  warehouseUri: z.string().default('data/warehouse').describe('folder or URI under which tables lie'),
  discoveryAddress: z.string().default('127.0.0.1:7801').describe('gRPC address of metadata-discovery (the ledger)'),
  converterAddress: z.string().default('127.0.0.1:7803').describe('gRPC address of parquet-converter'),
  icebergAddress: z.string().default('127.0.0.1:7804').describe('gRPC address of iceberg-rest-catalog'),
  deltaAddress: z.string().default('127.0.0.1:7805').describe('gRPC address of delta-committer'),
  tickMs: z.number().int().min(50).default(10_000).describe('milliseconds between two looks at what is due'),
  maxConcurrentJobs: z.number().int().min(1).default(2).describe('jobs that run at a time, of different tables'),
  rewriteTimeoutMs: z.number().int().min(1_000).default(1_800_000).describe('milliseconds that one rewrite may take'),
  callTimeoutMs: z
    .number()
    .int()
    .min(1_000)
    .default(120_000)
    .describe('milliseconds of any other call to another service'),
  keepJobs: z.number().int().min(1).default(500).describe('jobs of a table that the history keeps'),
});

export type MaintenanceConfig = z.infer<typeof maintenanceConfig>;
