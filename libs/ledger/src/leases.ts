import { create } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import { type ErrorDetail, ErrorDetailSchema, ErrorKind, TableRefSchema } from '@millrace/proto/common';
import { type Split, TopicState } from '@millrace/proto/metadata_discovery';
import type { LedgerDb, LedgerTransaction } from './ledger-database.ts';
import { splitOfBody } from './plan.ts';
import { suspendTopic } from './topic-state.ts';
import { getTopic } from './topics.ts';

export interface LeaseOptions {
  leaseMs: number;
  /** Tries of one split before its table is suspended. */
  maxAttempts: number;
  /** Wait before the second attempt; doubled for each further one, at most 60 s. */
  backoffMs: number;
}

const LONGEST_BACKOFF_MS = 60_000;
/**
 * A topic's turn: small splits of its partitions are leased one after another and become one version; a large split is a
 * turn by itself.
 */
const TURN_BYTES = 4_194_304;
const TURN_SPLITS = 8;

/** The .proto's Lease. */
export interface GivenLease {
  split: Split;
  epoch: bigint;
  expiresMs: bigint;
  traceparent: string;
}

/** Why a split did not end: the topic whose actor should know. */
export interface SplitOutcome {
  topic: string;
  tableUuid: string;
  suspended: boolean;
}

/**
 * Leases the next split: topics take turns of about equal bytes, inside one the oldest plan comes first. The epoch is
 * one above every earlier lease of the split (I2). undefined: nothing is there to do now.
 */
export async function leaseSplit(
  db: LedgerDb,
  owner: string,
  nowMs: number,
  options: LeaseOptions,
): Promise<GivenLease | undefined> {
  if (!(await isAnyWaiting(db))) return undefined;
  return db.transaction().execute(async (trx) => {
    const next = await nextSplit(trx, nowMs);
    if (next === undefined) return undefined;
    const epoch = next.epoch + 1;
    const expiresMs = nowMs + options.leaseMs;
    const taken = await trx
      .updateTable('splits')
      .set({ state: 'leased', epoch, owner, expires_ms: expiresMs, attempts: next.attempts + 1 })
      .where('split_id', '=', next.split_id)
      .where('state', '=', 'pending')
      .where('epoch', '=', next.epoch)
      .executeTakeFirstOrThrow();
    // Somebody else was faster: the caller asks again.
    if (taken.numUpdatedRows !== 1n) return undefined;
    const split = splitOfBody(next.body);
    await takeTurn(trx, next, split);
    const topic = await getTopic(trx, next.topic);
    return {
      split: Object.assign(split, {
        splitId: next.split_id,
        topic: topic.topic,
        table: create(TableRefSchema, topic.table),
        location: topic.location,
        partition: next.partition,
        startOffset: BigInt(next.start_offset),
        endOffset: BigInt(next.end_offset),
        errorPolicy: topic.settings.errorPolicy,
        tableSchemaJson: topic.tableSchemaJson,
        kafkaColumns: topic.settings.kafkaColumns,
        keyFormat: topic.keyFormat,
        valueFormat: topic.valueFormat,
      }),
      epoch: BigInt(epoch),
      expiresMs: BigInt(expiresMs),
      traceparent: next.traceparent,
    };
  });
}

/** Without a transaction, whose lock would be in the way of those that write. */
async function isAnyWaiting(db: LedgerDb): Promise<boolean> {
  const one = db.selectFrom('splits').select('split_id').where('state', '=', 'pending').limit(1);
  return (await one.executeTakeFirst()) !== undefined;
}

/** The topic whose turn it is first, then its split: in that order no other topic's splits are read, however many wait. */
async function nextSplit(trx: LedgerTransaction, nowMs: number) {
  const topic = await trx
    .selectFrom('topics')
    .select(['topic', 'table_uuid', 'turn_splits', 'turn_bytes'])
    .where('state', '=', TopicState.RUNNING)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('splits')
          .select('split_id')
          .whereRef('splits.table_uuid', '=', 'topics.table_uuid')
          .where('splits.state', '=', 'pending')
          .where('splits.not_before_ms', '<=', nowMs),
      ),
    )
    .orderBy('lease_turn')
    .orderBy('topic')
    .limit(1)
    .executeTakeFirst();
  if (topic === undefined) return undefined;
  const split = await trx
    .selectFrom('splits')
    .selectAll()
    .where('table_uuid', '=', topic.table_uuid)
    .where('state', '=', 'pending')
    .where('not_before_ms', '<=', nowMs)
    .orderBy('created_ms')
    .orderBy('start_offset')
    .orderBy('partition')
    .limit(1)
    .executeTakeFirst();
  return split && { ...split, ...topic };
}

/** The topic goes to the end of the line once its turn is over. */
async function takeTurn(
  trx: LedgerTransaction,
  next: { topic: string; turn_splits: number; turn_bytes: number },
  split: Split,
): Promise<void> {
  const splits = next.turn_splits + 1;
  const bytes = split.ranges.reduce((sum, range) => sum + Number(range.endByte - range.startByte), next.turn_bytes);
  const change = trx.updateTable('topics').where('topic', '=', next.topic);
  if (splits < TURN_SPLITS && bytes < TURN_BYTES) {
    await change.set({ turn_splits: splits, turn_bytes: bytes }).execute();
    return;
  }
  const { turn } = await trx
    .selectFrom('topics')
    .select((eb) => eb.fn.max('lease_turn').as('turn'))
    .where('state', '=', TopicState.RUNNING)
    .executeTakeFirstOrThrow();
  await change.set({ lease_turn: turn + 1, turn_splits: 0, turn_bytes: 0 }).execute();
}

