import { LEDGER_VERSION, POSITIONS, parseOffsets } from '@millrace/ledger';
import { formatPositions, type LedgerView } from './ledger-invariants.ts';
import { LOCATION } from './services.ts';
import type { Objects } from './store.ts';
import { world } from './world.ts';

const LOG = `${LOCATION}/_delta_log/`;

interface DeltaActions {
  add?: { path: string };
  remove?: { path: string };
  txn?: { version: number };
  commitInfo?: Record<string, string>;
}

/** The Delta log as its files come and go: each commit is checked when it appears. */
export interface DeltaView {
  version: number;
  /** The newest ledger version that a txn action has named. */
  ledgerVersion: number;
  put(uri: string, bytes: Uint8Array, replaced: boolean): void;
  /** Before a log file goes: what the table needs must stay. */
  delete(uri: string): void;
  /** A Delta version that can be read and shows the path. */
  reader(path: string): number | undefined;
  live(): Set<string>;
}

export function watchDelta(objects: Objects, ledger: LedgerView): DeltaView {
  const live = new Map<number, Set<string>>([[-1, new Set()]]);
  const commits = new Set<number>();
  const checkpoints = new Set<number>();
  const bad = (invariant: string, message: string) => world().violate(invariant, message);

  /** The oldest version from which on all can be read. */
  function oldestReadable(): number {
    if (commits.has(0)) return 0;
    return Math.min(...checkpoints);
  }

  function isReadable(version: number): boolean {
    const base = Math.max(-1, ...[...checkpoints].filter((checkpoint) => checkpoint <= version));
    for (let v = base + 1; v <= version; v++) if (!commits.has(v)) return false;
    return true;
  }

  function commit(version: number, bytes: Uint8Array): void {
    if (version !== view.version + 1) bad('I5', `Delta version ${version} follows ${view.version}`);
    const actions = Buffer.from(bytes)
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as DeltaActions);
    const files = new Set(live.get(version - 1));
    for (const { remove } of actions) {
      if (remove && !files.delete(remove.path))
        bad('I5', `Delta version ${version} removes ${remove.path}, which is not live`);
    }
    for (const { add } of actions) {
      if (!add) continue;
      if (files.has(add.path)) bad('I2', `Delta version ${version} adds ${add.path} once more`);
      if (!objects.current.has(`${LOCATION}/${add.path}`))
        bad('I4', `Delta version ${version} adds ${add.path}, which is not in the store`);
      files.add(add.path);
    }
    live.set(version, files);
    commits.add(version);
    view.version = version;
    checkProvenance(version, actions, files);
  }

  function checkProvenance(version: number, actions: DeltaActions[], files: Set<string>): void {
    const info = actions.find(({ commitInfo }) => commitInfo)?.commitInfo;
    const txn = actions.find((action) => action.txn)?.txn;
    const says = info?.[LEDGER_VERSION];
    if (txn === undefined) {
      if (says !== undefined) bad('I3', `Delta version ${version} shows ledger version ${says} and has no txn action`);
      return;
    }
    if (String(txn.version) !== says)
      bad('I3', `Delta version ${version}: txn says ${txn.version}, commitInfo ${says}`);
    if (txn.version <= view.ledgerVersion)
      bad('I3', `Delta version ${version} shows ledger version ${txn.version} after ${view.ledgerVersion}`);
    view.ledgerVersion = txn.version;
    const wanted = ledger.live.get(txn.version);
    if (wanted === undefined)
      bad('I3', `Delta version ${version} shows ledger version ${txn.version}, which is not there`);
    else if (!sameSet(wanted, files))
      bad('I3', `Delta version ${version} does not show the files of ledger version ${txn.version}`);
    if (formatPositions(parseOffsets(info?.[POSITIONS] ?? '{}')) !== ledger.positions.get(txn.version)) {
      bad('I3', `Delta version ${version} says other positions than ledger version ${txn.version}`);
    }
  }

  const view: DeltaView = {
    version: -1,
    ledgerVersion: 0,
    put(uri, bytes, replaced) {
      const match = /(\d{20})\.(json|checkpoint\.parquet)$/.exec(uri);
      if (!uri.startsWith(LOG) || match === null) return;
      const version = Number(match[1]);
      if (match[2] === 'checkpoint.parquet') checkpoints.add(version);
      else if (replaced) bad('I5', `Delta version ${version} was overwritten`);
      else commit(version, bytes);
    },
    delete(uri) {
      const match = /(\d{20})\.(json|checkpoint\.parquet)$/.exec(uri);
      if (!uri.startsWith(LOG) || match === null || ledger.dropped) return;
      (match[2] === 'json' ? commits : checkpoints).delete(Number(match[1]));
      if (!isReadable(view.version)) bad('I4', `without ${uri} the newest Delta version can't be read`);
    },
    reader(path) {
      for (let version = view.version; version >= oldestReadable() && version >= 0; version--) {
        if (isReadable(version) && live.get(version)?.has(path)) return version;
      }
      return undefined;
    },
    live: () => live.get(view.version)!,
  };
  return view;
}

export const sameSet = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean =>
  a.size === b.size && [...a].every((x) => b.has(x));
