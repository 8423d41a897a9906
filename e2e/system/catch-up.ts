import { setTimeout as sleep } from 'node:timers/promises';
import { isKind } from '@millrace/base';
import { listTables, openSession, reportTable, type TableReport } from '@millrace/cli';
import { TableFormat } from '@millrace/proto/common';
import type { Whole } from './whole.ts';

/** One past the last offset of each partition. */
export type Ends = Record<number, number>;

const shownOf = ({ topic, iceberg, delta }: TableReport) =>
  `${topic?.topic} state ${topic?.state} lag ${topic?.lag} pending ${topic?.pendingSplits} ledger ${topic?.ledgerVersion} iceberg ${iceberg?.ledgerVersion} delta ${delta?.ledgerVersion} ${topic?.error?.message ?? ''}`;

/** Every table's report, by topic. */
export async function reports(dataDir: string): Promise<Map<string, TableReport>> {
  const session = openSession({ dataDir });
  try {
    const tables = await listTables(session);
    const all = await Promise.all(tables.map((table) => reportTable(session, table)));
    return new Map(all.map((report) => [report.table.topic, report]));
  } finally {
    session.close();
  }
}

/** Looks until `done` says so of the reports; services that are down meanwhile are waited for. */
export async function waitForReports(
  whole: Whole,
  what: string,
  timeoutMs: number,
  done: (all: Map<string, TableReport>) => boolean,
): Promise<Map<string, TableReport>> {
  const deadline = Date.now() + timeoutMs;
  let last = 'nothing answered';
  while (Date.now() < deadline) {
    try {
      const all = await reports(whole.dataDir);
      if (done(all)) return all;
      last = [...all.values()].map(shownOf).join('\n');
    } catch (error) {
      if (!isKind(error, 'unavailable', 'deadline', 'cancelled')) throw error;
      last = (error as Error).message;
    }
    await sleep(300);
  }
  throw new Error(`${what} did not happen within ${timeoutMs} ms; last seen:\n${last}\n${await whole.report()}`);
}

/** Whether the ledger has every offset below the ends, and both projections stand where the ledger stands. */
export function isCaughtUp(report: TableReport | undefined, ends: Ends): boolean {
  if (report?.topic === undefined || report.topic.pendingSplits > 0) return false;
  const { topic, table, iceberg, delta } = report;
  const committed = new Map(topic.partitions.map(({ partition, committedOffset }) => [partition, committedOffset]));
  const version = topic.ledgerVersion;
  return (
    Object.entries(ends).every(([partition, end]) => (committed.get(Number(partition)) ?? -1n) >= BigInt(end)) &&
    (!table.formats.includes(TableFormat.ICEBERG) || (iceberg?.ledgerVersion ?? -1n) >= version) &&
    (!table.formats.includes(TableFormat.DELTA) || (delta?.ledgerVersion ?? -1n) >= version)
  );
}

export const waitUntilCaughtUp = (whole: Whole, ends: Record<string, Ends>, timeoutMs: number) =>
  waitForReports(whole, 'catching up', timeoutMs, (all) =>
    Object.entries(ends).every(([topic, topicEnds]) => isCaughtUp(all.get(topic), topicEnds)),
  );
