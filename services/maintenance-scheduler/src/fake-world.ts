import { MillraceError } from '@millrace/base';
import type { ObjectInfo, ObjectStore } from '@millrace/object-store';
import { TableFormat } from '@millrace/proto/common';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { LedgerService } from '@millrace/proto/metadata_discovery';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { implement, type RpcServer, serve } from '@millrace/rpc';

// One table, its ledger, both projections, a converter and a store, in memory: for tests.

export const orders = { namespace: 'demo', name: 'orders' };
const FOLDER = 'demo/orders/';
const ROOT = 'memory://wh';

interface FakeFile {
  path: string;
  rows: bigint;
  sizeBytes: number;
  offset: number;
  added: number;
  removed: number;
  removedMs: number;
  forgotten: boolean;
}

/** What a projection shows: ledger versions, each with the time of its commit. */
export interface FakeProjection {
  exists: boolean;
  enabled: boolean;
  shown: { version: number; ms: number }[];
  down: boolean;
}

const PAGE = 3;
const never = async (): Promise<never> => {
  throw new MillraceError('unsupported', 'not in this test');
};

export function createWorld() {
  const unlisted = new Set<string>();
  let rewriteFault: 'none' | 'fails' | 'loses-rows' | 'keeps-files' = 'none';
  const objects = new Map<string, ObjectInfo>();
  const projection = (): FakeProjection => ({ exists: false, enabled: false, shown: [], down: false });
  const world = {
    nowMs: 1_000_000,
    objects,
    files: new Map<string, FakeFile>(),
    versions: [{ version: 1, ms: 1_000_000 }],
    formats: new Set([TableFormat.ICEBERG, TableFormat.DELTA]),
    leases: new Set<string>(),
    iceberg: projection(),
    delta: projection(),
    dropped: false,
    purge: false,
    proposals: new Map<string, number>(),
    /** Called at the start of every call to a fake: whatever may happen meanwhile. */
    meddle: () => {},
    /** Failures that the next proposals answer with; 'after' fails once the proposal has been committed. */
    proposalFaults: [] as ('conflict' | 'before' | 'after')[],
    setRewriteFault: (fault: typeof rewriteFault) => (rewriteFault = fault),
    now: () => world.nowMs,
    newest: () => world.versions.at(-1)!.version,
    commit(): number {
      const version = world.newest() + 1;
      world.versions.push({ version, ms: world.nowMs });
      return version;
    },
    write(path: string, sizeBytes = 10): string {
      const key = FOLDER + path;
      objects.set(key, { key, sizeBytes, modifiedMs: world.nowMs });
      return path;
    },
    add(path: string, version: number, offset: number, rows = 1n, sizeBytes = 10): void {
      const file = { path, rows, sizeBytes, offset, added: version, removed: Number.POSITIVE_INFINITY };
      world.files.set(path, { ...file, removedMs: 0, forgotten: false });
    },
    append(path: string, offset: number, sizeBytes = 10): void {
      world.add(world.write(path, sizeBytes), world.commit(), offset, 1n, sizeBytes);
    },
    at: (version: number) => [...world.files.values()].filter((f) => f.added <= version && version < f.removed),
    live: () =>
      world
        .at(world.newest())
        .map(({ path }) => path)
        .sort(),
    stored: () => [...objects.keys()].map((key) => key.slice(FOLDER.length)).sort(),
    /** Brings a projection to the ledger's newest version, one commit a version, or one for all when it begins. */
    project(which: 'iceberg' | 'delta'): void {
      const it = world[which];
      const wanted = world.formats.has(which === 'iceberg' ? TableFormat.ICEBERG : TableFormat.DELTA);
      if (!wanted) it.enabled = false;
      else if (!it.enabled) {
        Object.assign(it, { exists: true, enabled: true });
        it.shown.push({ version: world.newest(), ms: world.nowMs });
      } else {
        const from = it.shown.at(-1)!.version;
        for (let version = from + 1; version <= world.newest(); version++) it.shown.push({ version, ms: world.nowMs });
      }
    },
    /** The first file that something still shows and the store has lost; I4. */
    lost(cutoffMs: number): string | undefined {
      const shown = [world.iceberg, world.delta].flatMap((it) =>
        it.exists ? it.shown.map(({ version }) => version) : [],
      );
      const inside = world.versions.filter(
        ({ ms }, i) => ms >= cutoffMs || (world.versions[i + 1]?.ms ?? Infinity) > cutoffMs,
      );
      for (const version of [...shown, ...inside.map((one) => one.version)]) {
        const missing = world.at(version).find(({ path }) => !objects.has(FOLDER + path));
        if (missing !== undefined) return `${missing.path} of version ${version}`;
      }
      return undefined;
    },
    /** Paths that listings lack. */
    unlisted,
    store: memoryStore(
      objects,
      () => world.meddle(),
      (key) => !unlisted.has(key.slice(FOLDER.length)),
    ),
    serve: () => serveWorld(world, () => rewriteFault),
  };
  return world;
}

