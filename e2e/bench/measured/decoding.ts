import { appendRecords, createRowBuilder } from '@millrace/columns';
import { dataSetOf } from '../data-sets/index.ts';
import { createDecoders } from './decoders.ts';
import { createLaps, type Round } from './round.ts';
import { readRecords } from './segment-batches.ts';

export interface DecodingJob {
  kind: 'decoding';
  dataSet: string;
  folder: string;
}

/** Values to columns, without the key, and of Kafka's own columns only those that every table has. */
export function createDecoding({ dataSet, folder }: DecodingJob): () => Promise<Round> {
  const { table, decoders } = createDecoders(dataSetOf(dataSet), 'value');
  const rows = createRowBuilder(table);
  return async () => {
    const laps = createLaps(['decode']);
    let [records, bytes] = [0, 0];
    for (const index of readRecords(folder)) {
      laps.lap();
      const { appended, error } = appendRecords(rows, decoders, index, 0, index.count);
      if (error !== undefined) throw error;
      rows.batch();
      laps.lap('decode');
      rows.reset();
      records += appended;
      for (let i = 0; i < appended; i++) bytes += Math.max(0, index.valueLengths[i]!);
    }
    return { cpuSeconds: laps.spent.decode, records, bytes };
  };
}
