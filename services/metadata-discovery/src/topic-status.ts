import type { MessageInitShape } from '@bufbuild/protobuf';
import { type LedgerDb, type LedgerTopic, listPartitions, pendingWork, tableTotals } from '@millrace/ledger';
import type { ErrorDetail } from '@millrace/proto/common';
import type { TopicStatusSchema } from '@millrace/proto/metadata_discovery';

/** A topic as the ledger has it; `sourceError` is what its actor last saw. */
export async function topicStatus(
  db: LedgerDb,
  topic: LedgerTopic,
  sourceError: ErrorDetail | undefined,
): Promise<MessageInitShape<typeof TopicStatusSchema>> {
  const partitions = await listPartitions(db, topic.tableUuid);
  const work = await pendingWork(db, topic.tableUuid);
  const totals = await tableTotals(db, topic.tableUuid);
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
    pendingSplits: work.waiting + work.leased + work.converted,
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
