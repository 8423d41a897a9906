import { createTurns, systemClock, toMillraceError } from '@millrace/base';
import { listTables, reportTable, type Session, type TableReport } from '@millrace/cli';
import { TableFormat } from '@millrace/proto/common';
import { TopicState, type TopicStatus } from '@millrace/proto/metadata_discovery';

const PAGE_SIZE = 500;
const LOOK_MS = 250;
const REST_FACTOR = 4;

export interface CatchUp {
  reports: TableReport[];
  /** Rows in tables, and offsets that the source has shown. */
  committed: bigint;
  shown: bigint;
  /** Every table has every offset that its source has shown, in every format; or has stopped with an error. */
  caughtUp: boolean;
}

const TABLES_AT_A_TIME = 16;

/** Where every table stands now. */
async function look(session: Session): Promise<CatchUp> {
  const turns = createTurns(TABLES_AT_A_TIME);
  const tables = await listTables(session);
  const reports = await Promise.all(tables.map((table) => turns(() => reportTable(session, table))));
  const topics = reports.flatMap(({ topic }) => (topic === undefined ? [] : [topic]));
  return { reports, ...sumOf(topics), caughtUp: reports.every(isCaughtUp) };
}

function sumOf(topics: readonly TopicStatus[]): Pick<CatchUp, 'committed' | 'shown'> {
  let committed = 0n;
  let shown = 0n;
  for (const { startOffset, committedOffset, sourceEndOffset } of topics.flatMap(({ partitions }) => partitions)) {
    committed += committedOffset - startOffset;
    shown += sourceEndOffset - startOffset;
  }
  return { committed, shown };
}

/** How far the ledger is: a question for hundreds of topics, where a look asks three of each. */
async function listProgress(session: Session): Promise<TopicStatus[]> {
  const topics: TopicStatus[] = [];
  for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
    const page = await session.topics().listTopics({ pageSize: PAGE_SIZE, pageToken });
    topics.push(...page.topics);
    pageToken = page.nextPageToken;
  }
  return topics;
}

const isStopped = ({ state }: TopicStatus): boolean => state === TopicState.SUSPENDED || state === TopicState.PAUSED;
const isCommitted = (topic: TopicStatus): boolean =>
  isStopped(topic) || (topic.lag === 0n && topic.pendingSplits === 0);

function isCaughtUp({ table, topic, iceberg, delta }: TableReport): boolean {
  if (topic === undefined) return false;
  if (isStopped(topic)) return true;
  if (!isCommitted(topic)) return false;
  const version = topic.ledgerVersion;
  return (
    (!table.formats.includes(TableFormat.ICEBERG) || (iceberg?.ledgerVersion ?? -1n) >= version) &&
    (!table.formats.includes(TableFormat.DELTA) || (delta?.ledgerVersion ?? -1n) >= version)
  );
}

/** Looks again and again until everything is caught up and at least `expected` offsets were shown. */
export async function waitUntilCaughtUp(
  session: Session,
  expected: bigint,
  onProgress: (committed: bigint, shown: bigint) => void,
  signal: AbortSignal,
): Promise<CatchUp> {
  for (;;) {
    const lookedMs = systemClock.now();
    // A service that has a process of its own may be starting again: that ends nobody's waiting.
    const state = await caughtUp(session, expected, onProgress).catch((error) => {
      if (!toMillraceError(error).retryable) throw error;
      return undefined;
    });
    if (state !== undefined) return state;
    // Thousands of tables are not asked more often than they can answer.
    await systemClock.sleep(Math.max(LOOK_MS, (systemClock.now() - lookedMs) * REST_FACTOR), signal);
  }
}

async function caughtUp(
  session: Session,
  expected: bigint,
  onProgress: (committed: bigint, shown: bigint) => void,
): Promise<CatchUp | undefined> {
  const topics = await listProgress(session);
  const { committed, shown } = sumOf(topics);
  onProgress(committed, shown);
  const suspended = topics.some(({ state }) => state === TopicState.SUSPENDED);
  if (!topics.every(isCommitted) || (shown < expected && !suspended)) return undefined;
  const state = await look(session);
  return state.caughtUp ? state : undefined;
}
