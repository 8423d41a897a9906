import { type Clock, isKind, MillraceError, toMillraceError } from '@millrace/base';
import {
  abandonSplit,
  addPartition,
  bindTopicId,
  commitTable,
  getTopic,
  type LedgerDb,
  type LedgerTopic,
  listPartitions,
  listPendingSplits,
  newestYield,
  pendingWork,
  planSplits,
  replanSplit,
  setSourceEnd,
  suspendTopic,
} from '@millrace/ledger';
import { type ErrorDetail, ErrorPolicy } from '@millrace/proto/common';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { errorToDetail } from '@millrace/rpc';
import type { SchemaSource } from '@millrace/schema';
import { currentTraceparent, type Logger, withSpan } from '@millrace/telemetry';
import { commitDueMs } from './commit-cadence.ts';
import type { LogTopic } from './log-source.ts';
import type { SegmentReading } from './partition-plan.ts';
import { splitBytesFor } from './planner.ts';
import type { Signal } from './signal.ts';
import type { TopicEffect, TopicMessage } from './topic.ts';
import { followSchemas } from './topic-schemas.ts';

export interface TopicEffectDeps {
  db: LedgerDb;
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
  settleMs: number;
  schemaPollMs: number;
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

  async function plan(
    log: LogTopic | undefined,
    refresh: boolean,
    signal: AbortSignal,
  ): Promise<ErrorDetail | undefined> {
    const topic = await getTopic(deps.db, name);
    if (topic.state !== TopicState.RUNNING) return undefined;
    const notice = sourceNotice(topic, log);
    if (notice !== undefined || log === undefined) return notice && errorToDetail(notice);
    if (topic.topicId === undefined) await bindTopicId(deps.db, name, log.topicIds[0]!);
    const nowMs = deps.clock.now();
    if (nowMs - schemasLookedMs >= deps.schemaPollMs) {
      schemasLookedMs = nowMs;
      if (!(await followOrSuspend(topic, signal))) return undefined;
    }
    if (refresh) await replan(topic, log, signal);
    return (await planPartitions(topic, log, signal)) ?? schemaNotice;
  }

  /** A source of schemas that is away stops nobody: records whose schemas are known go on. */
  async function followOrSuspend(topic: LedgerTopic, signal: AbortSignal): Promise<boolean> {
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
    deps.logger.error({ topic: name, error }, 'topic suspended');
    await suspendTopic(deps.db, topic.tableUuid, errorToDetail(error));
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
    settleMs: deps.settleMs,
    nowMs: deps.clock.now(),
    passBroken: topic.settings.errorPolicy !== ErrorPolicy.SUSPEND,
    signal,
  });

  async function planPartitions(
    topic: LedgerTopic,
    log: LogTopic,
    signal: AbortSignal,
  ): Promise<ErrorDetail | undefined> {
    const { db } = deps;
    const { tableUuid } = topic;
    const known = new Map((await listPartitions(db, tableUuid)).map((row) => [row.partition, row]));
    const { byPartition, waiting, leased } = await pendingWork(db, tableUuid);
    let planned = 0;
    const notices: MillraceError[] = [];
    let broken: MillraceError | undefined;
    for (const [partition, segments] of [...log.partitions].sort(([a], [b]) => a - b)) {
      const first = segments[0]!.baseOffset;
      const row = known.get(partition);
      if (row === undefined) await addPartition(db, tableUuid, partition, first);
      const from = row?.plannedOffset ?? first;
      const found = await deps.reading.plan(
        segments,
        from,
        byPartition.get(partition) ?? 0,
        await planOptions(topic, signal),
      );
      if (found.sourceEndOffset > (row?.sourceEndOffset ?? first)) {
        await setSourceEnd(db, tableUuid, partition, found.sourceEndOffset);
      }
      for (const gap of found.gaps) notices.push(gapNotice(name, partition, gap));
      if (found.broken !== undefined) broken ??= placed(name, partition, found.broken);
      if (found.splits.length === 0) continue;
      await withSpan('plan splits', { attributes: { 'millrace.topic': name, 'millrace.partition': partition } }, () =>
        planSplits(
          db,
          { tableUuid, partition, nowMs: deps.clock.now(), traceparent: currentTraceparent() },
          found.splits,
        ),
      );
      planned += found.splits.length;
      deps.work.notify();
    }
    if (broken !== undefined) {
      // A suspended topic leases nothing: what comes before the damage is converted first.
      const last = planned + waiting + leased === 0;
      if (last && topic.settings.errorPolicy === ErrorPolicy.SUSPEND) await suspend(topic, broken);
      else notices.push(broken);
    }
    return showNotices(notices);
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
        await abandonSplit(deps.db, splitId, epoch, deps.clock.now());
        showNotices([gapNotice(name, partition, { start: startOffset, end: endOffset })]);
        continue;
      }
      const placed = await deps.reading.places(segments, startOffset, endOffset, await planOptions(topic, signal));
      if (placed !== undefined) await replanSplit(deps.db, splitId, epoch, placed);
    }
  }

  async function commit(): Promise<number | undefined> {
    for (;;) {
      const topic = await getTopic(deps.db, name);
      if (topic.state === TopicState.DROPPED) return undefined;
      const work = await pendingWork(deps.db, topic.tableUuid);
      const dueMs = commitDueMs(work, topic.settings, topic.lastCommitMs, deps.clock.now());
      if (dueMs !== 0) return dueMs;
      await withSpan('commit version', { attributes: { 'millrace.topic': name } }, async (span) => {
        for (let more = true; more; ) {
          const when = { nowMs: deps.clock.now(), traceparent: currentTraceparent() };
          const committed = await commitTable(deps.db, topic.tableUuid, when);
          more = committed?.more ?? false;
          if (committed === undefined) continue;
          span.setAttribute('millrace.version', committed.version);
          deps.ledger.notify();
          deps.logger.info({ topic: name, ...committed, more: undefined }, 'version committed');
        }
      });
    }
  }

  return async (effect: TopicEffect, signal: AbortSignal): Promise<TopicMessage | undefined> => {
    switch (effect.kind) {
      case 'plan':
        return { kind: 'planned', sourceError: await plan(effect.log, effect.refresh, signal) };
      case 'commit':
        return { kind: 'committed', dueMs: await commit() };
      case 'sleep':
        await deps.clock.sleep(effect.ms, signal);
        return { kind: effect.wakeWith };
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