export type World = ReturnType<typeof createWorld>;

function memoryStore(
  objects: Map<string, ObjectInfo>,
  meddle: () => void,
  isListed: (key: string) => boolean,
): ObjectStore {
  return {
    uri: ROOT,
    get: never,
    put: never,
    writer: never,
    head: async (key) => objects.get(key),
    async delete(key) {
      objects.delete(key);
    },
    async deleteMany(keys) {
      for (const key of keys) objects.delete(key);
    },
    async *list(prefix) {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && isListed(key)).sort();
      for (const key of keys) {
        meddle();
        const found = objects.get(key);
        if (found !== undefined) yield found;
      }
    },
    discardUnfinished: async () => 0,
    uriOf: (key) => `${ROOT}/${key}`,
    keyOf(uri) {
      if (!uri.startsWith(`${ROOT}/`)) throw new MillraceError('invalid', `${uri} is elsewhere`);
      return uri.slice(ROOT.length + 1);
    },
  };
}

function describe(world: World, it: FakeProjection) {
  world.meddle();
  if (it.down) throw new MillraceError('permission', 'the projector can not be asked');
  const [oldest, newest] = [it.shown[0]?.version ?? 0, it.shown.at(-1)?.version ?? 0];
  return { exists: it.exists, enabled: it.enabled, ledgerVersion: BigInt(newest), oldestLedgerVersion: BigInt(oldest) };
}

/** Ends what was superseded before the time, keeping the newest `keep`. */
function expire(it: FakeProjection, olderThanMs: bigint, keep: number, dryRun: boolean) {
  const kept = it.shown.filter(({ ms }, i) => ms >= Number(olderThanMs) || i >= it.shown.length - Math.max(keep, 1));
  const expiredCount = it.shown.length - kept.length;
  if (!dryRun) it.shown = kept;
  return { expiredCount, deletedFileCount: expiredCount, oldestLedgerVersion: BigInt(kept[0]?.version ?? 0) };
}

const toDataFile = ({ path, rows, sizeBytes, offset }: FakeFile) => ({
  path,
  recordCount: rows,
  sizeBytes: BigInt(sizeBytes),
  offsets: [{ partition: 0, startOffset: BigInt(offset), endOffset: BigInt(offset) + rows }],
});

