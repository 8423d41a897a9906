import { isKind, MillraceError } from '@millrace/base';
import {
  changeSchema,
  getTopic,
  type LedgerDb,
  type LedgerTopic,
  mergedSchemas,
  noteMergedSchemas,
} from '@millrace/ledger';
import type { RecordFormat } from '@millrace/proto/metadata_discovery';
import {
  deriveTableSchema,
  evolveTableSchema,
  fromIcebergSchemaJson,
  type RegisteredSchema,
  type SchemaSource,
  type TableSchema,
  toIcebergSchemaJson,
} from '@millrace/schema';
import { currentTraceparent } from '@millrace/telemetry';
import { BYTES, columnsOf, type Format, messageFor, messageNameOf, usesSchemas } from './record-format.ts';

interface MergedId {
  key: boolean;
  registryId: number;
}

export interface InitialSchema {
  schema: TableSchema;
  merged: MergedId[];
  keyFormat: Format;
  valueFormat: Format;
}

const roleOf = (key: boolean): string => (key ? 'key' : 'value');

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

/** The newest schema that keys or values are read with; undefined when they have none. */
async function newestOf(source: SchemaSource, topic: string, key: boolean, format: Format, signal: AbortSignal) {
  if (!usesSchemas(format)) return undefined;
  return format.framing === 'confluent'
    ? latestOf(source, topic, key, signal)
    : source.byId(format.fixedSchemaId, signal);
}

const otherLanguage = (topic: string, key: boolean, { encoding }: Format, { id, type }: RegisteredSchema) =>
  new MillraceError(
    'unsupported',
    `schema ${id} is ${type}, and the ${roleOf(key)} of topic ${topic} is ${encoding}: a table follows one language; give the records in the other one a topic of their own`,
    { code: 'schema-type-changed', context: { topic, schemaId: id } },
  );

/**
 * The schema of a new table: the versions of the value's and the key's subject, folded in their order, so that columns
 * stand in the order in which they came. When an old version can't be followed by the ones after it, the fold begins
 * after it. How keys and values are encoded is what `declared` says, else what the newest version is written in; without
 * a subject the column is the bytes themselves.
 */
export async function initialSchema(
  source: SchemaSource,
  topic: string,
  kafkaColumns: readonly string[],
  declared: { key?: RecordFormat | undefined; value?: RecordFormat | undefined },
  signal: AbortSignal,
): Promise<InitialSchema> {
  const value = await initialRole(source, topic, false, declared.value, signal);
  const key = await initialRole(source, topic, true, declared.key, signal);
  const [values, keys] = [value.versions, key.versions];
  const steps: { value: RegisteredSchema | undefined; key: RegisteredSchema | undefined; merged: MergedId[] }[] = [];
  for (const version of values.length === 0 ? [undefined] : values) {
    steps.push({ value: version, key: keys[0], merged: [...mergedId(false, version), ...mergedId(true, keys[0])] });
  }
  for (const version of keys.slice(1))
    steps.push({ value: values.at(-1), key: version, merged: mergedId(true, version) });
  const derive = (step: (typeof steps)[number]) =>
    deriveTableSchema({
      value: columnsOf(value.format, step.value),
      key: columnsOf(key.format, step.key),
      kafkaColumns,
    });
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
    keyFormat: key.format,
    valueFormat: value.format,
  };
}

/** The format of a topic's keys or values, and the versions that its columns come from, ascending. */
async function initialRole(
  source: SchemaSource,
  topic: string,
  key: boolean,
  declared: RecordFormat | undefined,
  signal: AbortSignal,
): Promise<{ format: Format; versions: RegisteredSchema[] }> {
  if (declared !== undefined && !usesSchemas(declared)) return { format: declared, versions: [] };
  const versions =
    declared?.framing === 'none'
      ? [await source.byId(declared.fixedSchemaId, signal)]
      : await versionsOf(source, topic, key, signal);
  const newest = versions.at(-1);
  if (newest === undefined) {
    if (declared === undefined) return { format: BYTES, versions };
    throw new MillraceError(
      'not-found',
      `the ${roleOf(key)} of topic ${topic} is declared ${declared.encoding} with a schema id before each record, and the schema source has no subject ${subjectOf(topic, key)}: register its schema first`,
      { code: 'unknown-subject', context: { topic } },
    );
  }
  const format = declared ?? { ...BYTES, encoding: newest.type, framing: 'confluent' };
  if (newest.type !== format.encoding) throw otherLanguage(topic, key, format, newest);
  const message = newest.type === 'protobuf' ? messageNameOf(format, newest) : '';
  return { format: { ...format, message }, versions: versions.filter(({ type }) => type === newest.type) };
}

