import { fromBinary } from '@bufbuild/protobuf';
import type { PartitionOffsets } from '@millrace/proto/common';
import { type LedgerVersion, LedgerVersionSchema, VersionKind } from '@millrace/proto/metadata_discovery';
import { databaseAt, rowsOf, type SimulatedDatabase } from './database.ts';
import { LOCATION } from './services.ts';
import { recordsBetween, type Source } from './source.ts';
import type { Objects } from './store.ts';
import { decodeRows, type Rows } from './tokens.ts';
import { world } from './world.ts';

/** What the ledger has said, as its versions came; the projections are held against it. */
export interface LedgerView {
  version: number;
  oldestVersion: number;
  /** Live paths and positions ("partition:start:end") at each version. */
  live: Map<number, Set<string>>;
  positions: Map<number, string>;
  /** When a path was removed, in virtual time. */
  removedAt: Map<string, number>;
  /** Files of converted splits, that no version has yet. */
  converted: Set<string>;
  dropped: boolean;
  /** Reads what has changed and checks it. */
  check(): Promise<void>;
}

interface SplitRow {
  split_id: string;
  partition: number;
  start_offset: number;
  end_offset: number;
  state: string;
  epoch: number;
}

export const formatPositions = (ranges: readonly Pick<PartitionOffsets, 'partition' | 'startOffset' | 'endOffset'>[]) =>
  ranges
    .filter(({ startOffset, endOffset }) => endOffset > startOffset)
    .map(({ partition, startOffset, endOffset }) => `${partition}:${startOffset}:${endOffset}`)
    .sort()
    .join(' ');

