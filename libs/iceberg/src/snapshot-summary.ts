import type { SnapshotSummary } from './table-metadata.ts';

/** The counts of a snapshot's summary (specification, appendix F): this commit's, and the table's totals after it. */
export class SummaryTotals {
  private readonly before: SnapshotSummary | undefined;
  private addedFiles = 0n;
  private addedRecords = 0n;
  private addedBytes = 0n;
  private removedFiles = 0n;
  private removedRecords = 0n;
  private removedBytes = 0n;

  constructor(before: SnapshotSummary | undefined) {
    this.before = before;
  }

  added(records: bigint, bytes: bigint): void {
    this.addedFiles++;
    this.addedRecords += records;
    this.addedBytes += bytes;
  }

  removed(records: bigint, bytes: bigint): void {
    this.removedFiles++;
    this.removedRecords += records;
    this.removedBytes += bytes;
  }

  summary(): Record<string, string> {
    const counts: [string, bigint][] = [
      ['added-data-files', this.addedFiles],
      ['added-records', this.addedRecords],
      ['added-files-size', this.addedBytes],
      ['deleted-data-files', this.removedFiles],
      ['deleted-records', this.removedRecords],
      ['removed-files-size', this.removedBytes],
    ];
    return {
      ...Object.fromEntries(counts.filter(([, count]) => count > 0n).map(([key, count]) => [key, String(count)])),
      ...this.total('total-records', this.addedRecords - this.removedRecords),
      ...this.total('total-data-files', this.addedFiles - this.removedFiles),
      ...this.total('total-files-size', this.addedBytes - this.removedBytes),
      ...this.total('total-delete-files', 0n),
      ...this.total('total-position-deletes', 0n),
      ...this.total('total-equality-deletes', 0n),
    };
  }

  /** A total that the parent does not know stays unknown. */
  private total(key: string, change: bigint): Record<string, string> {
    const before = this.before === undefined ? '0' : this.before[key];
    return before === undefined ? {} : { [key]: String(BigInt(before) + change) };
  }
}
