import { type Clock, MillraceError, systemClock } from '@millrace/base';
import type { Database } from '@millrace/database';
import { type Kysely, PostgresAdapter, sql, type Transaction } from 'kysely';
import type { OwnerSchema } from './owner-migration.ts';

export interface Owned {
  subject: string;
  epoch: number;
}

/** What a replica says of itself, and what it wants. */
export interface RenewRequest {
  replica: string;
  /** Of this process: another one of the same name is told apart. */
  incarnation: string;
  leaseMs: number;
  /** The first time, and after it was told that it is no member: takes over from an earlier process of its name. */
  joining: boolean;
  /** The last time: everything is given up. */
  leaving: boolean;
  /** Should have an owner. Those that are known need not be named again. */
  subjects: readonly string[];
  /** Need no owner any more. */
  forgotten: readonly string[];
  /** No longer worked on here. */
  released: readonly Owned[];
  /** What the owner has to say of a subject, for the others to read; empty: nothing any more. */
  notes: Readonly<Record<string, string>>;
}

export interface Renewed {
  /**
   * member: the lease runs anew. expired: it had run out and others have taken over; join again. superseded: another
   * process lives under this name.
   */
  standing: 'member' | 'expired' | 'superseded';
  /** All that this replica owns now. */
  owned: Owned[];
  /** Of it, what is beyond a fair share: to be released. */
  excess: string[];
  /** The notes of all subjects that have one. */
  notes: Record<string, string>;
}

/** Where replicas of one kind agree on who owns what. */
export interface OwnerStore {
  /** Waits up to `waitMs` for news of the others (until `signal` aborts), then renews. */
  renew(request: RenewRequest, waitMs: number, signal: AbortSignal): Promise<Renewed>;
}

const SIGNAL = 'owners';
const CHUNK = 500;

/** Refuses, inside a transaction, who is not the owner any more: `conflict`, code "owner-stale" (DESIGN.md, I5). */
export async function checkOwner<S extends OwnerSchema>(
  trx: Transaction<S>,
  kind: string,
  { subject, epoch }: Owned,
): Promise<void> {
  const row = await (trx as unknown as Transaction<OwnerSchema>)
    .selectFrom('owners')
    .select(['epoch', 'replica'])
    .where('kind', '=', kind)
    .where('subject', '=', subject)
    .executeTakeFirst();
  if (row?.epoch === epoch && row.replica !== null) return;
  throw new MillraceError(
    'conflict',
    `${kind} ${subject} has another owner by now (epoch ${row?.epoch ?? 'none'}, this replica's was ${epoch})`,
    { code: 'owner-stale', context: { subject, epoch } },
  );
}

/** Of the processes of a kind that live, or whose lease nobody has ended yet. */
export async function liveIncarnations<S extends OwnerSchema>(db: Kysely<S>, kind: string): Promise<string[]> {
  const rows = await (db as unknown as Kysely<OwnerSchema>)
    .selectFrom('owner_replicas')
    .select('incarnation')
    .where('kind', '=', kind)
    .execute();
  return rows.map(({ incarnation }) => incarnation);
}

