import { listenConfig } from '@millrace/rpc';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_SEGMENT_READER';

export const segmentReaderConfig = z.object({
  ...listenConfig(7802),
  logStoreUri: z.string().describe('URI of the folder or bucket that holds the tiered segments'),
  logStoreId: z
    .string()
    .default('log')
    .describe('name of that store; callers that name it as readable get byte ranges instead of bytes'),
  chunkBytes: z.number().int().min(65_536).default(8_388_608).describe('bytes read from the log store at a time'),
  aheadBytes: z
    .number()
    .int()
    .min(0)
    .default(8_388_608)
    .describe('bytes that are read ahead of what is sent, at the most, a read'),
  messageBytes: z.number().int().min(1_024).max(16_777_216).default(1_048_576).describe('bytes of batches a message'),
  maxBatchBytes: z
    .number()
    .int()
    .min(1_048_576)
    .max(268_435_456)
    .default(268_435_456 - 65_536)
    .describe("the largest record batch in bytes (the broker's message.max.bytes and some)"),
  maxConcurrentReads: z.number().int().min(1).default(32).describe('reads at a time; more are told to try again'),
});

export type SegmentReaderConfig = z.infer<typeof segmentReaderConfig>;
