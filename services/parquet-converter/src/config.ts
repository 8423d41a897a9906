import { listenConfig } from '@millrace/rpc';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_PARQUET_CONVERTER';

const bytes = (min: number, fallback: number) => z.number().int().min(min).default(fallback);

export const parquetConverterConfig = z.object({
  ...listenConfig(7803),
  discoveryAddress: z
    .string()
    .default('127.0.0.1:7801')
    .describe('host:port of metadata-discovery (several: comma-separated)'),
  segmentReaderAddress: z
    .string()
    .default('127.0.0.1:7802')
    .describe('host:port of segment-reader (several: comma-separated)'),
  logStoreUri: z
    .string()
    .default('')
    .describe('URI of the log store when this process may read it itself; empty: bytes come through segment-reader'),
  logStoreId: z.string().default('log').describe("the log store's name in segment-reader's configuration"),
  concurrency: z.number().int().min(0).max(8).default(1).describe('splits at a time; 0 converts none, only rewrites'),
  leaseWaitMs: z
    .number()
    .int()
    .min(0)
    .max(30_000)
    .default(5_000)
    .describe('milliseconds that a request for work waits'),
  heartbeatMs: z.number().int().min(50).default(15_000).describe('milliseconds between signs of life for a lease'),
  retries: z.number().int().min(0).default(6).describe('tries after the first when a store or a service is not there'),
  targetFileBytes: bytes(1_024, 134_217_728).describe('bytes at which a data file ends and the next begins'),
  rowGroupBytes: bytes(65_536, 33_554_432).describe('bytes of a row group, as it is encoded: bounds memory'),
  rowGroupRows: bytes(1_000, 262_144).describe('rows of a row group at the most'),
  chunkBytes: bytes(65_536, 4_194_304).describe('bytes read from the log store at a time'),
  aheadBytes: bytes(0, 8_388_608).describe('bytes that are read ahead of what is decoded, at the most'),
  batchBytes: bytes(65_536, 1_048_576).describe('bytes of records, decompressed, that are decoded at a time'),
  maxBatchBytes: bytes(1_048_576, 268_435_456).describe('the largest record batch in bytes, also decompressed'),
  maxConcurrentRewrites: z.number().int().min(1).default(1).describe('rewrites at a time; more are told to try again'),
});

export type ParquetConverterConfig = z.infer<typeof parquetConverterConfig>;
