import { type AddFile, decodePath, listLog, loadSnapshot, parseJson, readCommit } from '@millrace/delta';
import type { ObjectStore } from '@millrace/object-store';
import { type Evidence, parsePositions, type Step } from './verify.ts';

/** The Delta table's commits as far as the log has them, and the files of the newest version; undefined when there is none. */
export async function gatherDelta(store: ObjectStore): Promise<Evidence | undefined> {
  const snapshot = await loadSnapshot(store);
  if (snapshot === undefined) return undefined;
  const commits = (await listLog(store)).filter(
    ({ kind, version }) => kind === 'commit' && version <= snapshot.version,
  );
  const steps: Step[] = [];
  for (const { version, sizeBytes } of commits) {
    for (const { commitInfo } of await readCommit(store, version, sizeBytes)) {
      const info = commitInfo as Record<string, unknown> | undefined;
      const [ledgerVersion, positions, added] = ['ledger-version', 'positions', 'offsets'].map(
        (key) => info?.[`millrace.${key}`],
      );
      if (ledgerVersion === undefined || typeof positions !== 'string' || typeof added !== 'string') continue;
      steps.push({
        label: `version ${version}`,
        ledgerVersion: BigInt(String(ledgerVersion)),
        positions: parsePositions(positions),
        added: parsePositions(added),
      });
    }
  }
  return {
    source: 'delta',
    steps,
    files: new Map([...snapshot.files.values()].map((add) => [decodePath(add.path), numRecords(add)])),
    filesVersion: [...snapshot.transactions.values()].find(({ appId }) => appId.startsWith('millrace:'))?.version ?? 0n,
    truncated: (commits[0]?.version ?? 0) > 0,
  };
}

const numRecords = ({ stats }: AddFile): bigint =>
  BigInt(String((parseJson(stats ?? '{}') as { numRecords?: number | bigint }).numRecords ?? -1));
