import { type Clock, isKind, MillraceError, toMillraceError } from '@millrace/base';
import {
  abandonSplit,
  addPartition,
  bindTopicId,
  commitCadence,
  commitTable,
  getTopic,
  type LedgerDb,
  type LedgerTopic,
  type LedgerTransaction,
  listPartitions,
  listPendingSplits,
  newestYield,
  type PlannedSplit,
  pendingWork,
  replanSplit,
  setSourceEnd,
  suspendTopic,
} from '@millrace/ledger';
import { type ErrorDetail, ErrorPolicy } from '@millrace/proto/common';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { errorToDetail } from '@millrace/rpc';
import type { SchemaSource } from '@millrace/schema';
import { count, type Logger, record, withTraceparent } from '@millrace/telemetry';
import { commitDueMs } from './commit-cadence.ts';
import type { LogTopic } from './log-source.ts';
import type { SegmentReading } from './partition-plan.ts';
import { splitBytesFor } from './planner.ts';
import type { Signal } from './signal.ts';
import type { TopicEffect, TopicMessage } from './topic.ts';
import { followSchemas } from './topic-schemas.ts';
import { planTraced } from './traced-plan.ts';

export interface TopicEffectDeps {
  db: LedgerDb;
  /** A transaction of the topic's owner; refused (`conflict`, "owner-stale") when another replica has the topic by now. */
  fenced<T>(action: (trx: LedgerTransaction) => Promise<T>): Promise<T>;
  schemas: SchemaSource;
  reading: SegmentReading;
  clock: Clock;
  logger: Logger;
  /** Told of new splits. */
  work: Signal;
  /** Told of new versions. */
  ledger: Signal;
  splitBytes: number;
  fileBytes: number;
  pendingSplits: number;
  settleMs: number;
  schemaPollMs: number;
  /** Told how much of the topic's work its actor has seen under way. */
  onSeen(work: WorkSeen): void;
}

/** Splits of a topic: waiting or leased, and converted. */
export interface WorkSeen {
  unfinished: number;
  converted: number;
}

type Planned = Omit<Extract<TopicMessage, { kind: 'planned' }>, 'kind'>;

/** What a plan changes of a partition; `first`: where a new one begins. */
interface PartitionChange {
  partition: number;
  first?: number;
  sourceEndOffset: number;
  splits: PlannedSplit[];
}

/** How often it is asked what the newest splits became. */
const YIELD_LOOK_MS = 10_000;

