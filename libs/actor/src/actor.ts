import { type Clock, isKind, MillraceError, systemClock, toMillraceError } from '@millrace/base';
import { detached, observeProcessWide } from '@millrace/telemetry';
import { type Scheduler, systemScheduler } from './scheduler.ts';

/** What one message leads to: the next state, and what is to be done about it. */
export interface Step<S, E> {
  state: S;
  effects: E[];
}

/**
 * What must have one owner: a topic, a table, an integration. `receive` is pure and synchronous; whatever waits is an
 * effect, whose answer is a message. Time, too, arrives as a message (an effect that sleeps).
 */
export interface ActorOptions<S, M, E> {
  /** For errors and logs: "delta demo.orders". */
  name: string;
  /** Recovers the state from the ledger or the table: at the start, and again after a defect in `receive`. */
  recover: () => Promise<Step<S, E>>;
  receive: (state: S, message: M) => Step<S, E>;
  /** Does one effect. `signal` aborts when the actor stops. */
  perform: (effect: E, signal: AbortSignal) => Promise<M | undefined>;
  /** The message that tells of an effect that threw. */
  failed: (effect: E, error: MillraceError) => M;
  /** Messages that may wait; more are refused with `exhausted`. Default 1,000. */
  mailboxLimit?: number;
  /** Told of failures of `recover` and `receive`, which restart the actor. */
  onCrash?: (error: MillraceError) => void;
  clock?: Clock;
  scheduler?: Scheduler;
}

export interface Actor<S, M> {
  readonly name: string;
  /** The state after the last message; undefined until it has been recovered. */
  readonly state: S | undefined;
  /** Throws `exhausted` when the mailbox is full, `unavailable` after `stop`. */
  tell(message: M): void;
  /** No more messages; running effects are aborted and awaited. */
  stop(): Promise<void>;
}

const MAILBOX_LIMIT = 1_000;
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;

/** Of every actor that runs. */
const mailboxes = new Set<readonly unknown[]>();
observeProcessWide(['millrace.actors', 'millrace.actor.messages', 'millrace.actor.messages.max'], (report) => {
  report('millrace.actors', mailboxes.size);
  for (const { length } of mailboxes) {
    report('millrace.actor.messages', length);
    report('millrace.actor.messages.max', length);
  }
});

export function startActor<S, M, E>(options: ActorOptions<S, M, E>): Actor<S, M> {
  const { name, mailboxLimit = MAILBOX_LIMIT, clock = systemClock, scheduler = systemScheduler } = options;
  const mailbox: M[] = [];
  mailboxes.add(mailbox);
  const running = new Set<Promise<void>>();
  const stopped = new AbortController();
  let state: S | undefined;
  let restarts = 0;
  let scheduled = false;

  function track(work: Promise<void>): void {
    running.add(work);
    void work.finally(() => running.delete(work));
  }

  async function recover(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        advance(await options.recover());
        return;
      } catch (error) {
        crashed(error);
        await clock
          .sleep(Math.min(FIRST_RESTART_MS * 2 ** restarts++, LAST_RESTART_MS), stopped.signal)
          .catch(() => {});
      }
    }
  }

  function advance(step: Step<S, E>): void {
    state = step.state;
    for (const effect of step.effects) track(perform(effect));
    schedule();
  }

  async function perform(effect: E): Promise<void> {
    let message: M | undefined;
    try {
      // Not in the trace of whoever told the actor last: what it does, it does for all of them.
      message = await detached(() => options.perform(effect, stopped.signal));
    } catch (error) {
      if (stopped.signal.aborted) return;
      message = options.failed(effect, toMillraceError(error));
    }
    // An effect's answer is never refused: it was asked for.
    if (message !== undefined && !stopped.signal.aborted) {
      mailbox.push(message);
      schedule();
    }
  }

  function schedule(): void {
    if (scheduled || state === undefined || mailbox.length === 0) return;
    scheduled = true;
    scheduler.deliver(() => {
      scheduled = false;
      if (stopped.signal.aborted || state === undefined || mailbox.length === 0) return;
      const message = mailbox.shift()!;
      try {
        advance(options.receive(state, message));
        restarts = 0;
      } catch (error) {
        crashed(error);
        state = undefined;
        track(recover());
      }
    });
  }

  function crashed(error: unknown): void {
    if (!stopped.signal.aborted && !isKind(error, 'cancelled'))
      options.onCrash?.(toMillraceError(error, { actor: name }));
  }

  track(recover());

  return {
    name,
    get state() {
      return state;
    },
    tell(message) {
      if (stopped.signal.aborted)
        throw new MillraceError('unavailable', `${name} is stopping`, { code: 'actor-stopped' });
      if (mailbox.length >= mailboxLimit) {
        throw new MillraceError('exhausted', `${name} has ${mailboxLimit} messages waiting: try again later`, {
          code: 'mailbox-full',
        });
      }
      mailbox.push(message);
      schedule();
    },
    async stop() {
      stopped.abort(new MillraceError('cancelled', `${name} is stopping`));
      mailboxes.delete(mailbox);
      while (running.size > 0) await Promise.allSettled(running);
    },
  };
}
