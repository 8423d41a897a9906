import { fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { type Actor, startActor } from '@millrace/actor';
import { type Clock, isKind, MillraceError, toMillraceError } from '@millrace/base';
import type { Database } from '@millrace/database';
import {
  expireLeases,
  type LeaseOptions,
  type LedgerDb,
  type LedgerSchema,
  type SplitOutcome,
  topicActivity,
} from '@millrace/ledger';
import type { ObjectStore } from '@millrace/object-store';
import { checkOwner, type Owned, ownerStore, startOwnership } from '@millrace/ownership';
import { type ErrorDetail, ErrorDetailSchema } from '@millrace/proto/common';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { errorToDetail } from '@millrace/rpc';
import type { SchemaSource } from '@millrace/schema';
import { count, type Logger } from '@millrace/telemetry';
import type { MetadataDiscoveryConfig } from './config.ts';
import { rulesAtWork } from './enable-by-rule.ts';
import { type LogTopic, logSource } from './log-source.ts';
import { segmentReading } from './partition-plan.ts';
import { takeTurns } from './schema-turns.ts';
import { createSignal, type Signal } from './signal.ts';
import { newTopic, receiveTopic, type TopicActorState, type TopicEffect, type TopicMessage } from './topic.ts';
import { topicEffects, type WorkSeen } from './topic-effects.ts';

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
  changed(topic: string, options?: ChangeOptions): void;
  /** Lists the log store now and tells this replica's actors. */
  look(): Promise<void>;
  /** No more plans, calls that wait end, topics are handed over. Leases and converted splits stay in the ledger. */
  stop(): Promise<void>;
}

export interface ChangeOptions {
  /** Waiting splits are to be placed again. */
  refresh?: boolean;
  /** Not a split but the topic itself was changed: there may be something to plan. */
  plan?: boolean;
}

/** A topic that this replica owns, and what its actor was last told of. */
interface OwnedTopic {
  actor: Actor<TopicActorState, TopicMessage>;
  log: LogTopic | undefined | null;
  settings: string;
  /** When its actor was last told of its log. */
  toldMs: number;
  seen: WorkSeen;
}

const RETELL_MS = 60_000;
const EXPIRE_EVERY_MS = 1_000;
/** Listing the log store takes no more than a quarter of the time, as long as it takes less than ten seconds … */
const REST_FACTOR = 3;
const LONGEST_REST_MS = 30_000;
/** … and a few per cent of a core: from look to look so long for each topic. */
const REST_A_TOPIC_MS = 1;
/** What was read of segments is kept for the newest of each partition. */
const SEGMENTS_REMEMBERED = 64;
const FORGET_EVERY_MS = 60_000;
const KIND = 'topic';
const CHANGED = 'topic-changed';
const REFRESHED = 'topic-refreshed';
const ALTERED = 'topic-altered';

/**
 * Looks at the log store again and again, runs one actor for each enabled topic that this replica owns, and takes back
 * overdue leases.
 */
