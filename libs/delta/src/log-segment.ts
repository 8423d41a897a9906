import { isKind, MillraceError } from '@millrace/base';
import type { ObjectInfo, ObjectStore } from '@millrace/object-store';
import { parseJson } from './json.ts';

export const LOG_FOLDER = '_delta_log/';
export const LAST_CHECKPOINT_KEY = `${LOG_FOLDER}_last_checkpoint`;

const padded = (version: number) => String(version).padStart(20, '0');
export const commitKey = (version: number): string => `${LOG_FOLDER}${padded(version)}.json`;
export const checkpointKey = (version: number): string => `${LOG_FOLDER}${padded(version)}.checkpoint.parquet`;

/**
 * What a name in _delta_log stands for (protocol, "File Types"). Checkpoints named by a UUID (V2 spec) are `other`: no
 * table that this library can read needs them.
 */
export type LogFile = ObjectInfo & { version: number } & (
    | { kind: 'commit' }
    | { kind: 'checkpoint'; part: number; parts: number }
    | { kind: 'compaction' }
    | { kind: 'checksum' }
    | { kind: 'other' }
  );

export function parseLogFile(info: ObjectInfo): LogFile | undefined {
  const match = /^_delta_log\/(\d{20})\.([^/]+)$/.exec(info.key);
  const version = Number(match?.[1]);
  if (!match || !Number.isSafeInteger(version)) return undefined;
  const rest = match[2]!;
  if (rest === 'json') return { ...info, version, kind: 'commit' };
  if (rest === 'crc') return { ...info, version, kind: 'checksum' };
  if (rest === 'checkpoint.parquet') return { ...info, version, kind: 'checkpoint', part: 1, parts: 1 };
  const part = /^checkpoint\.(\d{10})\.(\d{10})\.parquet$/.exec(rest);
  if (part) return { ...info, version, kind: 'checkpoint', part: Number(part[1]), parts: Number(part[2]) };
  return { ...info, version, kind: /^\d{20}\.compacted\.json$/.test(rest) ? 'compaction' : 'other' };
}

/** The files that a version is read from: the newest complete checkpoint at or below it, and the commits after that. */
export interface LogSegment {
  version: number;
  checkpoint?: Checkpoint;
  /** Ascending and without a gap: (checkpoint, version]. */
  commits: LogFile[];
}

export interface Checkpoint {
  version: number;
  /** In order of the parts. */
  files: LogFile[];
}

/** Every complete checkpoint among the files, ascending; of one version the one with the fewest parts. */
export function completeCheckpoints(files: LogFile[]): Checkpoint[] {
  const groups = new Map<string, (LogFile & { kind: 'checkpoint' })[]>();
  for (const file of files) {
    if (file.kind !== 'checkpoint') continue;
    const key = `${file.version}/${file.parts}`;
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  const complete = [...groups.values()].filter((parts) => parts.length === parts[0]!.parts);
  complete.sort((a, b) => a[0]!.version - b[0]!.version || b.length - a.length);
  const newest = new Map(complete.map((parts) => [parts[0]!.version, parts]));
  return [...newest].map(([version, parts]) => ({ version, files: parts.sort((a, b) => a.part - b.part) }));
}

/** All files of the log in key order, from version `from`. */
export async function listLog(store: ObjectStore, from = 0): Promise<LogFile[]> {
  const files: LogFile[] = [];
  for await (const info of store.list(LOG_FOLDER, from > 0 ? { startAfter: LOG_FOLDER + padded(from) } : {})) {
    const file = parseLogFile(info);
    if (file !== undefined) files.push(file);
  }
  return files;
}

/**
 * The segment of the newest version, or of `version`. undefined: there is no Delta log. `corrupt` when a commit is
 * missing in the middle, `not-found` when the log has no longer, or not yet, what `version` needs.
 */
export async function readLogSegment(store: ObjectStore, version?: number): Promise<LogSegment | undefined> {
  if (version === undefined) {
    const hint = await lastCheckpoint(store);
    if (hint !== undefined) {
      const files = await listLog(store, hint.version);
      // The hint may name a checkpoint that has gone: then the whole log is listed.
      if (completeCheckpoints(files).some((checkpoint) => checkpoint.version >= hint.version)) {
        return segmentOfListed(store, files);
      }
    }
  }
  return segmentOfListed(store, await listLog(store), version);
}

/** A folder that is listed while it grows may show a commit and not the one before it: those are looked for by name. */
async function segmentOfListed(store: ObjectStore, files: LogFile[], version?: number) {
  for (;;) {
    try {
      return segmentOf(files, store.uri, version);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'delta-log-gap') throw error;
      const lacking = Number(error.context['version']);
      const info = await store.head(commitKey(lacking));
      if (info === undefined) throw error;
      files.push({ ...info, version: lacking, kind: 'commit' });
      files.sort((a, b) => (a.key < b.key ? -1 : 1));
    }
  }
}

export function segmentOf(files: LogFile[], table: string, version?: number): LogSegment | undefined {
  const upTo = version ?? Number.MAX_SAFE_INTEGER;
  const checkpoint = completeCheckpoints(files).findLast((c) => c.version <= upTo);
  const first = checkpoint === undefined ? 0 : checkpoint.version + 1;
  const commits = files.filter((file) => file.kind === 'commit' && file.version >= first && file.version <= upTo);
  const last = commits.at(-1)?.version ?? checkpoint?.version;
  if (last === undefined && version === undefined && !files.some((file) => file.kind === 'commit')) return undefined;
  if (last === undefined || (version !== undefined && last !== version)) {
    throw new MillraceError('not-found', `the Delta table at ${table} has no version ${version}`, {
      code: 'delta-version-not-found',
      context: { table, version },
    });
  }
  commits.forEach((commit, i) => {
    if (commit.version !== first + i) {
      throw new MillraceError(
        version === undefined ? 'corrupt' : 'not-found',
        `the Delta log at ${table} lacks version ${first + i}: ${commitKey(first + i)} is not there, and no checkpoint stands for it`,
        { code: 'delta-log-gap', context: { table, version: first + i } },
      );
    }
  });
  return { version: last, commits, ...(checkpoint === undefined ? {} : { checkpoint }) };
}

/** `_last_checkpoint`, if it is there and legible: it is only a hint (protocol, "Last Checkpoint File"). */
export async function lastCheckpoint(store: ObjectStore): Promise<{ version: number } | undefined> {
  try {
    const value = parseJson(Buffer.from(await store.get(LAST_CHECKPOINT_KEY)).toString()) as { version?: unknown };
    return Number.isSafeInteger(value?.version) ? { version: value.version as number } : undefined;
  } catch (error) {
    if (isKind(error, 'not-found', 'corrupt')) return undefined;
    throw error;
  }
}