export function watchLedgerRows(objects: Objects, source: Source): LedgerView {
  let database: SimulatedDatabase | undefined;
  let seen = -1;
  let uuid = '';
  const reached = new Map<number, number>();
  const everAdded = new Set<string>();
  const splits = new Map<string, SplitRow>();

  const bad = (invariant: string, message: string) => world().violate(invariant, message);

  function rowsIn(path: string): Rows {
    const object = objects.current.get(`${LOCATION}/${path}`);
    if (object === undefined) bad('I4', `the ledger names ${path}, which is not in the store`);
    return object === undefined ? [] : decodeRows(object.bytes);
  }

  async function checkVersion(number: number, row: { body: Uint8Array; kind: number }): Promise<void> {
    const version = fromBinary(LedgerVersionSchema, row.body);
    const added = await rowsOf<{ path: string; split_id: string | null }>(
      database!,
      'select path, split_id from files where table_uuid = ? and added_version = ? order by position',
      uuid,
      number,
    );
    const removed = await rowsOf<{ path: string }>(
      database!,
      'select path from files where table_uuid = ? and removed_version = ? order by path',
      uuid,
      number,
    );
    const live = new Set(view.live.get(number - 1) ?? []);
    for (const { path } of removed) {
      if (!live.delete(path)) bad('I2', `version ${number} removes ${path}, which is not live`);
      view.removedAt.set(path, world().now);
    }
    for (const { path } of added) {
      if (everAdded.has(path)) bad('I2', `version ${number} adds ${path} once more`);
      everAdded.add(path);
      live.add(path);
    }
    view.live.set(number, live);
    view.positions.set(number, formatPositions(version.positions));
    if (row.kind === VersionKind.APPEND) checkAppend(number, version, added);
    else if (row.kind === VersionKind.REWRITE) checkRewrite(number, added, removed);
    const expected = [...reached].map(([p, end]) => ({ partition: p, startOffset: 0n, endOffset: BigInt(end) }));
    if (view.positions.get(number) !== formatPositions(expected)) {
      bad(
        'I1',
        `version ${number} says positions ${view.positions.get(number)}, its ranges reach ${formatPositions(expected)}`,
      );
    }
  }

  function checkAppend(
    number: number,
    version: LedgerVersion,
    added: { path: string; split_id: string | null }[],
  ): void {
    const shown = new Map<number, number[]>();
    for (const { path, split_id } of added) {
      const epoch = splits.get(split_id ?? '')?.epoch;
      if (epoch !== undefined && !path.startsWith(`data/${split_id}-${epoch}-`)) {
        bad('I2', `version ${number} has ${path}, but the split's newest lease epoch is ${epoch}`);
      }
      for (const [partition, offset] of rowsIn(path)) {
        const offsets = shown.get(partition) ?? [];
        if ((offsets.at(-1) ?? -1) >= offset)
          bad('I6', `version ${number}: ${partition}/${offset} comes after ${offsets.at(-1)}`);
        offsets.push(offset);
        shown.set(partition, offsets);
      }
    }
    for (const { partition, startOffset, endOffset } of version.offsets) {
      const [from, to] = [Number(startOffset), Number(endOffset)];
      const before = reached.get(partition) ?? 0;
      if (from !== before || to <= from)
        bad('I1', `version ${number} covers ${partition}/[${from}, ${to}) after ${before}`);
      reached.set(partition, Math.max(to, before));
      const wanted = recordsBetween(source, partition, from, to).join();
      if ((shown.get(partition) ?? []).join() !== wanted) {
        bad(
          'I1',
          `version ${number}, partition ${partition} [${from}, ${to}): rows ${shown.get(partition)} instead of ${wanted}`,
        );
      }
      shown.delete(partition);
    }
    if (shown.size > 0) bad('I1', `version ${number} has rows of partition ${[...shown.keys()]} without their offsets`);
  }

  function checkRewrite(number: number, added: { path: string }[], removed: { path: string }[]): void {
    const rows = (files: { path: string }[]) => files.flatMap(({ path }) => rowsIn(path));
    const sorted = (files: { path: string }[]) => rows(files).map(String).sort().join(' ');
    if (sorted(added) !== sorted(removed))
      bad('I1', `rewrite ${number} does not keep the rows of ${removed.map((f) => f.path)}`);
    for (const { path } of added) {
      const last = new Map<number, number>();
      for (const [partition, offset] of rowsIn(path)) {
        if ((last.get(partition) ?? -1) >= offset)
          bad('I6', `${path}: ${partition}/${offset} comes after ${last.get(partition)}`);
        last.set(partition, offset);
      }
    }
  }

  async function checkSplits(): Promise<void> {
    const rows = await rowsOf<SplitRow>(
      database!,
      'select split_id, partition, start_offset, end_offset, state, epoch from splits where table_uuid = ? order by partition, start_offset',
      uuid,
    );
    const partitions = await rowsOf<{
      partition: number;
      start_offset: number;
      committed_offset: number;
      planned_offset: number;
    }>(
      database!,
      'select partition, start_offset, committed_offset, planned_offset from partitions where table_uuid = ?',
      uuid,
    );
    for (const { partition, committed_offset, planned_offset } of partitions) {
      if (committed_offset !== (reached.get(partition) ?? 0)) {
        bad(
          'I1',
          `partition ${partition} is committed up to ${committed_offset}, its versions to ${reached.get(partition)}`,
        );
      }
      let next = committed_offset;
      for (const split of rows) {
        if (split.partition !== partition || split.state === 'committed') continue;
        if (split.start_offset !== next)
          bad('I1', `partition ${partition}: split at ${split.start_offset} where ${next} is next`);
        next = split.end_offset;
      }
      if (next !== planned_offset)
        bad('I1', `partition ${partition}: splits end at ${next}, planned is ${planned_offset}`);
    }
    for (const row of rows) {
      const before = splits.get(row.split_id);
      if (before !== undefined && row.epoch < before.epoch)
        bad('I2', `epoch of ${row.split_id} went from ${before.epoch} to ${row.epoch}`);
      if (row.state === 'leased' && before?.state === 'pending' && row.epoch <= before.epoch) {
        bad('I2', `split ${row.split_id} was leased again under epoch ${row.epoch}`);
      }
      splits.set(row.split_id, row);
    }
    view.converted = new Set();
    const files = await rowsOf<{ path: string; split_id: string }>(
      database!,
      'select path, split_id from files where table_uuid = ? and added_version is null',
      uuid,
    );
    for (const { path, split_id } of files) {
      view.converted.add(path);
      const { epoch } = splits.get(split_id)!;
      if (!path.startsWith(`data/${split_id}-${epoch}-`))
        bad('I2', `${path} was accepted, but the newest lease epoch is ${epoch}`);
      rowsIn(path);
    }
  }

  const view: LedgerView = {
    version: 0,
    oldestVersion: 1,
    live: new Map([[0, new Set()]]),
    positions: new Map(),
    removedAt: new Map(),
    converted: new Set(),
    dropped: false,
    async check() {
      database ??= await databaseAt('ledger');
      if (database === undefined || database.changes === seen) return;
      seen = database.changes;
      const [table] = await rowsOf<{ table_uuid: string; version: number; oldest_version: number; dropped: number }>(
        database,
        'select table_uuid, version, oldest_version, dropped from tables',
      );
      if (table === undefined) return;
      uuid = table.table_uuid;
      view.oldestVersion = table.oldest_version;
      view.dropped = table.dropped === 1;
      await checkSplits0(table.version);
    },
  };

  /** Versions first: they say how far the splits must have come. */
  async function checkSplits0(version: number): Promise<void> {
    if (version > view.version) {
      const rows = await rowsOf<{ version: number; body: Uint8Array; kind: number }>(
        database!,
        'select version, body, kind from versions where table_uuid = ? and version > ? order by version',
        uuid,
        view.version,
      );
      for (const row of rows) {
        if (row.version !== view.version + 1) bad('I1', `ledger version ${row.version} follows ${view.version}`);
        view.version = row.version;
        await checkVersion(row.version, row);
      }
    }
    if (!view.dropped) await checkSplits();
  }

  return view;
}
