import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { MillraceError } from '@millrace/base';
import {
  bindSpec,
  checkOrder,
  checkSpec,
  compatibleSpecs,
  LAST_PARTITION_ID,
  type PartitionSpec,
  type SortOrder,
  sameOrder,
  UNPARTITIONED,
  UNSORTED,
} from './partitioning.ts';
import { checkSchema, highestFieldId, type SchemaJson, sameSchema } from './schema-json.ts';
import { applySnapshotUpdate, type SnapshotUpdate, trimSnapshotLog } from './snapshot-updates.ts';
import { currentSchema, MAX_FORMAT_VERSION, type TableMetadata } from './table-metadata.ts';
import type { TableUpdate } from './updates.ts';

/** What one commit has done so far: where -1 points, and which snapshots are new. */
export interface CommitProgress {
  metadata: TableMetadata;
  lastSchemaId?: number;
  lastSpecId?: number;
  lastOrderId?: number;
  addedSnapshots: Set<bigint>;
  removedSnapshots: boolean;
  /** The time of what was changed last, when a snapshot gives it. */
  updatedMs?: number;
  nowMs: number;
}

/**
 * The metadata after the updates, in their order; `base` undefined starts a new table (its updates must name schema and
 * location). Pure: `base` stays as it is. Errors are `invalid`. The metadata log is the caller's affair
 * (`withPreviousMetadata`), because only it knows where `base` was read from.
 */
export function applyUpdates(base: TableMetadata | undefined, updates: TableUpdate[], nowMs: number): TableMetadata {
  const progress: CommitProgress = {
    metadata: base === undefined ? blankMetadata(updates) : { ...base },
    addedSnapshots: new Set(),
    removedSnapshots: false,
    nowMs,
  };
  for (const update of updates) applyUpdate(progress, update);
  const { metadata } = progress;
  if (base === undefined) completeNewTable(metadata);
  if (base !== undefined && isDeepStrictEqual(base, metadata)) return base;
  trimSnapshotLog(progress);
  metadata['last-updated-ms'] = progress.updatedMs ?? nowMs;
  return metadata;
}

function blankMetadata(updates: TableUpdate[]): TableMetadata {
  // The format version is needed to judge the schema that comes before or after it.
  const version = updates.find((update) => update.action === 'upgrade-format-version');
  return {
    'format-version': version?.['format-version'] ?? 2,
    'table-uuid': '',
    location: '',
    'last-sequence-number': 0,
    'last-updated-ms': 0,
    'last-column-id': 0,
    'current-schema-id': -1,
    schemas: [],
    'default-spec-id': -1,
    'partition-specs': [],
    'last-partition-id': LAST_PARTITION_ID,
    'default-sort-order-id': -1,
    'sort-orders': [],
    properties: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    refs: {},
    ...((version?.['format-version'] ?? 2) >= 3 ? { 'next-row-id': 0 } : {}),
  };
}

function completeNewTable(metadata: TableMetadata): void {
  if (metadata.location === '') throw invalid('a new table needs a location');
  if (metadata.schemas.length === 0) throw invalid('a new table needs a schema');
  if (metadata['table-uuid'] === '') metadata['table-uuid'] = randomUUID();
  if (metadata['current-schema-id'] < 0) metadata['current-schema-id'] = metadata.schemas.at(-1)!['schema-id'];
  if (metadata['partition-specs'].length === 0) metadata['partition-specs'] = [UNPARTITIONED];
  if (metadata['default-spec-id'] < 0) metadata['default-spec-id'] = metadata['partition-specs'].at(-1)!['spec-id'];
  if (metadata['sort-orders'].length === 0) metadata['sort-orders'] = [UNSORTED];
  if (metadata['default-sort-order-id'] < 0) {
    metadata['default-sort-order-id'] = metadata['sort-orders'].at(-1)!['order-id'];
  }
}

function applyUpdate(progress: CommitProgress, update: TableUpdate): void {
  const { metadata } = progress;
  switch (update.action) {
    case 'assign-uuid':
      assignUuid(metadata, update.uuid);
      return;
    case 'upgrade-format-version':
      upgrade(metadata, update['format-version']);
      return;
    case 'add-schema':
      addSchema(progress, update.schema);
      return;
    case 'set-current-schema':
      setCurrentSchema(progress, update['schema-id']);
      return;
    case 'add-spec':
      addSpec(progress, update.spec);
      return;
    case 'set-default-spec':
      metadata['default-spec-id'] = known(
        metadata['partition-specs'].map((spec) => spec['spec-id']),
        update['spec-id'],
        progress.lastSpecId,
        'partition spec',
      );
      return;
    case 'add-sort-order':
      addOrder(progress, update['sort-order']);
      return;
    case 'set-default-sort-order':
      metadata['default-sort-order-id'] = known(
        metadata['sort-orders'].map((order) => order['order-id']),
        update['sort-order-id'],
        progress.lastOrderId,
        'sort order',
      );
      return;
    case 'set-location':
      metadata.location = update.location.replace(/(?<=[^/])\/+$/, '');
      return;
    case 'set-properties':
      metadata.properties = { ...metadata.properties, ...update.updates };
      return;
    case 'remove-properties':
      metadata.properties = Object.fromEntries(
        Object.entries(metadata.properties).filter(([key]) => !update.removals.includes(key)),
      );
      return;
    case 'remove-schemas':
      if (update['schema-ids'].includes(metadata['current-schema-id'])) {
        throw invalid(`Cannot remove current schema: ${metadata['current-schema-id']}`);
      }
      metadata.schemas = metadata.schemas.filter((schema) => !update['schema-ids'].includes(schema['schema-id']));
      return;
    case 'remove-partition-specs':
      if (update['spec-ids'].includes(metadata['default-spec-id'])) {
        throw invalid(`Cannot remove the default partition spec: ${metadata['default-spec-id']}`);
      }
      metadata['partition-specs'] = metadata['partition-specs'].filter(
        (spec) => !update['spec-ids'].includes(spec['spec-id']),
      );
      return;
    default:
      applySnapshotUpdate(progress, update satisfies SnapshotUpdate);
  }
}

