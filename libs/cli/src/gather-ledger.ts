import type { TableName } from '@millrace/base';
import type { PartitionOffsets } from '@millrace/proto/common';
import type { LedgerVersion } from '@millrace/proto/metadata_discovery';
import type { Session } from './session.ts';
import type { Evidence, Positions, Step } from './verify.ts';

const PAGE_SIZE = 500;

/** The ledger's versions from the oldest that is kept, and its live files. */
export async function gatherLedger(session: Session, table: TableName): Promise<Evidence> {
  const { table: current } = await session.ledger().getTable({ table });
  const steps: Step[] = [];
  for (let after = current!.oldestVersion - 1n, more = true; more; ) {
    const page = await session
      .ledger()
      .listVersions({ table, afterVersion: after, pageSize: PAGE_SIZE, withoutFiles: true });
    for (const version of page.versions) steps.push(stepOf(version));
    after = page.versions.at(-1)?.version ?? after;
    more = page.more && page.versions.length > 0;
  }
  const files = new Map<string, bigint>();
  let version = 0n;
  for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
    const page = await session.ledger().listFiles({ table, version, pageToken, withoutColumns: true });
    version = page.version;
    for (const file of page.files) files.set(file.path, file.recordCount);
    pageToken = page.nextPageToken;
  }
  return { source: 'ledger', steps, files, filesVersion: version, truncated: current!.oldestVersion > 1n };
}

const stepOf = (version: LedgerVersion): Step => ({
  label: `version ${version.version}`,
  ledgerVersion: version.version,
  positions: toPositions(version.positions),
  added: toPositions(version.offsets),
});

const toPositions = (offsets: PartitionOffsets[]): Positions =>
  new Map(offsets.map(({ partition, startOffset, endOffset }) => [partition, [startOffset, endOffset]]));
