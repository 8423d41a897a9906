import { randomUUID } from 'node:crypto';
import { create, fromJsonString, type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import { checkNamePart, formatTableName, isKind, MillraceError, type TableName, tableLocation } from '@millrace/base';
import { type ErrorDetail, ErrorDetailSchema, type ErrorPolicy, type TableFormat } from '@millrace/proto/common';
import { type RecordFormat, RecordFormatSchema, TopicState, VersionKind } from '@millrace/proto/metadata_discovery';
import type { Selectable } from 'kysely';
import type { LedgerDb, LedgerSchema, LedgerTransaction } from './ledger-database.ts';
import { appendVersion, lockLiveTable } from './tables.ts';

export interface TopicSettingsValues {
  formats: TableFormat[];
  errorPolicy: ErrorPolicy;
  commitIntervalMs: number;
  commitBytes: number;
  kafkaColumns: string[];
}

/** A topic as the ledger holds it. */
export interface LedgerTopic {
  topic: string;
  tableUuid: string;
  table: TableName;
  location: string;
  topicId: string | undefined;
  state: TopicState;
  error: ErrorDetail | undefined;
  settings: TopicSettingsValues;
  keyFormat: RecordFormat;
  valueFormat: RecordFormat;
  schemaId: number;
  tableSchemaJson: string;
  lastCommitMs: number;
}

export interface NewTopic {
  topic: string;
  table: TableName;
  warehouseUri: string;
  settings: TopicSettingsValues;
  keyFormat: MessageInitShape<typeof RecordFormatSchema>;
  valueFormat: MessageInitShape<typeof RecordFormatSchema>;
  /** Iceberg schema JSON with its schema-id. */
  schemaId: number;
  tableSchemaJson: string;
  /** Registry ids whose fields it has. */
  mergedSchemas: { key: boolean; registryId: number }[];
  nowMs: number;
  traceparent: string;
}

/**
 * Makes a topic's table: version 1 (CREATE). `already-exists` when the topic is enabled or another topic feeds a table
 * of this name; `conflict` while a dropped table of this name is still being purged. A name that was used before gets
 * a location of its own (`<table>-<8 hex digits>`), because the old table's files stay where they are.
 */
export async function createTopic(db: LedgerDb, added: NewTopic): Promise<void> {
  const { namespace, name } = added.table;
  checkNamePart(namespace, 'namespace');
  checkNamePart(name, 'table');
  const tableUuid = randomUUID();
  await db.transaction().execute(async (trx) => {
    const before = await trx.selectFrom('topics').select('state').where('topic', '=', added.topic).executeTakeFirst();
    if (before !== undefined && before.state !== TopicState.DROPPED) {
      throw new MillraceError('already-exists', `topic ${added.topic} is enabled already`, {
        code: 'topic-enabled',
        context: { topic: added.topic },
      });
    }
    const namesakes = await trx
      .selectFrom('tables')
      .select(['table_uuid', 'purge'])
      .where('namespace', '=', namespace)
      .where('name', '=', name)
      .where('dropped', '=', 1)
      .execute();
    for (const old of namesakes) await refuseWhilePurged(trx, old, added.table);
    await trx.deleteFrom('topics').where('topic', '=', added.topic).execute();
    const location = tableLocation(added.warehouseUri, added.table);
    try {
      await trx
        .insertInto('tables')
        .values({
          table_uuid: tableUuid,
          namespace,
          name,
          live_name: `${namespace}/${name}`,
          topic: added.topic,
          location: namesakes.length === 0 ? location : `${location}-${tableUuid.slice(0, 8)}`,
          formats_json: JSON.stringify(added.settings.formats),
          schema_id: added.schemaId,
          version: 0,
          oldest_version: 1,
          version_ms: 0,
          created_ms: added.nowMs,
        })
        .execute();
    } catch (error) {
      if (!isKind(error, 'already-exists')) throw error;
      throw new MillraceError(
        'already-exists',
        `table ${formatTableName(added.table)} is fed by another topic: choose another table name for topic ${added.topic}`,
        { code: 'table-exists', context: { topic: added.topic, namespace, name } },
      );
    }
    await trx
      .insertInto('topics')
      .values({
        topic: added.topic,
        table_uuid: tableUuid,
        topic_id: null,
        state: TopicState.RUNNING,
        error_json: null,
        error_policy: added.settings.errorPolicy,
        commit_interval_ms: added.settings.commitIntervalMs,
        commit_bytes: added.settings.commitBytes,
        kafka_columns_json: JSON.stringify(added.settings.kafkaColumns),
        key_format_json: toJsonString(RecordFormatSchema, create(RecordFormatSchema, added.keyFormat)),
        value_format_json: toJsonString(RecordFormatSchema, create(RecordFormatSchema, added.valueFormat)),
      })
      .execute();
    await insertSchema(trx, tableUuid, added.schemaId, added.tableSchemaJson, added.mergedSchemas);
    const row = await lockLiveTable(trx, tableUuid);
    await appendVersion(trx, row, { kind: VersionKind.CREATE, nowMs: added.nowMs, traceparent: added.traceparent });
  });
}

async function refuseWhilePurged(
  trx: LedgerTransaction,
  old: { table_uuid: string; purge: number },
  table: TableName,
): Promise<void> {
  if (old.purge === 0) return;
  const left = await trx
    .selectFrom('files')
    .select((eb) => eb.fn.countAll<number>().as('files'))
    .where('table_uuid', '=', old.table_uuid)
    .where('forgotten', '=', 0)
    .executeTakeFirstOrThrow();
  if (Number(left.files) > 0) {
    throw new MillraceError(
      'conflict',
      `the dropped table ${formatTableName(table)} is still being purged (${left.files} files are left): try again when the next maintenance run has deleted them, or choose another name`,
      { code: 'table-purging', context: { ...table } },
    );
  }
}

/** A schema of a table and the registry ids that it has taken in; the ids may be known already. */
export async function insertSchema(
  trx: LedgerTransaction,
  tableUuid: string,
  schemaId: number,
  schemaJson: string,
  merged: { key: boolean; registryId: number }[],
): Promise<void> {
  await trx
    .insertInto('table_schemas')
    .values({ table_uuid: tableUuid, schema_id: schemaId, schema_json: schemaJson })
    .execute();
  await insertMerged(trx, tableUuid, merged);
}

export async function insertMerged(
  db: LedgerDb,
  tableUuid: string,
  merged: { key: boolean; registryId: number }[],
): Promise<void> {
  for (const { key, registryId } of merged) {
    await db
      .insertInto('merged_schemas')
      .values({ table_uuid: tableUuid, is_key: key ? 1 : 0, registry_id: registryId })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** The registry ids whose fields the table has. */
export async function mergedSchemas(db: LedgerDb, tableUuid: string): Promise<{ key: boolean; registryId: number }[]> {
  const rows = await db.selectFrom('merged_schemas').selectAll().where('table_uuid', '=', tableUuid).execute();
  return rows.map((row) => ({ key: row.is_key === 1, registryId: row.registry_id }));
}

const selectTopics = (db: LedgerDb) =>
  db
    .selectFrom('topics')
    .innerJoin('tables', 'tables.table_uuid', 'topics.table_uuid')
    .innerJoin('table_schemas', (join) =>
      join
        .onRef('table_schemas.table_uuid', '=', 'tables.table_uuid')
        .onRef('table_schemas.schema_id', '=', 'tables.schema_id'),
    )
    .selectAll('topics')
    .select([
      'tables.namespace',
      'tables.name',
      'tables.location',
      'tables.formats_json',
      'tables.schema_id',
      'table_schemas.schema_json',
    ]);

/** `not-found` when the topic was never enabled; dropped topics are found. */
export async function getTopic(db: LedgerDb, topic: string): Promise<LedgerTopic> {
  const row = await selectTopics(db).where('topics.topic', '=', topic).executeTakeFirst();
  if (row === undefined) throw notEnabled(topic);
  return toTopic(row);
}

const notEnabled = (topic: string) =>
  new MillraceError('not-found', `topic ${topic} is not enabled: enable it first`, {
    code: 'topic-not-enabled',
    context: { topic },
  });

/** What a commit's time depends on: cheaper than the whole topic. `not-found` as getTopic. */
export async function commitCadence(db: LedgerDb, topic: string) {
  const row = await db
    .selectFrom('topics')
    .select(['table_uuid', 'state', 'commit_interval_ms', 'commit_bytes', 'last_commit_ms'])
    .where('topic', '=', topic)
    .executeTakeFirst();
  if (row === undefined) throw notEnabled(topic);
  return {
    tableUuid: row.table_uuid,
    state: row.state as TopicState,
    commitIntervalMs: row.commit_interval_ms,
    commitBytes: row.commit_bytes,
    lastCommitMs: row.last_commit_ms,
  };
}

/** Binds a topic to the log that it is read from, once. */
export async function bindTopicId(db: LedgerDb, topic: string, topicId: string): Promise<void> {
  await db
    .updateTable('topics')
    .set({ topic_id: topicId })
    .where('topic', '=', topic)
    .where('topic_id', 'is', null)
    .execute();
}

/** Topics that are enabled: all but those dropped. */
export async function countTopics(db: LedgerDb): Promise<number> {
  const count = db.fn.countAll<number>().as('count');
  const row = await db.selectFrom('topics').select(count).where('state', '!=', TopicState.DROPPED).executeTakeFirst();
  return Number(row?.count ?? 0);
}

/** Topics that are enabled, by name; at most `limit` after one. */
export async function listTopics(
  db: LedgerDb,
  { after = '', limit }: { after?: string; limit?: number } = {},
): Promise<LedgerTopic[]> {
  const rows = await selectTopics(db)
    .where('topics.state', '!=', TopicState.DROPPED)
    .where('topics.topic', '>', after)
    .orderBy('topics.topic')
    .$if(limit !== undefined, (query) => query.limit(limit!))
    .execute();
  return rows.map(toTopic);
}

function toTopic(
  row: Selectable<LedgerSchema['topics']> &
    Pick<Selectable<LedgerSchema['tables']>, 'namespace' | 'name' | 'location' | 'formats_json' | 'schema_id'> & {
      schema_json: string;
    },
): LedgerTopic {
  return {
    topic: row.topic,
    tableUuid: row.table_uuid,
    table: { namespace: row.namespace, name: row.name },
    location: row.location,
    topicId: row.topic_id ?? undefined,
    state: row.state as TopicState,
    error: row.error_json === null ? undefined : fromJsonString(ErrorDetailSchema, row.error_json),
    settings: {
      formats: JSON.parse(row.formats_json),
      errorPolicy: row.error_policy as ErrorPolicy,
      commitIntervalMs: row.commit_interval_ms,
      commitBytes: row.commit_bytes,
      kafkaColumns: JSON.parse(row.kafka_columns_json),
    },
    keyFormat: fromJsonString(RecordFormatSchema, row.key_format_json),
    valueFormat: fromJsonString(RecordFormatSchema, row.value_format_json),
    schemaId: row.schema_id,
    tableSchemaJson: row.schema_json,
    lastCommitMs: row.last_commit_ms,
  };
}