export function runDiscovery(deps: DiscoveryDeps): Discovery {
  const { database, clock, logger, config } = deps;
  const { db, signals } = database;
  const topics = new Map<string, OwnedTopic>();
  const stopped = new AbortController();
  const work = createSignal(signals, 'work');
  const ledger = createSignal(signals, 'ledger');
  const leases = { leaseMs: config.leaseMs, maxAttempts: config.maxAttempts, backoffMs: config.backoffMs };
  const reading = segmentReading(deps.logStore);
  const source = logSource(deps.logStore, clock);
  let listing = new Map<string, LogTopic>();
  let listed = false;
  let looked = { topics: 0, changes: 0, listMs: 0 };
  let listingError: ErrorDetail | undefined;

  const ownership = startOwnership({
    store: ownerStore(database, KIND, clock),
    replica: config.replicaName,
    leaseMs: config.ownerLeaseMs,
    onGained(owned) {
      const topic: OwnedTopic = {
        actor: topicActor(owned, (seen) => {
          topic.seen = seen;
        }),
        log: null,
        settings: '',
        toldMs: 0,
        seen: { unfinished: 0, converted: 0 },
      };
      topics.set(owned.subject, topic);
      if (listed) tellLog(topic, owned.subject);
    },
    async onLost({ subject }) {
      const topic = topics.get(subject);
      topics.delete(subject);
      await topic?.actor.stop();
    },
    clock,
    logger,
  });

  function topicActor(owned: Owned, onSeen: (seen: WorkSeen) => void): Actor<TopicActorState, TopicMessage> {
    const topic = owned.subject;
    const perform = topicEffects(topic, {
      ...{ ...deps, ...config, db, reading, work, ledger, onSeen },
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
        if (message?.kind === 'planned') note(topic, message.sourceError ?? message.schemaError);
        if (message?.kind === 'schemas-followed')
          note(topic, topics.get(topic)?.actor.state?.sourceError ?? message.schemaError);
        return message;
      },
      failed: (effect, error) => {
        if (error.code === 'owner-stale') ownership.look();
        // Another owner of the topic was faster; what it did is in the ledger.
        const logged = isKind(error, 'conflict') ? 'debug' : 'warn';
        logger[logged]({ topic, error }, `could not ${effect.kind}`);
        if (effect.kind === 'commit') return { kind: 'commit-failed', nowMs: clock.now() };
        if (effect.kind === 'schemas')
          return { kind: 'schemas-followed', schemaError: errorToDetail(error.with({ topic })) };
        const detail = errorToDetail(error.with({ topic }));
        if (error.code !== 'owner-stale') note(topic, detail);
        return { kind: 'plan-failed', error: detail };
      },
      onCrash(error) {
        logger.error({ topic, error }, 'defect in the actor of a topic');
        const crashed = topics.get(topic);
        // It starts with nothing: the next look tells it everything.
        if (crashed !== undefined) crashed.log = null;
      },
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
      // A full mailbox: a later poll says it again.
      logger.warn({ error }, 'a topic has too many messages waiting');
    }
  }

  function tellLog(topic: OwnedTopic, name: string): void {
    topic.log = listing.get(name);
    topic.toldMs = clock.now();
    tell(topic.actor, { kind: 'listed', log: topic.log });
  }

  const inSource = (topic: string) => listing.has(topic);
  const rules = rulesAtWork({
    ...{ ...deps, db, inSource },
    onEnabled(topic) {
      ledger.notify();
      // It need not wait for the others.
      ownership.want(topic);
    },
  });

  let lastLook: Promise<unknown> = Promise.resolve();
  /** One look at a time, each begun after it was asked for. */
  function look(): Promise<void> {
    const next = lastLook.then(lookOnce, lookOnce);
    lastLook = next;
    return next;
  }

  /** A topic whose plan went astray, by whatever failed, is looked at again in time. */
  const isLongSince = ({ toldMs }: OwnedTopic) => Math.abs(clock.now() - toldMs) >= RETELL_MS;

  /** Tells the topics that have something to do: what is as it was costs next to nothing, however many there are. */
  async function lookOnce(): Promise<void> {
    const startedMs = clock.now();
    listing = await source.list(stopped.signal);
    const listMs = clock.now() - startedMs;
    listed = true;
    listingError = undefined;
    forgetSegments();
    let all = await topicActivity(db);
    if (await rules.enable(listing.keys(), new Set(all.map(({ topic }) => topic)), stopped.signal))
      all = await topicActivity(db);
    let changes = 0;
    for (const { topic: name, state, settings, unfinished, converted } of all) {
      if (state === TopicState.DROPPED) {
        ownership.forget(name);
        continue;
      }
      ownership.want(name);
      const topic = topics.get(name);
      if (topic === undefined) continue;
      const { actor, seen } = topic;
      const isWaiting = actor.state === undefined || actor.state.left || actor.state.refresh || isLongSince(topic);
      if (isWaiting || topic.log !== listing.get(name) || topic.settings !== settings) {
        changes++;
        tellLog(topic, name);
      } else if (seen.unfinished !== unfinished || seen.converted !== converted) {
        // A signal of another replica may have been missed.
        tell(actor, { kind: 'changed', refresh: false, plan: true });
      }
      topic.settings = settings;
    }
    looked = { topics: all.length, changes, listMs };
  }

  let forgotMs = clock.now();
  function forgetSegments(): void {
    if (clock.now() - forgotMs < FORGET_EVERY_MS) return;
    forgotMs = clock.now();
    const partitions = [...listing.values()].flatMap((log) => [...log.partitions.values()]);
    reading.keepOnly(partitions.flatMap((segments) => segments.slice(-SEGMENTS_REMEMBERED)));
  }

  async function poll(): Promise<void> {
    while (!stopped.signal.aborted) {
      const startedMs = clock.now();
      try {
        await look();
        logger.debug({ ms: clock.now() - startedMs, ...looked }, 'looked at the log store');
      } catch (thrown) {
        if (stopped.signal.aborted) return;
        const error = toMillraceError(thrown, { store: deps.logStore.uri });
        if (listingError?.message !== error.message) logger.error({ error }, 'the log store could not be listed');
        listingError = errorToDetail(error);
      }
      const listRestMs = Math.min(looked.listMs * REST_FACTOR, LONGEST_REST_MS);
      const restMs = Math.max(config.pollMs, listRestMs, looked.topics * REST_A_TOPIC_MS);
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

  function changed(name: string, { refresh = false, plan = false }: ChangeOptions = {}): void {
    if (stopped.signal.aborted) return;
    ownership.want(name);
    const topic = topics.get(name);
    if (topic !== undefined) tell(topic.actor, { kind: 'changed', refresh, plan });
    else signals.send(`${refresh ? REFRESHED : plan ? ALTERED : CHANGED} ${name}`);
  }
  signals.listen((message = '') => {
    const [kind, name = ''] = message.split(' ', 2);
    const topic = topics.get(name);
    if (topic === undefined || (kind !== CHANGED && kind !== REFRESHED && kind !== ALTERED)) return;
    tell(topic.actor, { kind: 'changed', refresh: kind === REFRESHED, plan: kind === ALTERED });
  });

  const askForSchemas = (name: string) => {
    const topic = topics.get(name);
    if (topic !== undefined) tell(topic.actor, { kind: 'schemas-due' });
  };
  const turns = { subjects: () => topics.keys(), ask: askForSchemas, everyMs: config.schemaPollMs, clock };
  const loops = [poll(), expire(), takeTurns(turns, stopped.signal)];

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
      const own = topics.get(topic);
      if (listingError !== undefined || own !== undefined) {
        const state = own?.actor.state;
        return listingError ?? state?.sourceError ?? state?.schemaError;
      }
      const text = ownership.noteOf(topic) ?? '';
      return text === '' ? undefined : fromJsonString(ErrorDetailSchema, text);
    },
    enableError: rules.errorOf,
    changed,
    look,
    async stop() {
      stopped.abort(new MillraceError('unavailable', 'metadata-discovery is stopping'));
      await Promise.all(loops);
      await ownership.stop();
    },
  };
}
