import { listTieredSegments, type TieredSegment } from '@millrace/kafka-log';
import type { ObjectStore } from '@millrace/object-store';

/** A topic as the log store shows it. */
export interface LogTopic {
  topic: string;
  /** More than one: an old topic's folders lie beside those of a new one with the same name. */
  topicIds: string[];
  /** By partition; segments by base offset. */
  partitions: Map<number, TieredSegment[]>;
}

/** Every topic in the store, by name. */
export async function listLogTopics(store: ObjectStore, signal: AbortSignal): Promise<Map<string, LogTopic>> {
  const topics = new Map<string, LogTopic>();
  for (const { topic, topicId, partition, segments } of await listTieredSegments(store, { signal })) {
    let entry = topics.get(topic);
    if (entry === undefined) {
      entry = { topic, topicIds: [], partitions: new Map() };
      topics.set(topic, entry);
    }
    if (!entry.topicIds.includes(topicId)) entry.topicIds.push(topicId);
    entry.partitions.set(partition, segments);
  }
  return topics;
}
