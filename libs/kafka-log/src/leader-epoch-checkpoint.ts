import { type LogPlace, logError } from './place.ts';

// .leader_epoch_checkpoint, text: "0\n" (version) | count "\n" | { epoch " " startOffset "\n" }*

export interface LeaderEpochEntry {
  epoch: number;
  startOffset: number;
}

/** The leader epochs up to a segment's end, ascending. Errors: index-malformed. */
export function decodeLeaderEpochCheckpoint(bytes: Uint8Array, place: LogPlace): LeaderEpochEntry[] {
  const [version, count, ...lines] = Buffer.from(bytes).toString('latin1').trimEnd().split('\n');
  const broken = (what: string) =>
    logError('index-malformed', `a leader epoch checkpoint is broken: ${what}`, place, 0);
  if (version !== '0') throw broken(`its version is ${JSON.stringify(version)}, not "0"`);
  if (count !== String(lines.length)) throw broken(`${lines.length} lines, and it says ${JSON.stringify(count)}`);
  return lines.map((line) => {
    const match = /^(\d{1,10}) (\d{1,16})$/.exec(line);
    if (match === null) throw broken(`the line ${JSON.stringify(line.slice(0, 60))}`);
    return { epoch: Number(match[1]), startOffset: Number(match[2]) };
  });
}

export const encodeLeaderEpochCheckpoint = (entries: readonly LeaderEpochEntry[]): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(
    `0\n${entries.length}\n${entries.map((entry) => `${entry.epoch} ${entry.startOffset}\n`).join('')}`,
  ) as Uint8Array<ArrayBuffer>;
