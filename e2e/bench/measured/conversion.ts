import { closeSync, openSync, writeSync } from 'node:fs';
import { appendRecords, createRowBuilder } from '@millrace/columns';
import { type CodecName, createParquetWriter } from '@millrace/parquet';
import { parquetConverterConfig } from '@millrace/parquet-converter';
import { schemaToJsonObject } from '@millrace/schema';
import { dataSetOf } from '../data-sets/index.ts';
import { createDecoders } from './decoders.ts';
import { createLaps, type Round } from './round.ts';
import { readRecords } from './segment-batches.ts';

export interface ConversionJob {
  kind: 'conversion';
  dataSet: string;
  /** The partition's folder. */
  folder: string;
  /** Where the file goes; with `recordsPerFile`, "<out>-<n>.parquet". */
  out: string;
  codec?: CodecName;
  recordsPerFile?: number;
}

/**
 * Segments of one partition into Parquet, in this process, as parquet-converter does it by default: so much is read
 * and decoded at a time, each batch appended to the file. CPU seconds by stage: read (with CRC, decompression and the
 * walk over the records), decode, encode (with compression and the write).
 */
export function createConversion(job: ConversionJob): () => Promise<Round> {
  const { folder, out, codec = 'zstd', recordsPerFile = Number.POSITIVE_INFINITY } = job;
  const { table, decoders } = createDecoders(dataSetOf(job.dataSet));
  const rows = createRowBuilder(table);
  const { rowGroupBytes } = parquetConverterConfig.parse({});
  const keyValueMetadata = { 'iceberg.schema': JSON.stringify(schemaToJsonObject(table)) };
  const open = (n: number) => {
    const file = openSync(recordsPerFile === Number.POSITIVE_INFINITY ? out : `${out}-${n}.parquet`, 'w');
    const sink = async (bytes: Uint8Array) => void writeSync(file, bytes);
    return {
      file,
      writer: createParquetWriter({ schema: table, sink, options: { codec, rowGroupBytes, keyValueMetadata } }),
    };
  };
  return async () => {
    const laps = createLaps(['read', 'decode', 'encode']);
    let files = 0;
    let [records, bytes, bytesOut] = [0, 0, 0];
    let target: ReturnType<typeof open> | undefined;
    const end = async () => {
      if (target === undefined) return;
      bytesOut += (await target.writer.finish()).sizeBytes;
      closeSync(target.file);
      target = undefined;
    };
    for (const index of readRecords(folder)) {
      laps.lap('read');
      for (let from = 0; from < index.count; ) {
        const to = Math.min(index.count, from + recordsPerFile - (target?.writer.rowCount ?? 0));
        const { error } = appendRecords(rows, decoders, index, from, to);
        if (error !== undefined) throw error;
        const batch = rows.batch();
        laps.lap('decode');
        target ??= open(files++);
        const flushed = target.writer.append(batch);
        if (flushed !== undefined) await flushed;
        if (target.writer.rowCount === recordsPerFile) await end();
        laps.lap('encode');
        rows.reset();
        from = to;
      }
      records += index.count;
      for (let i = 0; i < index.count; i++)
        bytes += Math.max(0, index.keyLengths[i]!) + Math.max(0, index.valueLengths[i]!);
      laps.lap();
    }
    laps.lap('read');
    await end();
    laps.lap('encode');
    const { read, decode, encode } = laps.spent;
    return { cpuSeconds: read + decode + encode, records, bytes, bytesOut, parts: laps.spent };
  };
}
