import { ownerConfig } from '@millrace/ownership';
import { listenConfig } from '@millrace/rpc';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_DELTA_COMMITTER';

export const deltaCommitterConfig = z.object({
  ...listenConfig(7805),
  ...ownerConfig,
  discoveryAddress: z.string().default('127.0.0.1:7801').describe('gRPC address of metadata-discovery (the ledger)'),
  checkpointInterval: z
    .number()
    .int()
    .min(1)
    .default(10)
    .describe('commits from one checkpoint to the next, for new tables (delta.checkpointInterval)'),
  retentionHours: z
    .number()
    .int()
    .min(1)
    .default(168)
    .describe('hours that removed files and old versions stay, for new tables (delta.deletedFileRetentionDuration)'),
  projectionConcurrency: z.number().int().min(1).default(4).describe('tables that are projected at the same time'),
  cachedFiles: z
    .number()
    .int()
    .min(0)
    .default(200_000)
    .describe('live files whose actions stay in memory between commits, over all tables; each takes about 2 KB'),
});

export type DeltaCommitterConfig = z.infer<typeof deltaCommitterConfig>;