function assignUuid(metadata: TableMetadata, uuid: string): void {
  if (metadata['table-uuid'] !== '' && metadata['table-uuid'] !== uuid) {
    throw invalid(`Cannot reassign the UUID of a table: ${metadata['table-uuid']}`);
  }
  metadata['table-uuid'] = uuid;
}

function upgrade(metadata: TableMetadata, version: number): void {
  if (!Number.isInteger(version) || version < 1 || version > MAX_FORMAT_VERSION) {
    throw invalid(
      `Cannot upgrade table to unsupported format version: v${version} (supported: v${MAX_FORMAT_VERSION})`,
    );
  }
  if (version < metadata['format-version']) {
    throw invalid(`Cannot downgrade v${metadata['format-version']} table to v${version}`);
  }
  if (version >= 3) metadata['next-row-id'] ??= 0;
  metadata['format-version'] = version;
}

function addSchema(progress: CommitProgress, schema: SchemaJson): void {
  const { metadata } = progress;
  checkSchema(schema, metadata['format-version']);
  const same = metadata.schemas.find((other) => sameSchema(other, schema));
  if (same !== undefined) {
    progress.lastSchemaId = same['schema-id'];
    return;
  }
  const id = metadata.schemas.reduce((highest, other) => Math.max(highest, other['schema-id'] + 1), 0);
  metadata.schemas = [...metadata.schemas, { ...schema, 'schema-id': id }];
  metadata['last-column-id'] = Math.max(metadata['last-column-id'], highestFieldId(schema));
  progress.lastSchemaId = id;
}

function setCurrentSchema(progress: CommitProgress, wanted: number): void {
  const { metadata } = progress;
  metadata['current-schema-id'] = known(
    metadata.schemas.map((schema) => schema['schema-id']),
    wanted,
    progress.lastSchemaId,
    'schema',
  );
}

function addSpec(progress: CommitProgress, spec: PartitionSpec): void {
  const { metadata } = progress;
  checkSpec(spec, newestSchema(progress));
  const bound = bindSpec(spec, metadata['partition-specs'], metadata['last-partition-id']);
  const same = metadata['partition-specs'].find((other) => compatibleSpecs(other, bound));
  if (same !== undefined) {
    progress.lastSpecId = same['spec-id'];
    return;
  }
  const id = metadata['partition-specs'].reduce((highest, other) => Math.max(highest, other['spec-id'] + 1), 0);
  metadata['partition-specs'] = [...metadata['partition-specs'], { ...bound, 'spec-id': id }];
  const ids = bound.fields.map((field) => field['field-id']!);
  metadata['last-partition-id'] = Math.max(metadata['last-partition-id'], ...ids);
  progress.lastSpecId = id;
}

function addOrder(progress: CommitProgress, order: SortOrder): void {
  const { metadata } = progress;
  checkOrder(order, newestSchema(progress));
  const same = metadata['sort-orders'].find((other) => sameOrder(other, order));
  // Order 0 is always the unsorted one.
  const id =
    same?.['order-id'] ??
    (order.fields.length === 0
      ? 0
      : metadata['sort-orders'].reduce((highest, other) => Math.max(highest, other['order-id'] + 1), 1));
  if (same === undefined) metadata['sort-orders'] = [...metadata['sort-orders'], { ...order, 'order-id': id }];
  progress.lastOrderId = id;
}

/** Specs and orders are judged by the schema that will be current: a client may set it after it adds them. */
function newestSchema({ metadata, lastSchemaId }: CommitProgress): SchemaJson {
  const added = metadata.schemas.find((schema) => schema['schema-id'] === lastSchemaId);
  if (added === undefined && metadata.schemas.length === 0) throw invalid('add-schema must come before this update');
  return added ?? currentSchema(metadata);
}

function known(ids: number[], wanted: number, last: number | undefined, what: string): number {
  const id = wanted === -1 ? last : wanted;
  if (id === undefined) throw invalid(`Cannot set last added ${what}: no ${what} has been added`);
  if (!ids.includes(id)) throw invalid(`Cannot set current ${what} to unknown ${what}: ${id}`);
  return id;
}

const invalid = (message: string): MillraceError =>
  new MillraceError('invalid', message, { code: 'ValidationException' });
