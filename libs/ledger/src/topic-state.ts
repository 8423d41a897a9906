import { toJsonString } from '@bufbuild/protobuf';
import { type ErrorDetail, ErrorDetailSchema } from '@millrace/proto/common';
import { TopicState, VersionKind } from '@millrace/proto/metadata_discovery';
import type { LedgerDb } from './ledger-database.ts';
import { appendVersion, lockLiveTable, lockTable } from './tables.ts';
import { getTopic, type LedgerTopic, type TopicSettingsValues } from './topics.ts';

/** Stops planning and leasing. A suspended topic stays suspended: its error is what a person must see. */
export async function pauseTopic(db: LedgerDb, topic: string): Promise<LedgerTopic> {
  await getTopic(db, topic);
  await db
    .updateTable('topics')
    .set({ state: TopicState.PAUSED })
    .where('topic', '=', topic)
    .where('state', '=', TopicState.RUNNING)
    .execute();
  return getTopic(db, topic);
}

/** Goes on after a pause or a suspension; splits that wait start again from their first attempt. */
export async function resumeTopic(db: LedgerDb, topic: string): Promise<LedgerTopic> {
  const { tableUuid } = await getTopic(db, topic);
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable('topics')
      .set({ state: TopicState.RUNNING, error_json: null })
      .where('topic', '=', topic)
      .where('state', 'in', [TopicState.PAUSED, TopicState.SUSPENDED])
      .execute();
    await trx
      .updateTable('splits')
      .set({ attempts: 0, not_before_ms: 0 })
      .where('table_uuid', '=', tableUuid)
      .where('state', '=', 'pending')
      .execute();
  });
  return getTopic(db, topic);
}

/** Stops a running topic with the error that its policy could not pass over. The first error stays. */
export async function suspendTopic(db: LedgerDb, tableUuid: string, error: ErrorDetail): Promise<void> {
  await db
    .updateTable('topics')
    .set({ state: TopicState.SUSPENDED, error_json: toJsonString(ErrorDetailSchema, error) })
    .where('table_uuid', '=', tableUuid)
    .where('state', 'in', [TopicState.RUNNING, TopicState.PAUSED])
    .execute();
}

/** Changes settings; other formats than before are one version (FORMATS). */
export async function updateTopic(
  db: LedgerDb,
  topic: string,
  changed: Partial<Omit<TopicSettingsValues, 'kafkaColumns'>>,
  when: { nowMs: number; traceparent: string },
): Promise<LedgerTopic> {
  const { tableUuid } = await getTopic(db, topic);
  await db.transaction().execute(async (trx) => {
    const table = await lockLiveTable(trx, tableUuid);
    const { errorPolicy, commitIntervalMs, commitBytes, formats } = changed;
    const settings = {
      ...(errorPolicy === undefined ? {} : { error_policy: errorPolicy }),
      ...(commitIntervalMs === undefined ? {} : { commit_interval_ms: commitIntervalMs }),
      ...(commitBytes === undefined ? {} : { commit_bytes: commitBytes }),
    };
    if (Object.keys(settings).length > 0) {
      await trx.updateTable('topics').set(settings).where('topic', '=', topic).execute();
    }
    const formatsJson = JSON.stringify(formats);
    if (formats !== undefined && formatsJson !== table.formats_json) {
      await appendVersion(trx, table, { kind: VersionKind.FORMATS, ...when, set: { formats_json: formatsJson } });
    }
  });
  return getTopic(db, topic);
}

/**
 * Ends a topic's table with a version (DROP): work that is not committed is forgotten (its files are orphans), leases
 * become stale. With `purge` every file is removed by that version, for the clean-up to delete. Repeating it is
 * harmless.
 */
export async function dropTopic(
  db: LedgerDb,
  topic: string,
  purge: boolean,
  when: { nowMs: number; traceparent: string },
): Promise<void> {
  const { tableUuid, state } = await getTopic(db, topic);
  if (state === TopicState.DROPPED) return;
  await db.transaction().execute(async (trx) => {
    const table = await lockTable(trx, tableUuid);
    if (table.dropped === 1) return;
    await trx
      .updateTable('topics')
      .set({ state: TopicState.DROPPED, error_json: null })
      .where('topic', '=', topic)
      .execute();
    // Splits first: a completion that is under way ends before them, and what it stored goes with them.
    const gone = await trx
      .deleteFrom('splits')
      .where('table_uuid', '=', tableUuid)
      .where('state', '!=', 'committed')
      .returning('split_id')
      .execute();
    await trx.deleteFrom('files').where('table_uuid', '=', tableUuid).where('added_version', 'is', null).execute();
    for (const { split_id } of gone) await trx.deleteFrom('dead_letters').where('split_id', '=', split_id).execute();
    if (purge) {
      await trx
        .updateTable('files')
        .set({ removed_version: table.version + 1, removed_ms: when.nowMs })
        .where('table_uuid', '=', tableUuid)
        .where('removed_version', 'is', null)
        .execute();
    }
    await appendVersion(trx, table, {
      kind: VersionKind.DROP,
      ...when,
      set: {
        dropped: 1,
        purge: purge ? 1 : 0,
        live_name: null,
        ...(purge ? { record_count: 0, file_count: 0, size_bytes: 0 } : {}),
      },
    });
  });
}