/** Does what a topic's actor decided. Every write is one transaction of the ledger, safe against other owners (I5). */
export function topicEffects(name: string, deps: TopicEffectDeps) {
  let schemasLookedMs = Number.NEGATIVE_INFINITY;
  let yieldLookedMs = Number.NEGATIVE_INFINITY;
  let { splitBytes } = deps;
  /** Why the last look for schemas failed: shown until one succeeds. */
  let schemaNotice: ErrorDetail | undefined;
  let shownNotice = '';

  async function plan(log: LogTopic | undefined, refresh: boolean, signal: AbortSignal): Promise<Planned> {
    const nothing = { sourceError: undefined, schemaError: undefined, left: false };
    const topic = await getTopic(deps.db, name);
    if (topic.state !== TopicState.RUNNING) return nothing;
    const notice = sourceNotice(topic, log);
    if (notice !== undefined || log === undefined) return { ...nothing, sourceError: notice && errorToDetail(notice) };
    if (topic.topicId === undefined) await bindTopicId(deps.db, name, log.topicIds[0]!);
    if (deps.clock.now() - schemasLookedMs >= deps.schemaPollMs && !(await followOrSuspend(topic, signal)))
      return nothing;
    if (refresh) await replan(topic, log, signal);
    return { ...(await planPartitions(topic, log, signal)), schemaError: schemaNotice };
  }

  async function lookForSchemas(signal: AbortSignal): Promise<void> {
    const topic = await getTopic(deps.db, name);
    if (topic.state === TopicState.RUNNING) await followOrSuspend(topic, signal);
  }

  /** A source of schemas that is away stops nobody: records whose schemas are known go on. */
  async function followOrSuspend(topic: LedgerTopic, signal: AbortSignal): Promise<boolean> {
    schemasLookedMs = deps.clock.now();
    try {
      if (await followSchemas(deps.db, deps.schemas, topic, deps.clock.now(), signal)) deps.ledger.notify();
      schemaNotice = undefined;
      return true;
    } catch (error) {
      if (isKind(error, 'unavailable', 'deadline')) {
        schemaNotice = errorToDetail(error);
        return true;
      }
      if (!isKind(error, 'unsupported', 'invalid')) throw error;
      await suspend(topic, toMillraceError(error, { topic: name }));
      return false;
    }
  }

  async function suspend(topic: LedgerTopic, error: MillraceError): Promise<void> {
    await deps.fenced((trx) => suspendTopic(trx, topic.tableUuid, errorToDetail(error)));
    deps.logger.error({ topic: name, error }, 'topic suspended');
  }

  async function adaptedSplitBytes(tableUuid: string): Promise<number> {
    const nowMs = deps.clock.now();
    if (nowMs - yieldLookedMs >= YIELD_LOOK_MS) {
      yieldLookedMs = nowMs;
      splitBytes = splitBytesFor(deps.fileBytes, deps.splitBytes, await newestYield(deps.db, tableUuid));
    }
    return splitBytes;
  }

  const planOptions = async (topic: LedgerTopic, signal: AbortSignal) => ({
    splitBytes: await adaptedSplitBytes(topic.tableUuid),
    pointBytes: deps.splitBytes / 8,
    pendingSplits: deps.pendingSplits,
    settleMs: deps.settleMs,
    nowMs: deps.clock.now(),
    passBroken: topic.settings.errorPolicy !== ErrorPolicy.SUSPEND,
    signal,
  });

  async function planPartitions(
    topic: LedgerTopic,
    log: LogTopic,
    signal: AbortSignal,
  ): Promise<Pick<Planned, 'sourceError' | 'left'>> {
    const { db } = deps;
    const { tableUuid } = topic;
    const known = new Map((await listPartitions(db, tableUuid)).map((row) => [row.partition, row]));
    const { byPartition, waiting, leased, converted } = await pendingWork(db, tableUuid);
    let left = false;
    const notices: MillraceError[] = [];
    let broken: MillraceError | undefined;
    const changes: PartitionChange[] = [];
    try {
      for (const [partition, segments] of [...log.partitions].sort(([a], [b]) => a - b)) {
        const first = segments[0]!.baseOffset;
        const row = known.get(partition);
        const from = row?.plannedOffset ?? first;
        const pending = byPartition.get(partition) ?? 0;
        const found = await deps.reading.plan(segments, from, pending, await planOptions(topic, signal));
        const { splits, sourceEndOffset } = found;
        if (row === undefined || splits.length > 0 || sourceEndOffset > row.sourceEndOffset)
          changes.push({ partition, ...(row === undefined ? { first } : {}), sourceEndOffset, splits });
        left ||= found.broken !== undefined || (splits.at(-1)?.endOffset ?? from) < sourceEndOffset;
        for (const gap of found.gaps) notices.push(gapNotice(name, partition, gap));
        if (found.broken !== undefined) broken ??= placed(name, partition, found.broken);
      }
    } finally {
      // What was found before a partition that can't be read is planned all the same.
      await writePlan(tableUuid, changes);
    }
    const planned = changes.reduce((sum, { splits }) => sum + splits.length, 0);
    if (broken !== undefined) {
      // A suspended topic leases nothing: what comes before the damage is converted first.
      const last = planned + waiting + leased === 0;
      if (last && topic.settings.errorPolicy === ErrorPolicy.SUSPEND) await suspend(topic, broken);
      else notices.push(broken);
    }
    deps.onSeen({ unfinished: waiting + leased + planned, converted });
    return { sourceError: showNotices(notices), left };
  }

  /** All partitions in one transaction: with many topics the database's disk is what planning waits for. */
  async function writePlan(tableUuid: string, changes: readonly PartitionChange[]): Promise<void> {
    if (changes.length === 0) return;
    await deps.fenced(async (trx) => {
      for (const { partition, first, sourceEndOffset, splits } of changes) {
        if (first !== undefined) await addPartition(trx, tableUuid, partition, first);
        await setSourceEnd(trx, tableUuid, partition, sourceEndOffset);
        if (splits.length === 0) continue;
        await planTraced(trx, { topic: name, tableUuid, partition, nowMs: deps.clock.now() }, splits);
      }
    });
    if (changes.some(({ splits }) => splits.length > 0)) deps.work.notify();
  }

  /** The last gap or damage that was passed stays in the status until this process ends; each is logged once. */
  let lastNotice: ErrorDetail | undefined;
  function showNotices(notices: MillraceError[]): ErrorDetail | undefined {
    for (const notice of notices) {
      if (notice.message === shownNotice) continue;
      shownNotice = notice.message;
      deps.logger.warn({ topic: name, code: notice.code }, notice.message);
      lastNotice = errorToDetail(notice);
    }
    return lastNotice;
  }

  async function replan(topic: LedgerTopic, log: LogTopic, signal: AbortSignal): Promise<void> {
    for (const { splitId, epoch, partition, startOffset, endOffset } of await listPendingSplits(
      deps.db,
      topic.tableUuid,
    )) {
      const segments = log.partitions.get(partition);
      if (segments === undefined) continue;
      if (segments[0]!.baseOffset >= endOffset) {
        // Retention was faster. What is lost stays lost: the policy says whether the table may go on without it.
        if (topic.settings.errorPolicy === ErrorPolicy.SUSPEND) continue;
        await deps.fenced((trx) => abandonSplit(trx, splitId, epoch, deps.clock.now()));
        showNotices([gapNotice(name, partition, { start: startOffset, end: endOffset })]);
        continue;
      }
      const placed = await deps.reading.places(segments, startOffset, endOffset, await planOptions(topic, signal));
      if (placed !== undefined) await replanSplit(deps.db, splitId, epoch, placed);
    }
  }

  async function commitTraced({ tableUuid }: Pick<LedgerTopic, 'tableUuid'>) {
    const startedMs = performance.now();
    let outcome = 'error';
    try {
      const when = { nowMs: deps.clock.now(), traceparent: '' };
      const committed = await deps.fenced((trx) => commitTable(trx, tableUuid, when));
      outcome = 'ok';
      if (committed === undefined) return undefined;
      const { version, recordCount, fileCount, sizeBytes, traceparent } = committed;
      const labels = { 'millrace.topic': name };
      count('millrace.ledger.records', recordCount, labels);
      count('millrace.ledger.files', fileCount, labels);
      count('millrace.ledger.size', sizeBytes, labels);
      withTraceparent(traceparent, () =>
        deps.logger.info({ topic: name, version, recordCount, fileCount, sizeBytes }, 'version committed'),
      );
      return committed;
    } catch (error) {
      if (isKind(error, 'conflict')) outcome = 'conflict';
      throw error;
    } finally {
      const seconds = (performance.now() - startedMs) / 1e3;
      record('millrace.ledger.commit.duration', seconds, { 'millrace.outcome': outcome });
    }
  }

  async function commit(): Promise<number | undefined> {
    for (;;) {
      const topic = await commitCadence(deps.db, name);
      if (topic.state === TopicState.DROPPED) return undefined;
      const work = await pendingWork(deps.db, topic.tableUuid);
      deps.onSeen({ unfinished: work.waiting + work.leased, converted: work.converted });
      const dueMs = commitDueMs(work, topic, topic.lastCommitMs, deps.clock.now());
      if (dueMs !== 0) return dueMs;
      for (let more = true; more; ) {
        const committed = await commitTraced(topic);
        more = committed?.more ?? false;
        if (committed !== undefined) deps.ledger.notify();
      }
    }
  }

  return async (effect: TopicEffect, signal: AbortSignal): Promise<TopicMessage | undefined> => {
    switch (effect.kind) {
      case 'plan':
        return { kind: 'planned', ...(await plan(effect.log, effect.refresh, signal)) };
      case 'schemas':
        await lookForSchemas(signal);
        return { kind: 'schemas-followed', schemaError: schemaNotice };
      case 'commit':
        return { kind: 'committed', dueMs: await commit(), nowMs: deps.clock.now() };
      case 'sleep':
        await deps.clock.sleep(effect.ms, signal);
        return effect.wakeWith;
    }
  };
}