function serveWorld(world: World, rewriteFault: () => string): Promise<RpcServer> {
  const table = () => ({
    table: orders,
    tableUuid: 'u',
    location: `${ROOT}/${FOLDER.slice(0, -1)}`,
    formats: [...world.formats],
    tableSchemaJson: '{}',
    version: BigInt(world.newest()),
    dropped: world.dropped,
    purge: world.purge,
  });
  const known = (name: string | undefined) => {
    world.meddle();
    if (name !== orders.name) throw new MillraceError('not-found', 'there is no such table');
  };
  const ledger = implement(LedgerService, {
    async getTable(request) {
      known(request.table?.name);
      return { table: table() };
    },
    listTables: async ({ includeDropped }) => ({ tables: world.dropped && !includeDropped ? [] : [table()] }),
    async listFiles({ version, pageToken }) {
      world.meddle();
      const at = Number(version) || world.newest();
      const files = world.at(at).sort((a, b) => (a.path < b.path ? -1 : 1));
      const start = Number(pageToken);
      const nextPageToken = start + PAGE < files.length ? String(start + PAGE) : '';
      return { version: BigInt(at), files: files.slice(start, start + PAGE).map(toDataFile), nextPageToken };
    },
    async proposeRewrite({ removedPaths, added, proposalId }) {
      world.meddle();
      const there = world.proposals.get(proposalId);
      if (there !== undefined) return { version: BigInt(there) };
      const fault = world.proposalFaults.shift();
      if (fault === 'before') throw new MillraceError('unavailable', 'before');
      const live = new Set(world.live());
      if (fault === 'conflict' || removedPaths.some((path) => !live.has(path))) {
        throw new MillraceError('conflict', 'not live any more', { code: 'rewrite-conflict' });
      }
      const version = world.commit();
      for (const path of removedPaths)
        Object.assign(world.files.get(path)!, { removed: version, removedMs: world.nowMs });
      for (const { path, recordCount, sizeBytes, offsets } of added) {
        world.add(path, version, Number(offsets[0]!.startOffset), recordCount, Number(sizeBytes));
      }
      world.proposals.set(proposalId, version);
      if (fault === 'after') throw new MillraceError('unavailable', 'after');
      return { version: BigInt(version) };
    },
    async listRemovedFiles({ removedBeforeMs, removedByVersion }) {
      world.meddle();
      const gone = [...world.files.values()].filter(
        (f) => !f.forgotten && f.removed <= Number(removedByVersion) && f.removedMs <= Number(removedBeforeMs),
      );
      return { paths: gone.slice(0, PAGE).map(({ path }) => path) };
    },
    async forgetFiles({ paths }) {
      world.meddle();
      for (const path of paths) world.files.get(path)!.forgotten = true;
      return {};
    },
    async listKeptPaths({ pageToken }) {
      world.meddle();
      const paths = [...world.files.values()].filter((f) => !f.forgotten && f.path > pageToken).map((f) => f.path);
      const page = paths.sort().slice(0, PAGE);
      return { paths: page, prefixes: [...world.leases], nextPageToken: page.length === PAGE ? page.at(-1)! : '' };
    },
    async expireVersions({ beforeMs, beforeVersion }) {
      world.meddle();
      const kept = world.versions.filter(
        ({ version, ms }) => ms >= Number(beforeMs) || version > Number(beforeVersion) || version === world.newest(),
      );
      const expiredCount = BigInt(world.versions.length - kept.length);
      world.versions = kept;
      return { expiredCount };
    },
    listVersions: never,
    // biome-ignore lint/correctness/useYield: nobody watches here
    watchLedger: async function* () {
      await never();
    },
  });
  const iceberg = implement(IcebergCatalogService, {
    describeIceberg: async () => describe(world, world.iceberg),
    expireSnapshots: async ({ olderThanMs, keepCount, dryRun }) => {
      world.meddle();
      return expire(world.iceberg, olderThanMs, keepCount, dryRun);
    },
    projectIceberg: never,
    listSnapshots: never,
  });
  const delta = implement(DeltaCommitterService, {
    describeDelta: async () => describe(world, world.delta),
    checkpointDelta: async () => ({ deltaVersion: 1n }),
    cleanDeltaLog: async ({ olderThanMs, dryRun }) => {
      world.meddle();
      return expire(world.delta, olderThanMs, 1, dryRun);
    },
    projectDelta: never,
    listCommits: never,
  });
  const converter = implement(ParquetConverterService, {
    async rewriteFiles({ files, rewriteId }) {
      world.meddle();
      const fault = rewriteFault();
      const path = world.write(`data/rewrite-${rewriteId}-0.parquet`);
      if (fault === 'fails') throw new MillraceError('corrupt', 'a file is damaged');
      const recordCount = files.reduce((sum, file) => sum + file.recordCount, 0n) - (fault === 'loses-rows' ? 1n : 0n);
      const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0n);
      const one = { path, recordCount, sizeBytes, offsets: files.flatMap((file) => file.offsets) };
      if (fault !== 'keeps-files') return { files: [one] };
      return { files: files.map((file, i) => ({ ...file, path: `data/rewrite-${rewriteId}-${i}.parquet` })) };
    },
  });
  return serve({ name: 'fakes', host: '127.0.0.1', port: 0, services: [ledger, iceberg, delta, converter] });
}
