import { isKind, MillraceError } from '@millrace/base';
import {
  changeSchema,
  getTopic,
  type LedgerDb,
  type LedgerTopic,
  mergedSchemas,
  noteMergedSchemas,
} from '@millrace/ledger';
import {
  type ColumnSource,
  deriveTableSchema,
  evolveTableSchema,
  formatAvroSchema,
  fromIcebergSchemaJson,
  parseAvroSchema,
  type RegisteredSchema,
  type SchemaSource,
  type TableSchema,
  toIcebergSchemaJson,
} from '@millrace/schema';
import { currentTraceparent } from '@millrace/telemetry';

interface MergedId {
  key: boolean;
  registryId: number;
}

export interface InitialSchema {
  schema: TableSchema;
  merged: MergedId[];
  keyFormat: { encoding: string; framing: string; fixedSchemaId: number };
  valueFormat: { encoding: string; framing: string; fixedSchemaId: number };
}

const subjectOf = (topic: string, key: boolean): string => `${topic}-${key ? 'key' : 'value'}`;

/** All versions of a subject, ascending; none when there is no such subject. */
async function versionsOf(source: SchemaSource, topic: string, key: boolean, signal: AbortSignal) {
  try {
    return await source.versions(subjectOf(topic, key), signal);
  } catch (error) {
    if (isKind(error, 'not-found')) return [];
    throw error;
  }
}

async function latestOf(source: SchemaSource, topic: string, key: boolean, signal: AbortSignal) {
  try {
    return await source.latest(subjectOf(topic, key), signal);
  } catch (error) {
    if (isKind(error, 'not-found')) return undefined;
    throw error;
  }
}

const columnsOf = (schema: RegisteredSchema | undefined): ColumnSource =>
  schema === undefined ? { encoding: 'bytes' } : { encoding: 'avro', schema: parseAvroSchema(schema.text) };

/**
 * The schema of a new table: the versions of the value's and the key's subject, folded in their order, so that columns
 * stand in the order in which they came. When an old version can't be followed by the ones after it, the fold begins
 * after it. Without a subject the column is the bytes themselves.
 */
export async function initialSchema(
  source: SchemaSource,
  topic: string,
  kafkaColumns: readonly string[],
  signal: AbortSignal,
): Promise<InitialSchema> {
  const values = await versionsOf(source, topic, false, signal);
  const keys = await versionsOf(source, topic, true, signal);
  const steps: { value: RegisteredSchema | undefined; key: RegisteredSchema | undefined; merged: MergedId[] }[] = [];
  for (const value of values.length === 0 ? [undefined] : values) {
    steps.push({ value, key: keys[0], merged: [...mergedId(false, value), ...mergedId(true, keys[0])] });
  }
  for (const key of keys.slice(1)) steps.push({ value: values.at(-1), key, merged: mergedId(true, key) });
  const derive = (step: (typeof steps)[number]) =>
    deriveTableSchema({ value: columnsOf(step.value), key: columnsOf(step.key), kafkaColumns });
  let first = 0;
  let schema = derive(steps[0]!);
  for (let i = 1; i < steps.length; i++) {
    try {
      schema = evolveTableSchema(schema, derive(steps[i]!)).schema;
    } catch (error) {
      if (!isKind(error, 'unsupported')) throw error;
      first = i;
      schema = derive(steps[i]!);
    }
  }
  return {
    schema: { ...schema, schemaId: 0 },
    merged: steps.slice(first).flatMap(({ merged }) => merged),
    keyFormat: formatOf(keys),
    valueFormat: formatOf(values),
  };
}

const mergedId = (key: boolean, schema: RegisteredSchema | undefined): MergedId[] =>
  schema === undefined ? [] : [{ key, registryId: schema.id }];

const formatOf = (versions: readonly RegisteredSchema[]) =>
  versions.length === 0
    ? { encoding: 'bytes', framing: 'none', fixedSchemaId: 0 }
    : { encoding: 'avro', framing: 'confluent', fixedSchemaId: 0 };

/**
 * Takes versions that were registered since into the table's schema, in their order. Answers whether the table
 * changed. Throws `unsupported` (schema-change-refused) when the table can't follow.
 */