/** Owners in a database that the replicas share. The lease is measured by the database server's clock where it has one. */
export function ownerStore<S extends OwnerSchema>(
  database: Pick<Database<S>, 'db' | 'signals'>,
  kind: string,
  clock: Clock = systemClock,
): OwnerStore {
  const db = database.db as unknown as Kysely<OwnerSchema>;
  const hasClock = db.getExecutor().adapter instanceof PostgresAdapter;
  const signal = `${SIGNAL} ${kind}`;

  async function nowMs(trx: Kysely<OwnerSchema>): Promise<number> {
    if (!hasClock) return clock.now();
    const { rows } = await sql<{ now: number }>`
      select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(trx);
    return rows[0]!.now;
  }

  const news = (waitMs: number, ended: AbortSignal) =>
    new Promise<void>((resolve) => {
      const end = () => {
        stop();
        ticking.abort();
        ended.removeEventListener('abort', end);
        resolve();
      };
      const ticking = new AbortController();
      clock.sleep(waitMs, ticking.signal).then(end, () => {});
      const stop = database.signals.listen((message) => {
        if (message === undefined || message === signal) end();
      });
      if (ended.aborted) end();
      else ended.addEventListener('abort', end, { once: true });
    });

  return {
    async renew(request, waitMs, ended) {
      if (waitMs > 0) await news(waitMs, ended);
      const quiet = isQuiet(request) ? await renewQuietly(db, kind, request, await nowMs(db)) : undefined;
      if (quiet !== undefined) return quiet;
      const { changed, ...renewed } = await db
        .transaction()
        .execute(async (trx) => renewIn(trx, kind, request, await nowMs(trx)));
      if (changed) database.signals.send(signal);
      return renewed;
    },
  };
}

const isQuiet = ({ joining, leaving, subjects, forgotten, released, notes }: RenewRequest): boolean =>
  !joining && !leaving && subjects.length + forgotten.length + released.length + Object.keys(notes).length === 0;

/**
 * The usual beat, without a transaction: those that write follow one another in a database, and a lease should not wait
 * behind a busy ledger. undefined: something is to be changed.
 */
async function renewQuietly(
  db: Kysely<OwnerSchema>,
  kind: string,
  { replica, incarnation, leaseMs }: RenewRequest,
  nowMs: number,
): Promise<Renewed | undefined> {
  const { numUpdatedRows } = await db
    .updateTable('owner_replicas')
    .set({ expires_ms: nowMs + leaseMs })
    .where('kind', '=', kind)
    .where('replica', '=', replica)
    .where('incarnation', '=', incarnation)
    .where('expires_ms', '>=', nowMs)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) return undefined;
  const replicas = await db.selectFrom('owner_replicas').selectAll().where('kind', '=', kind).execute();
  if (replicas.some((one) => one.expires_ms < nowMs)) return undefined;
  const rows = await db.selectFrom('owners').selectAll().where('kind', '=', kind).orderBy('subject').execute();
  const mine = rows.filter((row) => row.replica === replica);
  const live = replicas.map((one) => one.replica);
  const quota = quotaOf(replica, live, rows.length);
  if (mine.length < quota && rows.some((row) => row.replica === null)) return undefined;
  return answer(rows, mine, quota);
}

const answer = (rows: readonly OwnerSchema['owners'][], mine: readonly Owned[], quota: number): Renewed => ({
  standing: 'member',
  owned: mine.map(({ subject, epoch }) => ({ subject, epoch })),
  excess: mine.slice(quota).map(({ subject }) => subject),
  notes: Object.fromEntries(rows.filter(({ note }) => note !== '').map(({ subject, note }) => [subject, note])),
});

async function renewIn(
  trx: Transaction<OwnerSchema>,
  kind: string,
  request: RenewRequest,
  nowMs: number,
): Promise<Renewed & { changed: boolean }> {
  const { replica, incarnation, joining } = request;
  const replicas = await trx.selectFrom('owner_replicas').selectAll().where('kind', '=', kind).execute();
  const me = replicas.find((one) => one.replica === replica);
  const refused = (standing: Renewed['standing']) => ({ standing, owned: [], excess: [], notes: {}, changed: false });
  if (!joining && me === undefined) return refused('expired');
  if (!joining && me?.incarnation !== incarnation) return refused('superseded');
  const free = (names: readonly string[]) =>
    trx.updateTable('owners').set({ replica: null }).where('kind', '=', kind).where('replica', 'in', names).execute();
  const remove = (names: readonly string[]) =>
    trx.deleteFrom('owner_replicas').where('kind', '=', kind).where('replica', 'in', names).execute();

  // Who is late himself leaves the others the time of a beat: what kept him may have kept them.
  const isLate = joining || me!.expires_ms < nowMs;
  const limit = isLate ? nowMs - request.leaseMs : nowMs;
  const gone = replicas.filter((one) => one.replica !== replica && one.expires_ms < limit).map((one) => one.replica);
  if (request.leaving || joining) gone.push(replica);
  if (gone.length > 0) {
    await free(gone);
    await remove(gone);
  }
  if (!request.leaving) {
    const row = { kind, replica, incarnation, expires_ms: nowMs + request.leaseMs };
    await trx
      .insertInto('owner_replicas')
      .values(row)
      .onConflict((c) => c.columns(['kind', 'replica']).doUpdateSet({ expires_ms: row.expires_ms }))
      .execute();
  }
  const inserted = await changeSubjects(trx, kind, request);
  const rows = await trx.selectFrom('owners').selectAll().where('kind', '=', kind).orderBy('subject').execute();
  const changed = gone.length > 0 || inserted || request.released.length > 0 || Object.keys(request.notes).length > 0;
  if (request.leaving) return { ...refused('member'), changed };
  const live = [
    ...replicas.map((one) => one.replica).filter((name) => !gone.includes(name) && name !== replica),
    replica,
  ];
  const mine = rows.filter((row) => row.replica === replica);
  const quota = quotaOf(replica, live, rows.length);
  const claimed = rows.filter((row) => row.replica === null).slice(0, Math.max(quota - mine.length, 0));
  for (const row of claimed) {
    // Never the same epoch twice, also when the row is made again.
    row.epoch = Math.max(row.epoch + 1, nowMs);
    mine.push(row);
  }
  await takeAll(trx, kind, replica, claimed);
  return { ...answer(rows, mine, quota), changed };
}

/** An equal share for each; what is left over goes to the first by name. */
function quotaOf(replica: string, live: readonly string[], subjects: number): number {
  const rank = live.filter((other) => other < replica).length;
  return Math.floor(subjects / live.length) + (rank < subjects % live.length ? 1 : 0);
}

const chunks = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, i) => items.slice(i * CHUNK, (i + 1) * CHUNK));

/** Most share an epoch: few statements change many. */
const byEpoch = (all: readonly Owned[]): [number, string[]][] =>
  [...Map.groupBy(all, ({ epoch }) => epoch)].flatMap(([epoch, owned]) =>
    chunks(owned.map(({ subject }) => subject)).map((some): [number, string[]] => [epoch, some]),
  );

async function changeSubjects(trx: Transaction<OwnerSchema>, kind: string, request: RenewRequest): Promise<boolean> {
  const { subjects, forgotten, released, notes, replica } = request;
  let changed = 0n;
  for (const [epoch, some] of byEpoch(released)) {
    await trx
      .updateTable('owners')
      .set({ replica: null })
      .where('kind', '=', kind)
      .where('subject', 'in', some)
      .where('epoch', '=', epoch)
      .where('replica', '=', replica)
      .execute();
  }
  for (const some of chunks(forgotten)) {
    const { numDeletedRows } = await trx
      .deleteFrom('owners')
      .where('kind', '=', kind)
      .where('subject', 'in', some)
      .executeTakeFirst();
    changed += numDeletedRows;
  }
  for (const some of chunks(subjects)) {
    const { numInsertedOrUpdatedRows = 0n } = await trx
      .insertInto('owners')
      .values(some.map((subject) => ({ kind, subject, replica: null, epoch: 0, note: '' })))
      .onConflict((c) => c.doNothing())
      .executeTakeFirstOrThrow();
    changed += numInsertedOrUpdatedRows;
  }
  for (const [subject, note] of Object.entries(notes)) {
    await trx
      .updateTable('owners')
      .set({ note })
      .where('kind', '=', kind)
      .where('subject', '=', subject)
      .where('replica', '=', replica)
      .execute();
  }
  return changed > 0n;
}

async function takeAll(
  trx: Transaction<OwnerSchema>,
  kind: string,
  replica: string,
  claimed: readonly Owned[],
): Promise<void> {
  for (const [epoch, some] of byEpoch(claimed)) {
    await trx
      .updateTable('owners')
      .set({ replica, epoch, note: '' })
      .where('kind', '=', kind)
      .where('subject', 'in', some)
      .execute();
  }
}
