import { isKind, MillraceError } from '@millrace/base';
import type { ObjectStore } from '@millrace/object-store';
import {
  type Action,
  type AddFile,
  decodeActions,
  type Metadata,
  type Protocol,
  type RemoveFile,
  type Txn,
} from './actions.ts';
import { readCheckpoint } from './checkpoint-reader.ts';
import { commitKey, type LogSegment, readLogSegment } from './log-segment.ts';
import { checkReadable } from './protocol.ts';

/**
 * The state of a table at one version. `advance` moves it forward in place: whoever needs an older state loads that
 * version. Memory: about the size of every live file's add action (1 to 2 KB with statistics).
 */
export interface Snapshot {
  version: number;
  protocol: Protocol;
  metadata: Metadata;
  /** Live files by `path`, as the log writes it. */
  files: Map<string, AddFile>;
  /** Removed files that may still lie in the store, by path. */
  tombstones: Map<string, RemoveFile>;
  /** By appId. */
  transactions: Map<string, Txn>;
  /** The version of the newest checkpoint that is known. */
  checkpointVersion?: number;
}

/** Called with every commit that is read, ascending; what a checkpoint stands for is not told. */
export type CommitObserver = (version: number, actions: Action[]) => void;

export interface LoadOptions {
  /** Time travel: this version instead of the newest. */
  version?: number;
  onCommit?: CommitObserver;
  /** Called before the first onCommit when the state starts from a checkpoint, with its version. */
  onCheckpoint?: (version: number) => Promise<void>;
}

/** Files of the log are read whole: a larger one is refused before it is allocated. */
const COMMIT_BYTES_MAX = 1 << 30;

/**
 * The newest state, or that of `options.version`. undefined: there is no Delta table here. Errors: `corrupt` (names the
 * file and the action), `unsupported` (names the feature), `not-found` (that version is no longer there).
 */
export async function loadSnapshot(store: ObjectStore, options: LoadOptions = {}): Promise<Snapshot | undefined> {
  for (let attempt = 1; ; attempt++) {
    // A listing may lack what is newest: whether more was committed, the commits themselves say.
    const segment = (await readLogSegment(store, options.version)) ?? (await firstCommit(store));
    if (segment === undefined) return undefined;
    try {
      const snapshot = await replay(store, segment, options);
      if (options.version === undefined) await refresh(store, snapshot, options.onCommit);
      return snapshot;
    } catch (error) {
      // A clean-up of the log may delete files between the listing and the reading: list again.
      if (!isKind(error, 'not-found') || attempt === 3) throw error;
    }
  }
}

/** Of a log that the listing does not show yet. */
async function firstCommit(store: ObjectStore): Promise<LogSegment | undefined> {
  const info = await store.head(commitKey(0));
  return info && { version: 0, commits: [{ ...info, version: 0, kind: 'commit' }] };
}

async function replay(store: ObjectStore, segment: LogSegment, options: LoadOptions): Promise<Snapshot> {
  const state: Partial<Snapshot> & Omit<Snapshot, 'protocol' | 'metadata'> = {
    version: -1,
    files: new Map(),
    tombstones: new Map(),
    transactions: new Map(),
  };
  if (segment.checkpoint !== undefined) {
    for (const file of segment.checkpoint.files) {
      for await (const actions of readCheckpoint(store, file.key)) fold(state, actions);
    }
    state.version = segment.checkpoint.version;
    state.checkpointVersion = segment.checkpoint.version;
    await options.onCheckpoint?.(segment.checkpoint.version);
  }
  for (const { version, sizeBytes } of segment.commits) {
    const actions = await readCommit(store, version, sizeBytes);
    fold(state, actions);
    state.version = version;
    options.onCommit?.(version, actions);
  }
  const { protocol, metadata } = state;
  if (protocol === undefined || metadata === undefined) {
    throw new MillraceError(
      'corrupt',
      `the Delta log at ${store.uri} has no ${protocol === undefined ? 'protocol' : 'metaData'} action up to version ${state.version}`,
      { code: 'delta-log-incomplete', context: { table: store.uri } },
    );
  }
  checkReadable(protocol, store.uri);
  return { ...state, protocol, metadata };
}

/** One commit's actions. `not-found`: there is no such version (any more). */
export async function readCommit(store: ObjectStore, version: number, sizeBytes?: number): Promise<Action[]> {
  const key = commitKey(version);
  const size = sizeBytes ?? (await store.head(key))?.sizeBytes;
  if (size === undefined) throw new MillraceError('not-found', `${key} of ${store.uri} is not there`);
  if (size > COMMIT_BYTES_MAX) {
    throw new MillraceError('exhausted', `${key} has ${size} bytes; at most ${COMMIT_BYTES_MAX} are read`, {
      code: 'delta-commit-too-large',
      retryable: false,
      context: { table: store.uri, key },
    });
  }
  return decodeActions(await store.get(key), key);
}

/** Action reconciliation (protocol): the newest of each key wins. */
function fold(state: Partial<Snapshot> & Pick<Snapshot, 'files' | 'tombstones' | 'transactions'>, actions: Action[]) {
  for (const { protocol, metaData, add, remove, txn } of actions) {
    if (protocol) state.protocol = protocol;
    if (metaData) state.metadata = metaData;
    if (txn) state.transactions.set(txn.appId, txn);
    if (remove) {
      state.files.delete(remove.path);
      state.tombstones.set(remove.path, remove);
    }
    if (add) {
      state.tombstones.delete(add.path);
      state.files.set(add.path, add);
    }
  }
}

/** Moves the state to `version` by that version's actions. `unsupported` when it can't be read from then on. */
export function advance(snapshot: Snapshot, version: number, actions: Action[], table: string): void {
  for (const { protocol } of actions) if (protocol) checkReadable(protocol, table);
  fold(snapshot, actions);
  snapshot.version = version;
}

/** Reads the commits that have come since, one by one. True when there were any. */
export async function refresh(store: ObjectStore, snapshot: Snapshot, onCommit?: CommitObserver): Promise<boolean> {
  for (let any = false; ; any = true) {
    const version = snapshot.version + 1;
    let actions: Action[];
    try {
      actions = await readCommit(store, version);
    } catch (error) {
      if (isKind(error, 'not-found')) return any;
      throw error;
    }
    advance(snapshot, version, actions, store.uri);
    onCommit?.(version, actions);
  }
}