export async function followSchemas(
  db: LedgerDb,
  source: SchemaSource,
  topic: LedgerTopic,
  nowMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  let changed = false;
  for (const key of [false, true]) {
    if ((key ? topic.keyFormat : topic.valueFormat).encoding !== 'avro') continue;
    const latest = await latestOf(source, topic.topic, key, signal);
    const known = await mergedSchemas(db, topic.tableUuid);
    const isKnown = (id: number) => known.some((merged) => merged.key === key && merged.registryId === id);
    if (latest === undefined || isKnown(latest.id)) continue;
    const versions = await versionsOf(source, topic.topic, key, signal);
    const lastKnown = versions.findLastIndex((version) => isKnown(version.id));
    for (const version of versions.slice(lastKnown + 1)) {
      changed = (await merge(db, source, topic, key, [version], [version.id], nowMs, signal)) || changed;
    }
  }
  return changed;
}

/**
 * The writer schema with this id and the table's schema with its fields in it. An id from outside the subject, or from
 * before the table's first version, gives the table its fields and leaves the order to the newest version.
 */
export async function resolveSchema(
  db: LedgerDb,
  source: SchemaSource,
  request: { topic: string; key: boolean; schemaId: number; nowMs: number },
  signal: AbortSignal,
): Promise<{ schemaType: string; schemaText: string; tableSchemaJson: string }> {
  const topic = await getTopic(db, request.topic);
  const { key, schemaId } = request;
  const role = key ? 'key' : 'value';
  if ((key ? topic.keyFormat : topic.valueFormat).encoding !== 'avro') {
    throw new MillraceError('invalid', `the ${role} of topic ${topic.topic} is read as bytes: it has no schema ids`, {
      code: 'topic-without-schema',
      context: { topic: topic.topic },
    });
  }
  const writer = await source.byId(schemaId, signal);
  const isMerged = async () =>
    (await mergedSchemas(db, topic.tableUuid)).some((merged) => merged.key === key && merged.registryId === schemaId);
  if (!(await isMerged())) await followSchemas(db, source, topic, request.nowMs, signal);
  if (!(await isMerged())) {
    const latest = await latestOf(source, topic.topic, key, signal);
    const order = latest === undefined || latest.id === schemaId ? [writer] : [writer, latest];
    await merge(db, source, topic, key, order, [schemaId], request.nowMs, signal);
  }
  const { tableSchemaJson } = await getTopic(db, topic.topic);
  return { schemaType: 'avro', schemaText: formatAvroSchema(parseAvroSchema(writer.text)), tableSchemaJson };
}

const MERGE_TRIES = 10;

/** Evolves the table's schema by each of `schemas` in turn, as one version at the most. */
async function merge(
  db: LedgerDb,
  source: SchemaSource,
  topic: LedgerTopic,
  key: boolean,
  schemas: readonly RegisteredSchema[],
  ids: readonly number[],
  nowMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const otherFormat = key ? topic.valueFormat : topic.keyFormat;
  const other = otherFormat.encoding === 'avro' ? await latestOf(source, topic.topic, !key, signal) : undefined;
  const merged = ids.map((registryId) => ({ key, registryId }));
  const kafkaColumns = topic.settings.kafkaColumns;
  for (let tries = 1; ; tries++) {
    const { tableSchemaJson } = await getTopic(db, topic.topic);
    const current = fromIcebergSchemaJson(tableSchemaJson);
    let schema = current;
    for (const registered of schemas) {
      const [own, others] = [columnsOf(registered), columnsOf(other)];
      const incoming = deriveTableSchema({ value: key ? others : own, key: key ? own : others, kafkaColumns });
      schema = evolveTableSchema(schema, incoming).schema;
    }
    const next = { ...schema, schemaId: current.schemaId + 1 };
    if (toIcebergSchemaJson({ ...next, schemaId: current.schemaId }) === toIcebergSchemaJson(current)) {
      await noteMergedSchemas(db, topic.tableUuid, merged);
      return false;
    }
    try {
      await changeSchema(db, {
        tableUuid: topic.tableUuid,
        fromSchemaId: current.schemaId,
        schemaId: next.schemaId,
        tableSchemaJson: toIcebergSchemaJson(next),
        mergedSchemas: merged,
        nowMs,
        traceparent: currentTraceparent(),
      });
      return true;
    } catch (error) {
      // Somebody else evolved the table meanwhile: start from what it is now.
      if (!(error instanceof MillraceError && error.code === 'schema-conflict') || tries >= MERGE_TRIES) throw error;
    }
  }
}
