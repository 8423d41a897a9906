import { isKind, type TableName } from '@millrace/base';
import {
  ancestors,
  DELETED,
  readManifest,
  readManifestList,
  readMetadata,
  type TableFiles,
  tableFiles,
} from '@millrace/iceberg';
import type { ObjectStore } from '@millrace/object-store';
import type { Session } from './session.ts';
import { type Evidence, parsePositions } from './verify.ts';

/** The Iceberg table's snapshots and the files of the newest, read from its metadata; undefined when there is none. */
export async function gatherIceberg(
  session: Session,
  table: TableName,
  store: ObjectStore,
): Promise<Evidence | undefined> {
  const location = (await servedLocation(session, table)) ?? (await storedLocation(store));
  if (location === undefined) return undefined;
  const files = tableFiles([store]);
  const metadata = await readMetadata(files, location);
  const head = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === metadata['current-snapshot-id']);
  if (head === undefined) return undefined;
  const line = [...ancestors(metadata, head)].reverse();
  const steps = line.flatMap((snapshot) => {
    const summary = snapshot.summary ?? {};
    const { 'millrace.ledger-version': version, 'millrace.positions': positions, 'millrace.offsets': added } = summary;
    if (version === undefined || positions === undefined || added === undefined) return [];
    return [
      {
        label: `snapshot ${snapshot['snapshot-id']}`,
        ledgerVersion: BigInt(version),
        positions: parsePositions(positions),
        added: parsePositions(added),
      },
    ];
  });
  return {
    source: 'iceberg',
    steps,
    files: await liveFiles(files, store, head),
    filesVersion: newest(steps.at(-1)?.ledgerVersion, metadata.properties['millrace.ledger-version']),
    truncated: line[0]?.['parent-snapshot-id'] !== undefined,
  };
}

async function servedLocation(session: Session, table: TableName): Promise<string | undefined> {
  if (!session.knows('iceberg-rest-catalog')) return undefined;
  try {
    const { exists, metadataLocation } = await session.iceberg().describeIceberg({ table }, { timeoutMs: 5_000 });
    return exists ? metadataLocation : undefined;
  } catch (error) {
    if (isKind(error, 'unavailable', 'deadline', 'not-found')) return undefined;
    throw error;
  }
}

/** The metadata file with the highest number: without the catalog nobody knows which one it points at. */
async function storedLocation(store: ObjectStore): Promise<string | undefined> {
  let newest: string | undefined;
  for await (const { key } of store.list('_iceberg/')) {
    if (/^_iceberg\/\d+-[^/]+\.metadata\.json$/.test(key)) newest = key;
  }
  return newest === undefined ? undefined : store.uriOf(newest);
}

async function liveFiles(
  files: TableFiles,
  store: ObjectStore,
  head: Parameters<typeof readManifestList>[1],
): Promise<Map<string, bigint>> {
  const live = new Map<string, bigint>();
  for (const manifest of await readManifestList(files, head)) {
    for (const { status, data_file } of await readManifest(files, manifest)) {
      if (status !== DELETED) live.set(store.keyOf(data_file.file_path), BigInt(data_file.record_count));
    }
  }
  return live;
}

/** A version without data, such as a change of schema, is a property of the table and no snapshot. */
const newest = (snapshot: bigint | undefined, property: string | undefined): bigint =>
  [snapshot ?? 0n, BigInt(property ?? 0)].reduce((a, b) => (a > b ? a : b));