/** Keeps a lease for another `leaseMs`; `stale-lease` when it is not the newest or has ended. */
export async function heartbeatSplit(
  db: LedgerDb,
  splitId: string,
  epoch: number,
  nowMs: number,
  leaseMs: number,
): Promise<number> {
  const expiresMs = nowMs + leaseMs;
  const kept = await db
    .updateTable('splits')
    .set({ expires_ms: expiresMs })
    .where('split_id', '=', splitId)
    .where('epoch', '=', epoch)
    .where('state', '=', 'leased')
    .executeTakeFirstOrThrow();
  if (kept.numUpdatedRows !== 1n) throw staleLease(splitId, epoch);
  return expiresMs;
}

export const staleLease = (splitId: string, epoch: number) =>
  new MillraceError(
    'stale-lease',
    `lease ${epoch} of split ${splitId} is not its newest, or has ended: stop working on it and delete its files`,
    { context: { splitId, epoch } },
  );

/**
 * Ends a lease without a result. `released`: the attempt does not count. Otherwise the split waits for its backoff, or,
 * when the error is not worth a retry or the attempts are used up, the table is suspended with the error; the split
 * stays for the day the topic is resumed. `stale-lease` as above.
 */
export async function failSplit(
  db: LedgerDb,
  failed: { splitId: string; epoch: number; released: boolean; error: ErrorDetail | undefined; nowMs: number },
  options: LeaseOptions,
): Promise<SplitOutcome> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('splits')
      .innerJoin('topics', 'topics.table_uuid', 'splits.table_uuid')
      .selectAll('splits')
      .select('topics.topic')
      .where('split_id', '=', failed.splitId)
      .where('epoch', '=', failed.epoch)
      .where('splits.state', '=', 'leased')
      .executeTakeFirst();
    if (row === undefined) throw staleLease(failed.splitId, failed.epoch);
    if (failed.released) {
      await backToPending(trx, row, { attempts: row.attempts - 1, not_before_ms: 0 });
      return { topic: row.topic, tableUuid: row.table_uuid, suspended: false };
    }
    const error =
      failed.error ??
      create(ErrorDetailSchema, { kind: ErrorKind.INTERNAL, code: 'internal', message: 'no reason was given' });
    return endAttempt(trx, row, error, failed.nowMs, options);
  });
}

/**
 * Takes back the leases that have run out. Each counts as an attempt: whoever held it may have died of the split.
 * Answers the tables concerned.
 */
export async function expireLeases(db: LedgerDb, nowMs: number, options: LeaseOptions): Promise<SplitOutcome[]> {
  const overdue = await db
    .selectFrom('splits')
    .select('split_id')
    .where('state', '=', 'leased')
    .where('expires_ms', '<=', nowMs)
    .limit(1)
    .executeTakeFirst();
  if (overdue === undefined) return [];
  return db.transaction().execute(async (trx) => {
    const rows = await trx
      .selectFrom('splits')
      .innerJoin('topics', 'topics.table_uuid', 'splits.table_uuid')
      .selectAll('splits')
      .select('topics.topic')
      .where('splits.state', '=', 'leased')
      .where('splits.expires_ms', '<=', nowMs)
      .execute();
    const outcomes: SplitOutcome[] = [];
    for (const row of rows) {
      const error = create(ErrorDetailSchema, {
        kind: ErrorKind.DEADLINE,
        code: 'lease-expired',
        message: `split ${row.split_id} (partition ${row.partition}, offsets ${row.start_offset} to ${row.end_offset}) was leased ${row.attempts} times and no owner finished it; the last was ${row.owner}: see that converter's log, then resume the topic`,
        retryable: true,
        context: { splitId: row.split_id, partition: String(row.partition), offset: String(row.start_offset) },
      });
      outcomes.push(await endAttempt(trx, row, error, nowMs, options));
    }
    return outcomes;
  });
}

interface AttemptRow {
  split_id: string;
  epoch: number;
  table_uuid: string;
  topic: string;
  attempts: number;
}

async function endAttempt(
  trx: LedgerTransaction,
  row: AttemptRow,
  error: ErrorDetail,
  nowMs: number,
  options: LeaseOptions,
): Promise<SplitOutcome> {
  const backoffMs = Math.min(options.backoffMs * 2 ** (row.attempts - 1), LONGEST_BACKOFF_MS);
  await backToPending(trx, row, { attempts: row.attempts, not_before_ms: nowMs + backoffMs });
  const suspended = !error.retryable || row.attempts >= options.maxAttempts;
  if (suspended) await suspendTopic(trx, row.table_uuid, error);
  return { topic: row.topic, tableUuid: row.table_uuid, suspended };
}

async function backToPending(
  trx: LedgerTransaction,
  row: { split_id: string; epoch: number },
  set: { attempts: number; not_before_ms: number },
): Promise<void> {
  await trx
    .updateTable('splits')
    .set({ ...set, state: 'pending', owner: null })
    .where('split_id', '=', row.split_id)
    .where('epoch', '=', row.epoch)
    .where('state', '=', 'leased')
    .execute();
}
