import { fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { type Actor, startActor } from '@millrace/actor';
import { type Clock, isKind, MillraceError, toMillraceError } from '@millrace/base';
import type { Database } from '@millrace/database';
import {
  expireLeases,
  type LeaseOptions,
  type LedgerDb,
  type LedgerSchema,
  listTopics,
  type SplitOutcome,
} from '@millrace/ledger';
import type { ObjectStore } from '@millrace/object-store';
import { checkOwner, type Owned, ownerStore, startOwnership } from '@millrace/ownership';
import { type ErrorDetail, ErrorDetailSchema } from '@millrace/proto/common';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { errorToDetail } from '@millrace/rpc';
import type { SchemaSource } from '@millrace/schema';
import { count, type Logger } from '@millrace/telemetry';
import type { MetadataDiscoveryConfig } from './config.ts';
import { enableTopic, ruleFor } from './enable.ts';
import { type LogTopic, listLogTopics } from './log-source.ts';
import { segmentReading } from './partition-plan.ts';
import { createSignal, type Signal } from './signal.ts';
import { newTopic, receiveTopic, type TopicActorState, type TopicEffect, type TopicMessage } from './topic.ts';
import { topicEffects } from './topic-effects.ts';

export interface DiscoveryDeps {
  database: Database<LedgerSchema>;
  logStore: ObjectStore;
  schemas: SchemaSource;
  clock: Clock;
  logger: Logger;
  config: MetadataDiscoveryConfig & { replicaName: string };
}

export interface Discovery extends DiscoveryDeps {
  db: LedgerDb;
  /** New splits, and new versions. */
  work: Signal;
  ledger: Signal;
  leases: LeaseOptions;
  /** Aborted when the service drains: long calls end. */
  draining: AbortSignal;
  /** Topics of the log store that the last look showed. */
  available(): string[];
  inSource(topic: string): boolean;
  sourceError(topic: string): ErrorDetail | undefined;
  /** Why a rule of the configuration could not enable the topic. */
  enableError(topic: string): MillraceError | undefined;
  /** Tells a topic's actor, in whichever replica, that something happened to its splits or settings. */
  changed(topic: string, options?: { refresh?: boolean }): void;
  /** Lists the log store now and tells this replica's actors. */
  look(): Promise<void>;
  /** No more plans, calls that wait end, topics are handed over. Leases and converted splits stay in the ledger. */
  stop(): Promise<void>;
}

const EXPIRE_EVERY_MS = 1_000;
const ENABLE_AGAIN_MS = 10_000;
/** Looking at the log store takes no more than a quarter of the time, however much lies in it. */
const REST_FACTOR = 3;
const KIND = 'topic';
const CHANGED = 'topic-changed';
const REFRESHED = 'topic-refreshed';

/**
 * Looks at the log store again and again, runs one actor for each enabled topic that this replica owns, and takes back
 * overdue leases.
 */
export function runDiscovery(deps: DiscoveryDeps): Discovery {
  const { database, clock, logger, config } = deps;
  const { db, signals } = database;
  const actors = new Map<string, Actor<TopicActorState, TopicMessage>>();
  const enableFailures = new Map<string, { error: MillraceError; againMs: number }>();
  const stopped = new AbortController();
  const work = createSignal(signals, 'work');
  const ledger = createSignal(signals, 'ledger');
  const leases = { leaseMs: config.leaseMs, maxAttempts: config.maxAttempts, backoffMs: config.backoffMs };
  const reading = segmentReading(deps.logStore);
  let listing = new Map<string, LogTopic>();
  let listed = false;
  let listingError: ErrorDetail | undefined;

  const ownership = startOwnership({
    store: ownerStore(database, KIND, clock),
    replica: config.replicaName,
    leaseMs: config.ownerLeaseMs,
    onGained(owned) {
      actors.set(owned.subject, topicActor(owned));
      if (listed) tell(actors.get(owned.subject)!, { kind: 'listed', log: listing.get(owned.subject) });
    },
    async onLost({ subject }) {
      const actor = actors.get(subject);
      actors.delete(subject);
      await actor?.stop();
    },
    clock,
    logger,
  });

  function topicActor(owned: Owned): Actor<TopicActorState, TopicMessage> {
    const topic = owned.subject;
    const perform = topicEffects(topic, {
      ...{ ...deps, ...config, db, reading, work, ledger },
      fenced: (action) =>
        db.transaction().execute(async (trx) => {
          await checkOwner(trx, KIND, owned);
          return action(trx);
        }),
    });
    return startActor<TopicActorState, TopicMessage, TopicEffect>({
      name: `topic ${topic}`,
      // Everything durable is read from the ledger by the effects: nothing is lost with this state.
      recover: async () => newTopic(),
      receive: receiveTopic,
      async perform(effect, signal) {
        const message = await perform(effect, signal);
        if (message?.kind === 'planned') note(topic, message.sourceError);
        return message;
      },
      failed: (effect, error) => {
        if (error.code === 'owner-stale') ownership.look();
        // Another owner of the topic was faster; what it did is in the ledger.
        const logged = isKind(error, 'conflict') ? 'debug' : 'warn';
        logger[logged]({ topic, error }, `could not ${effect.kind}`);
        if (effect.kind === 'commit') return { kind: 'commit-failed' };
        const detail = errorToDetail(error.with({ topic }));
        if (error.code !== 'owner-stale') note(topic, detail);
        return { kind: 'plan-failed', error: detail };
      },
      onCrash: (error) => logger.error({ topic, error }, 'defect in the actor of a topic'),
      clock,
    });
  }

  /** What the topic's actor saw of its source, for the other replicas to show. */
  function note(topic: string, error: ErrorDetail | undefined): void {
    ownership.note(topic, error === undefined ? '' : toJsonString(ErrorDetailSchema, error));
  }

  function tell(actor: Actor<TopicActorState, TopicMessage>, message: TopicMessage): void {
    try {
      actor.tell(message);
    } catch (error) {
      // A full mailbox: the next poll says it again.
      logger.warn({ error }, 'a topic has too many messages waiting');
    }
  }

  const inSource = (topic: string) => listing.has(topic);

  let lastLook: Promise<unknown> = Promise.resolve();
  /** One look at a time, each begun after it was asked for. */
  function look(): Promise<void> {
    const next = lastLook.then(lookOnce, lookOnce);
    lastLook = next;
    return next;
  }

  async function lookOnce(): Promise<void> {
    listing = await listLogTopics(deps.logStore, stopped.signal);
    listed = true;
    listingError = undefined;
    reading.keepOnly([...listing.values()].flatMap((log) => [...log.partitions.values()].flat()));
    let topics = await listTopics(db);
    if (await enableByRule(new Set(topics.map(({ topic }) => topic)))) topics = await listTopics(db);
    const live = new Set(topics.filter(({ state }) => state !== TopicState.DROPPED).map(({ topic }) => topic));
    for (const topic of live) ownership.want(topic);
    for (const { topic } of topics) if (!live.has(topic)) ownership.forget(topic);
    for (const [topic, actor] of actors) if (live.has(topic)) tell(actor, { kind: 'listed', log: listing.get(topic) });
  }

  /** Rules enable what is new; a topic that was dropped stays dropped until somebody enables it. */
  async function enableByRule(known: ReadonlySet<string>): Promise<boolean> {
    let enabled = false;
    for (const topic of listing.keys()) {
      const rule = known.has(topic) ? undefined : ruleFor(config, topic);
      if (rule === undefined || (enableFailures.get(topic)?.againMs ?? 0) > clock.now()) continue;
      try {
        const { table } = await enableTopic({ ...deps, db, inSource }, { topic, ...rule }, stopped.signal);
        enableFailures.delete(topic);
        enabled = true;
        ledger.notify();
        logger.info({ topic, table }, 'topic enabled by a rule of the configuration');
      } catch (thrown) {
        if (stopped.signal.aborted) throw thrown;
        const error = toMillraceError(thrown, { topic });
        // Another replica has the same rule and was faster.
        if (error.code === 'topic-enabled') continue;
        const told = enableFailures.get(topic)?.error.message === error.message;
        if (!told) logger.error({ topic, error }, 'a rule of the configuration could not enable the topic');
        enableFailures.set(topic, { error, againMs: clock.now() + ENABLE_AGAIN_MS });
      }
    }
    return enabled;
  }

  async function poll(): Promise<void> {
    while (!stopped.signal.aborted) {
      const startedMs = clock.now();
      try {
        await look();
        logger.debug({ ms: clock.now() - startedMs }, 'looked at the log store');
      } catch (thrown) {
        if (stopped.signal.aborted) return;
        const error = toMillraceError(thrown, { store: deps.logStore.uri });
        if (listingError?.message !== error.message) logger.error({ error }, 'the log store could not be listed');
        listingError = errorToDetail(error);
      }
      const restMs = Math.max(config.pollMs, (clock.now() - startedMs) * REST_FACTOR);
      await clock.sleep(restMs, stopped.signal).catch(() => {});
    }
  }

  async function expire(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        for (const outcome of await expireLeases(db, clock.now(), leases)) ended(outcome);
      } catch (error) {
        logger.warn({ error }, 'overdue leases could not be taken back');
      }
      await clock.sleep(EXPIRE_EVERY_MS, stopped.signal).catch(() => {});
    }
  }

  function ended(outcome: SplitOutcome): void {
    count('millrace.leases', 1, { 'millrace.outcome': 'expired' });
    logger.warn({ topic: outcome.topic, suspended: outcome.suspended }, 'a lease ran out');
    changed(outcome.topic, { refresh: true });
    work.notify();
  }

  function changed(topic: string, options: { refresh?: boolean } = {}): void {
    if (stopped.signal.aborted) return;
    ownership.want(topic);
    const actor = actors.get(topic);
    const refresh = options.refresh ?? false;
    if (actor !== undefined) tell(actor, { kind: 'changed', refresh });
    else signals.send(`${refresh ? REFRESHED : CHANGED} ${topic}`);
  }
  signals.listen((message = '') => {
    const [kind, topic = ''] = message.split(' ', 2);
    const actor = actors.get(topic);
    if (actor === undefined || (kind !== CHANGED && kind !== REFRESHED)) return;
    tell(actor, { kind: 'changed', refresh: kind === REFRESHED });
  });

  const loops = [poll(), expire()];

  return {
    ...deps,
    db,
    work,
    ledger,
    leases,
    draining: stopped.signal,
    available: () => [...listing.keys()].sort(),
    inSource,
    sourceError(topic) {
      if (listingError !== undefined || actors.has(topic)) return listingError ?? actors.get(topic)?.state?.sourceError;
      const text = ownership.noteOf(topic) ?? '';
      return text === '' ? undefined : fromJsonString(ErrorDetailSchema, text);
    },
    enableError: (topic) => enableFailures.get(topic)?.error,
    changed,
    look,
    async stop() {
      stopped.abort(new MillraceError('unavailable', 'metadata-discovery is stopping'));
      await Promise.all(loops);
      await ownership.stop();
    },
  };
}
