import { isKind } from '@millrace/base';
import {
  dropTopic,
  getTopic,
  type LedgerTopic,
  listTopics,
  pauseTopic,
  resumeTopic,
  updateTopic,
} from '@millrace/ledger';
import { TopicService, TopicState } from '@millrace/proto/metadata_discovery';
import { implement } from '@millrace/rpc';
import { currentTraceparent } from '@millrace/telemetry';
import type { Discovery } from './discovery.ts';
import { checkSettings, enableTopic } from './enable.ts';
import { pageSize } from './page.ts';
import { topicStatuses } from './topic-status.ts';

/** proto ↔ ledger: topics and the tables they feed. */
export function topicService(discovery: Discovery) {
  const { db, clock } = discovery;
  const when = () => ({ nowMs: clock.now(), traceparent: currentTraceparent() });
  const statusesOf = (topics: LedgerTopic[]) => topicStatuses(db, topics, discovery.sourceError);
  const answer = async (topic: LedgerTopic) => ({ status: (await statusesOf([topic]))[0]! });
  return implement(TopicService, {
    async enableTopic(request, call) {
      const topic = await enableTopic(discovery, request, call.signal);
      discovery.ledger.notify();
      discovery.changed(topic.topic, { plan: true });
      return answer(topic);
    },
    async updateTopic(request) {
      const { formats, errorPolicy = 0, commitIntervalMs = 0n, commitBytes = 0n } = request;
      const changed = checkSettings({ formats, errorPolicy, commitIntervalMs, commitBytes });
      const topic = await updateTopic(db, request.topic, changed, when());
      discovery.ledger.notify();
      discovery.changed(topic.topic, { plan: true });
      return answer(topic);
    },
    pauseTopic: async (request) => answer(await pauseTopic(db, request.topic)),
    async resumeTopic(request) {
      const topic = await resumeTopic(db, request.topic);
      if (topic.state === TopicState.RUNNING) {
        // What was mended must be seen, or the topic would stop at the same place again.
        discovery.changed(topic.topic, { refresh: true });
        // A store that can't be listed is the poll's to report.
        await discovery.look().catch(() => {});
      }
      discovery.work.notify();
      return answer(topic);
    },
    async dropTopic(request) {
      await dropTopic(db, request.topic, request.purge, when());
      discovery.ledger.notify();
      return {};
    },
    async describeTopic(request) {
      try {
        return await answer(await getTopic(db, request.topic));
      } catch (error) {
        // The reason why a rule failed says more than that the topic is not enabled.
        if (isKind(error, 'not-found')) throw discovery.enableError(request.topic) ?? error;
        throw error;
      }
    },
    async listTopics(request) {
      const size = pageSize(request.pageSize, 100, 1_000);
      const found = await listTopics(db, { after: request.pageToken, limit: size + 1 });
      const page = found.slice(0, size);
      const wanted = request.includeAvailable && request.pageToken === '';
      const enabled = new Set(wanted ? (await listTopics(db)).map(({ topic }) => topic) : []);
      return {
        topics: await statusesOf(page),
        available: wanted ? discovery.available().filter((topic) => !enabled.has(topic)) : [],
        nextPageToken: found.length > page.length ? page.at(-1)!.topic : '',
      };
    },
  });
}
