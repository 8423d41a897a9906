import { MillraceError } from '@millrace/base';
import type { Metadata, Protocol } from './actions.ts';
import { type DeltaStruct, type DeltaType, parseDeltaSchema, schemaFeatures } from './schema.ts';

/** Table features that this library implements (protocol, "Table Features"). */
const READER_FEATURES = ['timestampNtz', 'typeWidening'];
/** Those of writer version 2: a table that is raised to 7 keeps them. */
const LEGACY_WRITER_FEATURES = ['appendOnly', 'invariants'];
const WRITER_FEATURES = [...LEGACY_WRITER_FEATURES, ...READER_FEATURES];

/** The least that a table with this schema asks of its readers and writers: 1/2, or 3/7 with the features it uses. */
export function leastProtocol(schema: DeltaStruct): Protocol {
  const features = [...schemaFeatures(schema)].sort();
  if (features.length === 0) return { minReaderVersion: 1, minWriterVersion: 2 };
  const writerFeatures = [...LEGACY_WRITER_FEATURES, ...features];
  return { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: features, writerFeatures };
}

/** The protocol that has both, or undefined when `now` has `wanted` already. Features are never taken away. */
export function upgradeProtocol(now: Protocol, wanted: Protocol): Protocol | undefined {
  const union = (a: string[] = [], b: string[] = []) => [...new Set([...a, ...b])];
  const readerFeatures = union(now.readerFeatures, wanted.readerFeatures);
  const writerFeatures = union(now.writerFeatures, wanted.writerFeatures);
  const upgraded: Protocol = {
    minReaderVersion: Math.max(now.minReaderVersion, wanted.minReaderVersion),
    minWriterVersion: Math.max(now.minWriterVersion, wanted.minWriterVersion),
    ...(readerFeatures.length > 0 ? { readerFeatures } : {}),
    ...(writerFeatures.length > 0 ? { writerFeatures } : {}),
  };
  const same =
    upgraded.minReaderVersion === now.minReaderVersion &&
    upgraded.minWriterVersion === now.minWriterVersion &&
    readerFeatures.length === (now.readerFeatures?.length ?? 0) &&
    writerFeatures.length === (now.writerFeatures?.length ?? 0);
  return same ? undefined : upgraded;
}

/** `unsupported` (code "delta-protocol") names the versions or features that this library can't read. */
export function checkReadable(protocol: Protocol, table: string): void {
  const unknown = (protocol.readerFeatures ?? []).filter((feature) => !READER_FEATURES.includes(feature));
  if (unknown.length > 0) throw refusal(table, `the reader features ${unknown.join(', ')}`);
  if (protocol.minReaderVersion !== 1 && protocol.minReaderVersion !== 3) {
    throw refusal(table, `reader version ${protocol.minReaderVersion}`);
  }
}

/** The same for writing, and for what a writer of version 2 must honour and this one does not evaluate: invariants. */
export function checkWritable(protocol: Protocol, metadata: Metadata, table: string): void {
  checkReadable(protocol, table);
  const unknown = (protocol.writerFeatures ?? []).filter((feature) => !WRITER_FEATURES.includes(feature));
  if (unknown.length > 0) throw refusal(table, `the writer features ${unknown.join(', ')}`);
  if (![1, 2, 7].includes(protocol.minWriterVersion)) {
    throw refusal(table, `writer version ${protocol.minWriterVersion}`);
  }
  const invariant = invariantIn(parseDeltaSchema(metadata.schemaString), '');
  if (invariant !== undefined) throw refusal(table, `the invariant on column ${invariant}`);
  if (metadata.partitionColumns.length > 0)
    throw refusal(table, `partitions by ${metadata.partitionColumns.join(', ')}`);
}

function invariantIn(type: DeltaType, path: string): string | undefined {
  if (typeof type === 'string') return undefined;
  if (type.type === 'array') return invariantIn(type.elementType, `${path}.element`);
  if (type.type === 'map')
    return invariantIn(type.keyType, `${path}.key`) ?? invariantIn(type.valueType, `${path}.value`);
  for (const field of type.fields) {
    const name = path === '' ? field.name : `${path}.${field.name}`;
    const found = field.metadata?.['delta.invariants'] === undefined ? invariantIn(field.type, name) : name;
    if (found !== undefined) return found;
  }
  return undefined;
}

const refusal = (table: string, what: string) =>
  new MillraceError(
    'unsupported',
    `the Delta table at ${table} uses ${what}, which Millrace does not support: another engine has changed the table; undo that change there, or drop the table and enable the delta format again`,
    { code: 'delta-protocol', context: { table } },
  );
