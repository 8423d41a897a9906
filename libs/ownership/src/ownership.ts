import { randomBytes } from 'node:crypto';
import { type Clock, systemClock, toMillraceError } from '@millrace/base';
import type { Logger } from '@millrace/telemetry';
import type { Owned, OwnerStore, Renewed, RenewRequest } from './owner-store.ts';

export interface OwnershipOptions {
  store: OwnerStore;
  replica: string;
  leaseMs: number;
  /** This replica's from now on. */
  onGained: (owned: Owned) => void;
  /**
   * No longer this replica's: resolves when nothing is done to it any more. Only then another one takes it, unless it may
   * have by now (`isTaken`).
   */
  onLost: (owned: Owned, isTaken: boolean) => Promise<void>;
  clock?: Clock;
  logger: Logger;
}

/** What this replica of a service works on, among the subjects of its kind. */
export interface Ownership {
  /** Names this process among the live ones (`liveIncarnations`), once it is one; anew after its lease had run out. */
  member(): Promise<string>;
  /** The subject should have an owner. Answers whether that is new to this replica. */
  want(subject: string): boolean;
  /** It needs none any more, and this replica does nothing to it. */
  forget(subject: string): void;
  /** Forgets it here and leaves it to its owner. */
  unwant(subject: string): void;
  /** The epoch under which this replica owns it; undefined: another one does, nobody, or the lease has run out unrenewed. */
  epochOf(subject: string): number | undefined;
  /** Says something of an owned subject to the other replicas; empty: nothing any more. */
  note(subject: string, text: string): void;
  /** What its owner said last. */
  noteOf(subject: string): string | undefined;
  /** Looks at once: a write was refused, say. */
  look(): void;
  /** Resolves once the lease has been renewed, and what was wanted by now is known to the store; or at the stop. */
  settled(): Promise<void>;
  /** Ends work on everything and hands it over. */
  stop(): Promise<void>;
}

/** So many beats fit into a lease. */
const BEATS = 5;
const LEAST_PAUSE_MS = 20;
const RETRY_MS = 500;
/** Told at a time: what is beyond is told next. */
const MOST_SUBJECTS = 5_000;

/**
 * Keeps this replica's lease and follows what it owns. Ownership is speed: two may believe for a moment that they own a
 * subject (one stood still while its lease ran out), so every write is a compare-and-swap or checked by `checkOwner`.
 * As long as the store does not answer, what is owned stays owned.
 */