const mergedId = (key: boolean, schema: RegisteredSchema | undefined): MergedId[] =>
  schema === undefined ? [] : [{ key, registryId: schema.id }];

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
    const format = key ? topic.keyFormat : topic.valueFormat;
    if (!usesSchemas(format) || format.framing !== 'confluent') continue;
    const latest = await latestOf(source, topic.topic, key, signal);
    const known = await mergedSchemas(db, topic.tableUuid);
    const isKnown = (id: number) => known.some((merged) => merged.key === key && merged.registryId === id);
    if (latest === undefined || isKnown(latest.id)) continue;
    const versions = await versionsOf(source, topic.topic, key, signal);
    const lastKnown = versions.findLastIndex((version) => isKnown(version.id));
    for (const version of versions.slice(lastKnown + 1)) {
      if (version.type !== format.encoding) throw otherLanguage(topic.topic, key, format, version);
      changed = (await merge(db, source, topic, key, [{ schema: version }], [version.id], nowMs, signal)) || changed;
    }
  }
  return changed;
}

/**
 * The writer schema with this id and the table's schema with its fields in it. An id from outside the subject, or from
 * before the table's first version, gives the table its fields and leaves the order to the newest version. So does a
 * Protobuf message other than the one that the table was made for.
 */
export async function resolveSchema(
  db: LedgerDb,
  source: SchemaSource,
  request: { topic: string; key: boolean; schemaId: number; messageIndexes: readonly number[]; nowMs: number },
  signal: AbortSignal,
): Promise<{ schemaType: string; schemaText: string; tableSchemaJson: string; message: string }> {
  const topic = await getTopic(db, request.topic);
  const { key, schemaId, messageIndexes } = request;
  const format = key ? topic.keyFormat : topic.valueFormat;
  if (!usesSchemas(format)) {
    throw new MillraceError(
      'invalid',
      `the ${roleOf(key)} of topic ${topic.topic} is read as ${format.encoding}: it has no schema ids`,
      { code: 'topic-without-schema', context: { topic: topic.topic } },
    );
  }
  const writer = await source.byId(schemaId, signal);
  if (writer.type !== format.encoding) throw otherLanguage(topic.topic, key, format, writer);
  const message = writer.type === 'protobuf' ? messageFor(format, writer, messageIndexes) : undefined;
  const isOther = message !== undefined && message.fullName !== messageFor(format, writer).fullName;
  const isMerged = async () =>
    (await mergedSchemas(db, topic.tableUuid)).some((merged) => merged.key === key && merged.registryId === schemaId);
  if (!(await isMerged())) await followSchemas(db, source, topic, request.nowMs, signal);
  if (isOther || !(await isMerged())) {
    const latest = format.framing === 'confluent' ? await latestOf(source, topic.topic, key, signal) : undefined;
    const newest = latest?.type === format.encoding && (isOther || latest.id !== schemaId) ? [{ schema: latest }] : [];
    const order = [{ schema: writer, message: message?.fullName }, ...newest];
    await merge(db, source, topic, key, order, isOther ? [] : [schemaId], request.nowMs, signal);
  }
  const { tableSchemaJson } = await getTopic(db, topic.topic);
  return { schemaType: writer.type, schemaText: writer.text, tableSchemaJson, message: message?.fullName ?? '' };
}

const MERGE_TRIES = 10;

/** Evolves the table's schema by each of `schemas` in turn, as one version at the most. */
async function merge(
  db: LedgerDb,
  source: SchemaSource,
  topic: LedgerTopic,
  key: boolean,
  schemas: readonly { schema: RegisteredSchema; message?: string | undefined }[],
  ids: readonly number[],
  nowMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const [format, otherFormat] = key ? [topic.keyFormat, topic.valueFormat] : [topic.valueFormat, topic.keyFormat];
  const other = await newestOf(source, topic.topic, !key, otherFormat, signal);
  const merged = ids.map((registryId) => ({ key, registryId }));
  const kafkaColumns = topic.settings.kafkaColumns;
  for (let tries = 1; ; tries++) {
    const { tableSchemaJson } = await getTopic(db, topic.topic);
    const current = fromIcebergSchemaJson(tableSchemaJson);
    let schema = current;
    for (const { schema: registered, message } of schemas) {
      const own = columnsOf(message === undefined ? format : { ...format, message }, registered);
      const others = columnsOf(otherFormat, other);
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
