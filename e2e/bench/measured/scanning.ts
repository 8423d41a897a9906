import { openParquet } from '@millrace/parquet';
import { fileSource } from './file-source.ts';
import { createLaps, type Round } from './round.ts';

export interface ScanningJob {
  kind: 'scanning';
  files: string[];
}

/** Every value of Parquet files into columns. */
export function createScanning({ files }: ScanningJob): () => Promise<Round> {
  return async () => {
    const laps = createLaps(['scan']);
    let [records, bytes] = [0, 0];
    for (const path of files) {
      const source = fileSource(path);
      bytes += source.size;
      for await (const batch of (await openParquet(source)).read()) records += batch.length;
    }
    laps.lap('scan');
    return { cpuSeconds: laps.spent.scan, records, bytes };
  };
}
