import { createLaps, type Round } from './round.ts';
import { readRecords } from './segment-batches.ts';

export interface ReadingJob {
  kind: 'reading';
  folder: string;
}

/** Segments of one partition read: CRC, decompression, the index of records. */
export function createReading({ folder }: ReadingJob): () => Promise<Round> {
  return async () => {
    const laps = createLaps(['read']);
    let [records, bytes] = [0, 0];
    for (const index of readRecords(folder)) {
      laps.lap('read');
      records += index.count;
      for (let i = 0; i < index.count; i++)
        bytes += Math.max(0, index.keyLengths[i]!) + Math.max(0, index.valueLengths[i]!);
      laps.lap();
    }
    laps.lap('read');
    return { cpuSeconds: laps.spent.read, records, bytes };
  };
}
