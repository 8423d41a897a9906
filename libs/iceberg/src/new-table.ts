import { randomUUID } from 'node:crypto';
import { applyUpdates } from './apply-updates.ts';
import { type PartitionSpec, remapSources, type SortOrder } from './partitioning.ts';
import { assignFreshIds, type SchemaJson } from './schema-json.ts';
import type { TableMetadata } from './table-metadata.ts';
import type { TableUpdate } from './updates.ts';

export interface NewTable {
  schema: SchemaJson;
  spec?: PartitionSpec | undefined;
  order?: SortOrder | undefined;
  location: string;
  properties?: Record<string, string> | undefined;
  /** Default 2. */
  formatVersion?: number | undefined;
  uuid?: string | undefined;
  /** Keeps the schema's field ids, which data files may already carry; otherwise they are given anew, from 1 on. */
  keepIds?: boolean;
}

/** The first metadata of a table: schema 0, spec 0, no snapshot. */
export function newTableMetadata(table: NewTable, nowMs: number): TableMetadata {
  const { schema, newIds } = table.keepIds
    ? { schema: table.schema, newIds: new Map<number, number>() }
    : assignFreshIds(table.schema);
  const updates: TableUpdate[] = [
    { action: 'assign-uuid', uuid: table.uuid ?? randomUUID() },
    { action: 'upgrade-format-version', 'format-version': table.formatVersion ?? 2 },
    { action: 'set-location', location: table.location },
    { action: 'add-schema', schema },
    { action: 'set-current-schema', 'schema-id': -1 },
  ];
  if (table.spec !== undefined) {
    // Partition field ids of a new table are the table's to give, like those of its columns.
    const fields = remapSources(table.spec.fields, newIds).map(({ 'field-id': _, ...field }) => field);
    updates.push({ action: 'add-spec', spec: { 'spec-id': 0, fields } });
  }
  if (table.order !== undefined) {
    const fields = remapSources(table.order.fields, newIds);
    updates.push({ action: 'add-sort-order', 'sort-order': { 'order-id': 1, fields } });
  }
  if (table.properties !== undefined) updates.push({ action: 'set-properties', updates: table.properties });
  return applyUpdates(undefined, updates, nowMs);
}
