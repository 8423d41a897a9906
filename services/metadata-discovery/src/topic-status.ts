import type { MessageInitShape } from '@bufbuild/protobuf';
import { type LedgerDb, type LedgerTopic, readProgress } from '@millrace/ledger';
import type { ErrorDetail } from '@millrace/proto/common';
import type { TopicStatusSchema } from '@millrace/proto/metadata_discovery';

type TopicStatusInit = MessageInitShape<typeof TopicStatusSchema>;

/** Topics as the ledger has them, in their order; `sourceError` is what a topic's actor last saw. */
export async function topicStatuses(
  db: LedgerDb,
  topics: readonly LedgerTopic[],
  sourceError: (topic: string) => ErrorDetail | undefined,
): Promise<TopicStatusInit[]> {
  const progress = await readProgress(
    db,
    topics.map(({ tableUuid }) => tableUuid),
  );
  return topics.map((topic) => statusOf(topic, progress.get(topic.tableUuid)!, sourceError(topic.topic)));
}

type Progress = Awaited<ReturnType<typeof readProgress>> extends Map<string, infer P> ? P : never;

function statusOf(
  topic: LedgerTopic,
  { partitions, pendingSplits, totals }: Progress,
  sourceError: ErrorDetail | undefined,
): TopicStatusInit {
  const lag = partitions.reduce((sum, row) => sum + Math.max(row.sourceEndOffset - row.committedOffset, 0), 0);
  const error = topic.error ?? sourceError;
  return {
    topic: topic.topic,
    table: topic.table,
    state: topic.state,
    settings: settingsOf(topic),
    ...(error === undefined ? {} : { error }),
    partitions: partitions.map((row) => ({
      partition: row.partition,
      startOffset: BigInt(row.startOffset),
      committedOffset: BigInt(row.committedOffset),
      plannedOffset: BigInt(row.plannedOffset),
      sourceEndOffset: BigInt(row.sourceEndOffset),
    })),
    lag: BigInt(lag),
    ledgerVersion: BigInt(totals.version),
    recordCount: BigInt(totals.recordCount),
    fileCount: BigInt(totals.fileCount),
    sizeBytes: BigInt(totals.sizeBytes),
    skippedCount: BigInt(totals.skippedCount),
    deadLetterCount: BigInt(totals.deadLetterCount),
    pendingSplits,
    location: topic.location,
    lastCommitMs: BigInt(topic.lastCommitMs),
  };
}

const settingsOf = ({ settings, keyFormat, valueFormat }: LedgerTopic) => ({
  formats: settings.formats,
  errorPolicy: settings.errorPolicy,
  commitIntervalMs: BigInt(settings.commitIntervalMs),
  commitBytes: BigInt(settings.commitBytes),
  kafkaColumns: settings.kafkaColumns,
  keyFormat,
  valueFormat,
});
