import type { DataFile, PartitionOffsets } from '@millrace/proto/common';
import type { LedgerTable, LedgerVersion } from '@millrace/proto/metadata_discovery';

/** Where a projected table stands, as the table itself says (I3). */
export interface ProjectionPosition {
  ledgerVersion: bigint;
  /** False after `disable`: the table is readable and no longer followed. */
  enabled: boolean;
}

/** A table's whole content at one ledger version. */
export interface LedgerState {
  version: bigint;
  tableSchemaJson: string;
  positions: PartitionOffsets[];
  /** Pages of live files. */
  files: AsyncIterable<DataFile[]>;
}

/**
 * One table format's side of the ledger. Every call is idempotent, is made by one actor a table, and must be safe when
 * another process makes the same call at the same time (I5): compare-and-swap in the table decides, the loser throws
 * `conflict` and is called again with what `position` then says.
 */
export interface ProjectionTarget {
  /** undefined: there is no such table. Read from the table, never from memory. */
  position(table: LedgerTable): Promise<ProjectionPosition | undefined>;
  /** Makes the table (or brings a disabled or lagging one) to exactly this state in one commit. */
  rebuild(table: LedgerTable, state: LedgerState): Promise<void>;
  /** Commits the version that follows the table's position, carrying its number and offsets. */
  apply(table: LedgerTable, version: LedgerVersion): Promise<void>;
  /**
   * Ends the projection at its position: retention set to ten years, nothing rewritten. `version` is the one that switched
   * the format off: a table that shows it or a later one has been switched on again since and stays.
   */
  disable(table: LedgerTable, version: bigint): Promise<void>;
  /** The topic was dropped: withdraw the table from the catalog; with `table.purge` delete this format's metadata too. */
  drop(table: LedgerTable): Promise<void>;
}