export function startOwnership(options: OwnershipOptions): Ownership {
  const { store, leaseMs, clock = systemClock, logger } = options;
  const held = new Map<string, Owned>();
  /** Subjects whose work ends. */
  const ending = new Map<string, Promise<void>>();
  const wanted = new Set<string>();
  const unsent = { subjects: new Set<string>(), forgotten: new Set<string>(), notes: new Map<string, string>() };
  let released: Owned[] = [];
  let notes: Record<string, string> = {};
  let replica = options.replica;
  let incarnation = randomBytes(6).toString('hex');
  let joining = true;
  let renewedMs = Number.NEGATIVE_INFINITY;
  /** Something is to be told or asked now. */
  let woken = true;
  let settling: (() => void)[] = [];
  let awake = new AbortController();
  const stopped = new AbortController();

  const wake = () => {
    woken = true;
    awake.abort();
  };
  const beatMs = Math.floor(leaseMs / BEATS);

  function lose(owned: Owned, release: boolean): Promise<void> {
    const { subject } = owned;
    const running = ending.get(subject);
    if (running !== undefined) return running;
    const end = options
      .onLost(owned, !release)
      .catch((error) => logger.error({ error: toMillraceError(error), subject }, 'work did not end cleanly'))
      .then(() => {
        ending.delete(subject);
        held.delete(subject);
        if (release) released.push(owned);
        wake();
      });
    ending.set(subject, end);
    return end;
  }

  function follow(renewed: Renewed): void {
    notes = renewed.notes;
    const excess = new Set(renewed.excess);
    const owned = new Map(renewed.owned.map((one) => [one.subject, one]));
    for (const one of held.values()) if (owned.get(one.subject)?.epoch !== one.epoch) void lose(one, false);
    for (const one of owned.values()) {
      if (excess.has(one.subject)) {
        if (held.has(one.subject)) void lose(one, true);
        else released.push(one);
      } else if (!held.has(one.subject) && !ending.has(one.subject)) {
        held.set(one.subject, one);
        options.onGained(one);
      }
    }
    if (released.length > 0) wake();
  }

  function request(leaving: boolean): RenewRequest {
    return {
      replica,
      incarnation,
      leaseMs,
      joining,
      leaving,
      subjects: [...unsent.subjects].slice(0, MOST_SUBJECTS),
      forgotten: [...unsent.forgotten].slice(0, MOST_SUBJECTS),
      released: released.slice(0, MOST_SUBJECTS),
      notes: Object.fromEntries(unsent.notes),
    };
  }

  function sent({ subjects, forgotten, released: gone, notes: told }: RenewRequest): void {
    for (const subject of subjects) unsent.subjects.delete(subject);
    for (const subject of forgotten) unsent.forgotten.delete(subject);
    for (const [subject, text] of Object.entries(told))
      if (unsent.notes.get(subject) === text) unsent.notes.delete(subject);
    const taken = new Set(gone);
    released = released.filter((one) => !taken.has(one));
    if (unsent.subjects.size + unsent.forgotten.size + released.length > 0) wake();
  }

  function rejoin(standing: Renewed['standing']): void {
    logger.warn({ replica, standing, owned: held.size }, 'the lease of this replica has ended; it joins again');
    for (const one of held.values()) void lose(one, false);
    // Two processes of one name would take it from each other for ever.
    if (standing === 'superseded') replica = `${options.replica}-${incarnation}`;
    incarnation = randomBytes(6).toString('hex');
    joining = true;
    released = [];
    for (const subject of wanted) unsent.subjects.add(subject);
    wake();
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopped.signal.aborted) {
      const startedMs = clock.now();
      const asked = request(false);
      const waitMs = woken ? 0 : beatMs;
      woken = false;
      awake = new AbortController();
      const settled = settling;
      settling = [];
      try {
        const renewed = await store.renew(asked, waitMs, AbortSignal.any([awake.signal, stopped.signal]));
        renewedMs = clock.now();
        failures = 0;
        if (stopped.signal.aborted) {
          settling.unshift(...settled);
          return;
        }
        sent(asked);
        if (renewed.standing !== 'member') rejoin(renewed.standing);
        else {
          joining = false;
          follow(renewed);
          for (const resolve of settled.splice(0)) resolve();
        }
      } catch (thrown) {
        if (stopped.signal.aborted) {
          settling.unshift(...settled);
          return;
        }
        const reason = toMillraceError(thrown).message;
        if (failures++ === 0) logger.warn({ replica, reason }, 'the lease of this replica is not renewed');
        woken = true;
        await clock.sleep(RETRY_MS, stopped.signal).catch(() => {});
      }
      settling.unshift(...settled);
      if (clock.now() - startedMs < LEAST_PAUSE_MS) await clock.sleep(LEAST_PAUSE_MS, stopped.signal).catch(() => {});
    }
  }
  const running = run();
  const isRenewed = () => clock.now() - renewedMs < leaseMs;
  const settled = () =>
    new Promise<void>((resolve) => {
      if (stopped.signal.aborted) return resolve();
      settling.push(resolve);
      wake();
    });

  return {
    async member() {
      if (joining || !isRenewed()) await settled();
      return incarnation;
    },
    want(subject) {
      if (wanted.has(subject)) return false;
      wanted.add(subject);
      unsent.forgotten.delete(subject);
      unsent.subjects.add(subject);
      wake();
      return true;
    },
    forget(subject) {
      if (!wanted.delete(subject) && !held.has(subject)) return;
      unsent.subjects.delete(subject);
      unsent.forgotten.add(subject);
      wake();
    },
    unwant(subject) {
      wanted.delete(subject);
      unsent.subjects.delete(subject);
    },
    epochOf(subject) {
      return isRenewed() && !ending.has(subject) ? held.get(subject)?.epoch : undefined;
    },
    note(subject, text) {
      if ((unsent.notes.get(subject) ?? notes[subject] ?? '') === text || !held.has(subject)) return;
      unsent.notes.set(subject, text);
      wake();
    },
    noteOf: (subject) => unsent.notes.get(subject) ?? notes[subject],
    look: wake,
    settled,
    async stop() {
      stopped.abort();
      await running;
      for (const resolve of settling.splice(0)) resolve();
      await Promise.all([...held.values()].map((one) => lose(one, false)));
      if (joining) return;
      await store
        .renew(request(true), 0, new AbortController().signal)
        .catch((error) => logger.warn({ reason: toMillraceError(error).message }, 'the work could not be handed over'));
    },
  };
}
