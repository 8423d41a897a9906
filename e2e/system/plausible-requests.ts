import { type DescField, type DescMessage, type DescService, ScalarType } from '@bufbuild/protobuf';
import type { ServiceName } from '@millrace/cli';
import { CatalogPublisherService } from '@millrace/proto/catalog_publisher';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { MaintenanceSchedulerService } from '@millrace/proto/maintenance_scheduler';
import { LedgerService, SplitService, TopicService } from '@millrace/proto/metadata_discovery';
import { OwnershipService } from '@millrace/proto/ownership';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { SegmentReaderService } from '@millrace/proto/segment_reader';

/** Every service of proto/, by the process that answers it. */
export const SERVICES: [ServiceName, DescService][] = [
  ['metadata-discovery', TopicService],
  ['metadata-discovery', SplitService],
  ['metadata-discovery', LedgerService],
  ['metadata-discovery', OwnershipService],
  ['segment-reader', SegmentReaderService],
  ['parquet-converter', ParquetConverterService],
  ['iceberg-rest-catalog', IcebergCatalogService],
  ['delta-committer', DeltaCommitterService],
  ['catalog-publisher', CatalogPublisherService],
  ['maintenance-scheduler', MaintenanceSchedulerService],
];

export type Values = Record<string, unknown>;

/** A request that could be meant; tables and topics are the demo's. */
export function plausible(message: DescMessage): Values {
  const values: Values = {};
  for (const field of message.fields) {
    if (field.oneof !== undefined && field.oneof.fields[0] !== field) continue;
    set(values, field, entryOf(field));
  }
  return values;
}

export function set(values: Values, field: DescField, entry: unknown): void {
  const value = field.fieldKind === 'list' ? [entry] : field.fieldKind === 'map' ? { [mapKey(field)]: entry } : entry;
  if (field.oneof === undefined) values[field.localName] = value;
  else values[field.oneof.localName] = { case: field.localName, value };
}

const mapKey = (field: DescField) => (field.fieldKind === 'map' && field.mapKey === ScalarType.STRING ? 'k' : 1);

const TEXTS: Record<string, string> = { namespace: 'demo', name: 'orders', topic: 'orders', location: 'file:///tmp/x' };

export function entryOf(field: DescField): unknown {
  if (field.message !== undefined) return plausible(field.message);
  if (field.enum !== undefined) return field.enum.values.at(1)?.number ?? 0;
  switch (field.scalar) {
    case ScalarType.STRING:
      return TEXTS[field.name] ?? 'x';
    case ScalarType.BYTES:
      return new Uint8Array([1]);
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
      return 1n;
    default:
      return 1;
  }
}