/** Why a topic can't be planned from what the source shows. */
function sourceNotice(topic: LedgerTopic, log: LogTopic | undefined): MillraceError | undefined {
  const context = { topic: topic.topic };
  if (log === undefined) {
    return new MillraceError(
      'not-found',
      `topic ${topic.topic} has no segments in the log store yet: is tiered storage enabled for it (remote.storage.enable), and has a segment been rolled?`,
      { code: 'topic-not-in-source', context },
    );
  }
  if (log.topicIds.length > 1) {
    return new MillraceError(
      'conflict',
      `the log store has ${log.topicIds.length} topics named ${topic.topic} (ids ${log.topicIds.join(', ')}): it was deleted and made again; move the old topic's folders away`,
      { code: 'topic-ids-ambiguous', retryable: false, context },
    );
  }
  if (topic.topicId !== undefined && topic.topicId !== log.topicIds[0]) {
    return new MillraceError(
      'conflict',
      `topic ${topic.topic} was made again (id ${log.topicIds[0]}, the table was read from ${topic.topicId}): its offsets are other records; drop the topic's table and enable it anew`,
      { code: 'topic-recreated', retryable: false, context },
    );
  }
  return undefined;
}

const placed = (topic: string, partition: number, { kind, code, message, context, cause }: MillraceError) =>
  new MillraceError(kind, `topic ${topic}, partition ${partition}: ${message}`, {
    code,
    retryable: false,
    context: { ...context, topic, partition },
    cause,
  });

const gapNotice = (topic: string, partition: number, gap: { start: number; end: number }): MillraceError =>
  new MillraceError(
    'not-found',
    `topic ${topic}, partition ${partition}: the log store has no segment for offsets ${gap.start} to ${gap.end} (exclusive); the table goes on after them`,
    { code: 'log-gap', context: { topic, partition, offset: gap.start, nextOffset: gap.end } },
  );
