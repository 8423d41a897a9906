import type { ObjectStore } from '@millrace/object-store';
import { completeCheckpoints, type LogFile, listLog } from './log-segment.ts';

export interface LogCleanup {
  /** Keys, in the order in which they are deleted. */
  deleted: string[];
  /** The oldest version that can be read afterwards; undefined: there is no log. */
  oldestVersion: number | undefined;
}

/**
 * Deletes what the newest checkpoint at or before `olderThanMs` has made superfluous: the commits, checkpoints and
 * checksums before it (protocol, "Metadata Cleanup"). Every version from that checkpoint on stays readable, and a crash
 * half-way harms none of them.
 */
export async function cleanLog(
  store: ObjectStore,
  options: { olderThanMs: number; dryRun?: boolean },
): Promise<LogCleanup> {
  const files = await listLog(store);
  const superfluous = superfluousFiles(files, options.olderThanMs);
  if (!options.dryRun) for (const { key } of superfluous) await store.delete(key);
  const gone = new Set(superfluous);
  const oldestVersion = oldestReadableVersion(files.filter((file) => !gone.has(file)));
  return { deleted: superfluous.map(({ key }) => key), oldestVersion };
}

function superfluousFiles(files: LogFile[], olderThanMs: number): LogFile[] {
  let cutoff: number | undefined;
  for (const { kind, version, modifiedMs } of files) {
    if (kind !== 'commit') continue;
    // Times that run backwards (copied files) count as the latest before them: nothing goes too early.
    if (modifiedMs > olderThanMs) break;
    cutoff = version;
  }
  if (cutoff === undefined) return [];
  const checkpoint = completeCheckpoints(files).findLast(({ version }) => version <= cutoff);
  if (checkpoint === undefined) return [];
  return files.filter(({ kind, version }) =>
    kind === 'compaction' ? version <= checkpoint.version : version < checkpoint.version,
  );
}

/** The oldest version from which on all can be read: 0, or that of the oldest complete checkpoint. */
export function oldestReadableVersion(files: LogFile[]): number | undefined {
  const first = files.find((file) => file.kind === 'commit');
  if (first?.version === 0) return 0;
  return completeCheckpoints(files)[0]?.version;
}
