import { formatTableName, isKind, type TableName } from '@millrace/base';
import type { DescribeDeltaResponse } from '@millrace/proto/delta_committer';
import type { DescribeIcebergResponse } from '@millrace/proto/iceberg_rest_catalog';
import type { LedgerTable, TopicStatus } from '@millrace/proto/metadata_discovery';
import { bytes, count, renderTable } from './output.ts';
import type { Session } from './session.ts';
import { formatNames } from './words.ts';

/** A table as the ledger and both formats tell of it. A format is undefined when its service did not answer. */
export interface TableReport {
  table: LedgerTable;
  topic: TopicStatus | undefined;
  iceberg: DescribeIcebergResponse | undefined;
  delta: DescribeDeltaResponse | undefined;
}

const PAGE_SIZE = 500;

export async function listTables(session: Session): Promise<LedgerTable[]> {
  const tables: LedgerTable[] = [];
  for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
    const page = await session.ledger().listTables({ pageSize: PAGE_SIZE, pageToken });
    tables.push(...page.tables);
    pageToken = page.nextPageToken;
  }
  return tables.sort((a, b) => (formatTableName(a.table!) < formatTableName(b.table!) ? -1 : 1));
}

export async function reportTable(session: Session, table: LedgerTable): Promise<TableReport> {
  const ref = table.table!;
  const [topic, iceberg, delta] = await Promise.all([
    session
      .topics()
      .describeTopic({ topic: table.topic })
      .then(({ status }) => status, unlessGone),
    session.knows('iceberg-rest-catalog')
      ? session.iceberg().describeIceberg({ table: ref }).catch(unlessGone)
      : undefined,
    session.knows('delta-committer') ? session.delta().describeDelta({ table: ref }).catch(unlessGone) : undefined,
  ]);
  return { table, topic, iceberg, delta };
}

function unlessGone(error: unknown): undefined {
  if (isKind(error, 'not-found', 'unavailable', 'deadline')) return undefined;
  throw error;
}

export const TABLE_HEADINGS = [
  'table',
  'formats',
  'rows',
  'files',
  'bytes',
  'Iceberg snapshot',
  'Delta version',
  'lag',
];

export function tableRow({ table, topic, iceberg, delta }: TableReport): string[] {
  return [
    formatTableName(table.table as TableName),
    formatNames(table.formats),
    count(topic?.recordCount ?? 0n),
    count(topic?.fileCount ?? 0n),
    bytes(topic?.sizeBytes ?? 0n),
    iceberg === undefined ? '?' : iceberg.exists ? String(iceberg.snapshotId) : '–',
    delta === undefined ? '?' : delta.exists ? String(delta.deltaVersion) : '–',
    count(topic?.lag ?? 0n),
  ];
}

/** The table of tables that `npm start` shows once it has caught up. */
export const renderReports = (reports: TableReport[]): string => renderTable(TABLE_HEADINGS, reports.map(tableRow));
