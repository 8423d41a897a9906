import { ownerConfig } from '@millrace/ownership';
import { listenConfig } from '@millrace/rpc';
import { NANOS_RULES } from '@millrace/schema';
import { z } from 'zod';

export const ENV_PREFIX = 'MILLRACE_METADATA_DISCOVERY';

const FORMATS = ['iceberg', 'delta'] as const;
const POLICIES = ['suspend', 'skip', 'log'] as const;

const isPattern = (text: string): boolean => {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
};

const formats = z.array(z.enum(FORMATS)).min(1).describe('table formats: iceberg, delta, or both');
const errorPolicy = z.enum(POLICIES).describe('what a record that cannot be decoded leads to: suspend, skip or log');
const commitIntervalMs = z.number().int().min(1_000).describe('milliseconds between commits, 1000 at the least');
const commitBytes = z.number().int().min(1).describe('bytes of data files that are committed before the interval ends');

/** How the keys or values of a topic are encoded, where its schemas do not say. */
const recordFormat = z.strictObject({
  encoding: z.enum(['avro', 'protobuf', 'json', 'bytes', 'string', 'none']),
  framing: z.enum(['confluent', 'none']).optional().describe('what stands before each record: schema id, or nothing'),
  schemaId: z.number().int().min(1).optional().describe('the schema of all records, when nothing stands before them'),
  message: z.string().min(1).optional().describe('Protobuf: full name of the message'),
  nanos: z.enum(NANOS_RULES).optional().describe('Protobuf: what becomes of nanoseconds that microseconds cannot hold'),
});

export type RecordFormatRule = z.infer<typeof recordFormat>;

/** Topics that are enabled by themselves: one rule. What it leaves out is as the service's own defaults say. */
export const topicRule = z
  .strictObject({
    name: z.string().min(1).optional().describe('name of one topic'),
    pattern: z
      .string()
      .refine(isPattern, 'not a regular expression')
      .optional()
      .describe('regular expression that whole topic names match; topics that begin with "__" never do'),
    namespace: z.string().min(1).optional().describe('namespace of the table'),
    table: z.string().min(1).optional().describe('name of the table (only with name); default: the name of the topic'),
    formats: formats.optional(),
    errorPolicy: errorPolicy.optional(),
    commitIntervalMs: commitIntervalMs.optional(),
    commitBytes: commitBytes.optional(),
    kafkaColumns: z.array(z.string()).optional().describe('parts of the column _kafka; default: all'),
    value: recordFormat
      .optional()
      .describe('how values are encoded; default: as the newest schema of <topic>-value says'),
    key: recordFormat.optional().describe('how keys are encoded; default: as the newest schema of <topic>-key says'),
  })
  .refine((rule) => (rule.name === undefined) !== (rule.pattern === undefined), 'give either name or pattern')
  .refine((rule) => rule.table === undefined || rule.name !== undefined, 'table goes with name, not with pattern');

export type TopicRule = z.infer<typeof topicRule>;

export const metadataDiscoveryConfig = z.object({
  ...listenConfig(7801),
  ...ownerConfig,
  databaseUrl: z
    .string()
    .default('sqlite:./data/metadata-discovery.db')
    .describe('database: sqlite:<path>, or postgres://user@host:5432/database?schema=name'),
  logStoreUri: z.string().describe("URI of the folder or bucket in Kafka's tiered-storage layout"),
  schemaSourceUri: z
    .string()
    .describe(
      'schemas: file:// URI of a folder of <subject>/<version>-<id>.avsc (.proto, .json), or http(s) URL of a schema registry',
    ),
  warehouseUri: z.string().describe('URI of the folder or bucket that tables are written under'),
  namespace: z.string().min(1).default('default').describe('namespace of tables that name none'),
  formats: formats.default(['iceberg', 'delta']),
  errorPolicy: errorPolicy.default('suspend'),
  commitIntervalMs: commitIntervalMs.default(60_000),
  commitBytes: commitBytes.default(134_217_728),
  topics: z
    .array(topicRule)
    .default([])
    .describe('topics to enable by themselves, first rule that fits: list of {name | pattern, namespace, formats, …}'),
  maxTopics: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .describe('topics that may be enabled at a time; each takes memory in the process that owns it'),
  pollMs: z.number().int().min(50).default(1_000).describe('milliseconds between looks at the log store'),
  schemaPollMs: z.number().int().min(50).default(5_000).describe('milliseconds between looks for new schema versions'),
  settleMs: z
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe('milliseconds without change after which a segment that seems incomplete is taken as it is'),
  splitBytes: z
    .number()
    .int()
    .min(1_024)
    .default(134_217_728)
    .describe('bytes of log in a split, before splits of the table tell how large their files become'),
  fileBytes: z
    .number()
    .int()
    .min(1_024)
    .default(134_217_728)
    .describe("bytes of a data file that splits aim at (parquet-converter's targetFileBytes)"),
  pendingSplits: z
    .number()
    .int()
    .min(1)
    .default(64)
    .describe('splits of a partition that may wait at a time; planning goes on as they are converted'),
  leaseMs: z.number().int().min(1_000).default(60_000).describe('milliseconds that a lease lasts without heartbeat'),
  maxAttempts: z.number().int().min(1).default(5).describe('tries of one split before its table is suspended'),
  backoffMs: z.number().int().min(0).default(1_000).describe('milliseconds before the second try of a split'),
});

export type MetadataDiscoveryConfig = z.infer<typeof metadataDiscoveryConfig>;
