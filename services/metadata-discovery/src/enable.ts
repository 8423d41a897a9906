import { create, equals } from '@bufbuild/protobuf';
import { type Clock, formatTableName, isKind, MillraceError, type TableName } from '@millrace/base';
import {
  countTopics,
  createTopic,
  getTopic,
  type LedgerDb,
  type LedgerTopic,
  type TopicSettingsValues,
} from '@millrace/ledger';
import { ErrorPolicy, TableFormat } from '@millrace/proto/common';
import {
  type RecordFormat,
  RecordFormatSchema,
  type TopicSettings,
  TopicSettingsSchema,
  TopicState,
} from '@millrace/proto/metadata_discovery';
import { kafkaColumn, type SchemaSource, toIcebergSchemaJson } from '@millrace/schema';
import { currentTraceparent } from '@millrace/telemetry';
import type { MetadataDiscoveryConfig, RecordFormatRule, TopicRule } from './config.ts';
import { checkFormat } from './record-format.ts';
import { initialSchema } from './topic-schemas.ts';

export interface EnableDeps {
  db: LedgerDb;
  schemas: SchemaSource;
  clock: Clock;
  config: MetadataDiscoveryConfig;
  /** Whether the log store has the topic. */
  inSource(topic: string): boolean;
}

const FORMATS = { iceberg: TableFormat.ICEBERG, delta: TableFormat.DELTA } as const;
const POLICIES = { suspend: ErrorPolicy.SUSPEND, skip: ErrorPolicy.SKIP, log: ErrorPolicy.LOG } as const;
const SHORTEST_INTERVAL_MS = 1_000;

/** What was asked for, checked; what was left out is undefined. */
export function checkSettings(settings: Partial<TopicSettings> | undefined): Partial<TopicSettingsValues> {
  const invalid = (message: string) => new MillraceError('invalid', message, { code: 'topic-settings' });
  const { formats = [], errorPolicy = 0, commitIntervalMs = 0n, commitBytes = 0n, kafkaColumns = [] } = settings ?? {};
  for (const format of formats) {
    if (format !== TableFormat.ICEBERG && format !== TableFormat.DELTA) {
      throw invalid(`table format ${format} is not known; legal: iceberg (1), delta (2)`);
    }
  }
  if (errorPolicy < 0 || errorPolicy > ErrorPolicy.LOG) {
    throw invalid(`error policy ${errorPolicy} is not known; legal: suspend (1), skip (2), log (3)`);
  }
  if (commitIntervalMs !== 0n && commitIntervalMs < SHORTEST_INTERVAL_MS) {
    throw invalid(`commit_interval_ms is ${commitIntervalMs}: ${SHORTEST_INTERVAL_MS} is the least`);
  }
  if (commitBytes < 0n) throw invalid(`commit_bytes is ${commitBytes}: 1 is the least`);
  if (commitIntervalMs > 2n ** 50n || commitBytes > 2n ** 50n) throw invalid('commit cadence is out of range');
  kafkaColumn(kafkaColumns);
  return {
    ...(formats.length === 0 ? {} : { formats: [...new Set(formats)].sort((a, b) => a - b) }),
    ...(errorPolicy === 0 ? {} : { errorPolicy }),
    ...(commitIntervalMs === 0n ? {} : { commitIntervalMs: Number(commitIntervalMs) }),
    ...(commitBytes === 0n ? {} : { commitBytes: Number(commitBytes) }),
    ...(kafkaColumns.length === 0 ? {} : { kafkaColumns: [...kafkaColumns] }),
  };
}

/** The settings and the table of the first rule that fits. */
export function ruleFor(config: MetadataDiscoveryConfig, topic: string) {
  const rule = config.topics.find((candidate) => fits(candidate, topic));
  if (rule === undefined) return undefined;
  const { formats, errorPolicy, commitIntervalMs, commitBytes, kafkaColumns, key, value } = rule;
  const settings = create(TopicSettingsSchema, {
    formats: (formats ?? []).map((format) => FORMATS[format]),
    ...(errorPolicy === undefined ? {} : { errorPolicy: POLICIES[errorPolicy] }),
    commitIntervalMs: BigInt(commitIntervalMs ?? 0),
    commitBytes: BigInt(commitBytes ?? 0),
    kafkaColumns: kafkaColumns ?? [],
    ...(key === undefined ? {} : { keyFormat: formatOf(key) }),
    ...(value === undefined ? {} : { valueFormat: formatOf(value) }),
  });
  return { table: { namespace: rule.namespace ?? '', name: rule.table ?? '' }, settings };
}

