import { systemClock, toMillraceError } from '@millrace/base';
import { listTables, reportTable, type Session, type TableReport } from '@millrace/cli';
import { TableFormat } from '@millrace/proto/common';
import { TopicState } from '@millrace/proto/metadata_discovery';

export interface CatchUp {
  reports: TableReport[];
  /** Rows in tables, and offsets that the source has shown. */
  committed: bigint;
  shown: bigint;
  /** Every table has every offset that its source has shown, in every format; or has stopped with an error. */
  caughtUp: boolean;
}

/** Where every table stands now. */
export async function look(session: Session): Promise<CatchUp> {
  const reports = await Promise.all((await listTables(session)).map((table) => reportTable(session, table)));
  let committed = 0n;
  let shown = 0n;
  for (const { topic } of reports) {
    for (const { startOffset, committedOffset, sourceEndOffset } of topic?.partitions ?? []) {
      committed += committedOffset - startOffset;
      shown += sourceEndOffset - startOffset;
    }
  }
  return { reports, committed, shown, caughtUp: reports.every(isCaughtUp) };
}

function isCaughtUp({ table, topic, iceberg, delta }: TableReport): boolean {
  if (topic === undefined) return false;
  if (topic.state === TopicState.SUSPENDED || topic.state === TopicState.PAUSED) return true;
  if (topic.lag > 0n || topic.pendingSplits > 0) return false;
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
  onLook: (state: CatchUp) => void,
  signal: AbortSignal,
): Promise<CatchUp> {
  for (;;) {
    // A service that has a process of its own may be starting again: that ends nobody's waiting.
    const state = await look(session).catch((error) => {
      if (!toMillraceError(error).retryable) throw error;
      return undefined;
    });
    if (state !== undefined) {
      onLook(state);
      const suspended = state.reports.some(({ topic }) => topic?.state === TopicState.SUSPENDED);
      if (state.caughtUp && (state.shown >= expected || suspended)) return state;
    }
    await systemClock.sleep(250, signal);
  }
}
