import { parseTableMetadata, readManifest, readManifestList, type Snapshot, type TableFiles } from '@millrace/iceberg';
import { LEDGER_VERSION, POSITIONS, parseOffsets } from '@millrace/ledger';
import { databaseAt, rowsOf, type SimulatedDatabase } from './database.ts';
import { sameSet } from './delta-invariants.ts';
import { formatPositions, type LedgerView } from './ledger-invariants.ts';
import { LOCATION } from './services.ts';
import type { Objects } from './store.ts';
import { world } from './world.ts';

/** The Iceberg table as the catalog's pointer moves. */
export interface IcebergView {
  ledgerVersion: number;
  /** Whether a snapshot shows the path. */
  reader(path: string): bigint | undefined;
  /** Whether the table needs this file of its metadata. */
  needs(uri: string): boolean;
  live(): Set<string>;
  check(): Promise<void>;
}

interface KnownSnapshot {
  live: Set<string>;
  metadataFiles: string[];
}

export function watchIceberg(objects: Objects, ledger: LedgerView): IcebergView {
  let database: SimulatedDatabase | undefined;
  let seen = -1;
  let pointer: string | undefined;
  const known = new Map<bigint, KnownSnapshot>();
  let shown: bigint[] = [];
  let needed = new Set<string>();
  let current = new Set<string>();
  const bad = (invariant: string, message: string) => world().violate(invariant, message);

  /** Past all faults. */
  const files = {
    async read(uri: string) {
      const object = objects.current.get(uri);
      if (object === undefined) throw new Error(`${uri} is not in the store`);
      return object.bytes;
    },
  } as TableFiles;

  async function load(snapshot: Snapshot): Promise<KnownSnapshot> {
    const manifests = await readManifestList(files, snapshot);
    const live = new Set<string>();
    for (const manifest of manifests) {
      for (const entry of await readManifest(files, manifest)) {
        const path = entry.data_file.file_path.slice(LOCATION.length + 1);
        if (entry.status === 2) continue;
        if (live.has(path)) bad('I2', `Iceberg snapshot ${snapshot['snapshot-id']} names ${path} twice`);
        live.add(path);
      }
    }
    return {
      live,
      metadataFiles: [snapshot['manifest-list']!, ...manifests.map((manifest) => manifest.manifest_path)],
    };
  }

  async function moved(to: string): Promise<void> {
    const metadata = parseTableMetadata(Buffer.from(await files.read(to)).toString(), to);
    if (pointer !== undefined && metadata['metadata-log'].at(-1)?.['metadata-file'] !== pointer) {
      bad('I5', `Iceberg metadata ${to} was not made from ${pointer}, which it replaces`);
    }
    pointer = to;
    for (const snapshot of metadata.snapshots) {
      const id = snapshot['snapshot-id'];
      if (known.has(id)) continue;
      const found = await load(snapshot);
      known.set(id, found);
      const version = Number(snapshot.summary[LEDGER_VERSION]);
      if (!(version > view.ledgerVersion))
        bad('I3', `Iceberg snapshot shows ledger version ${version} after ${view.ledgerVersion}`);
      view.ledgerVersion = version;
      const wanted = ledger.live.get(version);
      if (wanted === undefined || !sameSet(wanted, found.live)) {
        bad('I3', `Iceberg snapshot of ledger version ${version} does not show that version's files`);
      }
      if (formatPositions(parseOffsets(snapshot.summary[POSITIONS] ?? '{}')) !== ledger.positions.get(version)) {
        bad('I3', `Iceberg snapshot of ledger version ${version} says other positions`);
      }
      for (const path of found.live) {
        if (!objects.current.has(`${LOCATION}/${path}`))
          bad('I4', `Iceberg ledger version ${version} shows ${path}, which is not in the store`);
      }
    }
    shown = metadata.snapshots.map((snapshot) => snapshot['snapshot-id']);
    needed = new Set([to, ...shown.flatMap((id) => known.get(id)!.metadataFiles)]);
    current = known.get(metadata['current-snapshot-id'] ?? -1n)?.live ?? new Set();
    for (const uri of needed)
      if (!objects.current.has(uri)) bad('I4', `the Iceberg table needs ${uri}, which is not in the store`);
    const property = Number(metadata.properties[LEDGER_VERSION] ?? 0);
    if (property > view.ledgerVersion) view.ledgerVersion = property;
  }

  const view: IcebergView = {
    ledgerVersion: 0,
    reader: (path) => shown.find((id) => known.get(id)!.live.has(path)),
    needs: (uri) => needed.has(uri),
    live: () => current,
    async check() {
      database ??= await databaseAt('catalog');
      if (database === undefined || database.changes === seen) return;
      seen = database.changes;
      const [row] = await rowsOf<{ metadata_location: string }>(database, 'select metadata_location from tables');
      if (row === undefined) {
        needed = new Set();
        shown = [];
      } else if (row.metadata_location !== pointer) await moved(row.metadata_location);
    },
  };
  return view;
}