const formatOf = ({ encoding, framing, schemaId, message, nanos }: RecordFormatRule) => ({
  encoding,
  framing: framing ?? '',
  fixedSchemaId: schemaId ?? 0,
  message: message ?? '',
  nanos: nanos ?? '',
});

function fits(rule: TopicRule, topic: string): boolean {
  if (rule.name !== undefined) return rule.name === topic;
  return !topic.startsWith('__') && new RegExp(`^(?:${rule.pattern})$`).test(topic);
}

/**
 * Turns a topic into a table. Repeating the same request is harmless: what it names must be as it is, what it leaves out
 * may be anything. `not-found` when neither the log store nor the schemas know the topic.
 */
export async function enableTopic(
  deps: EnableDeps,
  request: { topic: string; table?: TableName | undefined; settings?: TopicSettings | undefined },
  signal: AbortSignal,
): Promise<LedgerTopic> {
  const { topic } = request;
  const { config } = deps;
  if (topic === '') throw new MillraceError('invalid', 'EnableTopic: the topic is missing', { code: 'topic-missing' });
  const asked = checkSettings(request.settings);
  const declared = {
    key: checkFormat(request.settings?.keyFormat, 'key'),
    value: checkFormat(request.settings?.valueFormat, 'value'),
  };
  const table = {
    namespace: request.table?.namespace || config.namespace,
    name: request.table?.name || topic,
  };
  const before = await getTopic(deps.db, topic).catch((error: unknown) => {
    if (isKind(error, 'not-found')) return undefined;
    throw error;
  });
  if (before !== undefined && before.state !== TopicState.DROPPED) return sameOrRefuse(before, table, asked, declared);
  const enabled = await countTopics(deps.db);
  if (enabled >= config.maxTopics) {
    throw new MillraceError(
      'exhausted',
      `${enabled} topics are enabled (maxTopics): drop one, or raise maxTopics if memory allows`,
      { code: 'too-many-topics', retryable: false, context: { topic } },
    );
  }
  const settings: TopicSettingsValues = {
    formats: config.formats.map((format) => FORMATS[format]).sort((a, b) => a - b),
    errorPolicy: POLICIES[config.errorPolicy],
    commitIntervalMs: config.commitIntervalMs,
    commitBytes: config.commitBytes,
    kafkaColumns: [],
    ...asked,
  };
  const initial = await initialSchema(deps.schemas, topic, settings.kafkaColumns, declared, signal);
  if (initial.merged.length === 0 && !deps.inSource(topic)) {
    throw new MillraceError(
      'not-found',
      `topic ${topic} is neither in the log store nor in the schemas: list the available topics, or wait for its first segment`,
      { code: 'topic-unknown', context: { topic } },
    );
  }
  await createTopic(deps.db, {
    topic,
    table,
    warehouseUri: config.warehouseUri,
    settings,
    keyFormat: initial.keyFormat,
    valueFormat: initial.valueFormat,
    schemaId: initial.schema.schemaId,
    tableSchemaJson: toIcebergSchemaJson(initial.schema),
    mergedSchemas: initial.merged,
    nowMs: deps.clock.now(),
    traceparent: currentTraceparent(),
  });
  return getTopic(deps.db, topic);
}

function sameOrRefuse(
  before: LedgerTopic,
  table: TableName,
  asked: Partial<TopicSettingsValues>,
  declared: { key: RecordFormat | undefined; value: RecordFormat | undefined },
): LedgerTopic {
  const settings: Record<string, unknown> = { ...before.settings };
  const other = Object.entries(asked).filter(([key, value]) => JSON.stringify(settings[key]) !== JSON.stringify(value));
  const differences = other.map(([key]) => key);
  if (isOther(declared.key, before.keyFormat)) differences.push('key_format');
  if (isOther(declared.value, before.valueFormat)) differences.push('value_format');
  if (formatTableName(table) !== formatTableName(before.table)) differences.unshift('table');
  if (differences.length === 0) return before;
  throw new MillraceError(
    'already-exists',
    `topic ${before.topic} is enabled as ${formatTableName(before.table)} with other settings (${differences.join(', ')}): change them with an update, or drop it first`,
    { code: 'topic-enabled', context: { topic: before.topic } },
  );
}

/** A message that was not named was chosen. */
const isOther = (declared: RecordFormat | undefined, before: RecordFormat): boolean =>
  declared !== undefined &&
  !equals(RecordFormatSchema, { ...declared, message: declared.message || before.message }, before);
