import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompressionCodec } from '@millrace/kafka-log';
import { dataSetOf } from './data-sets/index.ts';
import { type TopicLog, writeTopicLog } from './data-sets/topic-log.ts';
import type { ConversionJob } from './measured/conversion.ts';
import { startJob } from './measured-process.ts';

/** What measurements work on, made when it is first asked for and gone at the end. */
export interface Workspace {
  path(name: string): string;
  log(dataSet: string): Promise<TopicLog>;
  /** The log that goes through the whole flow. */
  flowLog(dataSet: string): Promise<TopicLog>;
  /** The folder of a data set's segments. */
  segments(dataSet: string, codec?: CompressionCodec): Promise<string>;
  /** A data set as the one Parquet file that we write. */
  file(dataSet: string): Promise<string>;
  /** A table's folder with the data set as `count` files in data/. */
  smallFiles(dataSet: string, count: number): Promise<string>;
  remove(): void;
}

export interface WorkspaceOptions {
  recordsOf(dataSet: string): number;
  flowRecordsOf(dataSet: string): number;
  codecsOf(dataSet: string): CompressionCodec[];
  say(line: string): void;
}

export function createWorkspace({ recordsOf, flowRecordsOf, codecsOf, say }: WorkspaceOptions): Workspace {
  const root = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const remove = () => rmSync(root, { recursive: true, force: true, maxRetries: 3 });
  process.once('exit', remove);
  const made = new Map<string, Promise<unknown>>();
  const once = <T>(what: string, make: () => Promise<T>): Promise<T> => {
    if (!made.has(what)) made.set(what, make());
    return made.get(what) as Promise<T>;
  };
  const convert = async (job: Omit<ConversionJob, 'kind' | 'folder'>) => {
    const process = await startJob({ kind: 'conversion', folder: await segments(job.dataSet), ...job });
    try {
      return await process.round();
    } finally {
      await process.end();
    }
  };
  const make = (folder: string, dataSet: string, records: number, codecs: CompressionCodec[]) =>
    once(`${folder} ${dataSet}`, async () => {
      say(`${dataSet}: making ${records.toLocaleString('en')} records`);
      return writeTopicLog(join(root, folder), dataSetOf(dataSet), records, codecs);
    });
  const log = (dataSet: string) => make('logs', dataSet, recordsOf(dataSet), codecsOf(dataSet));
  const flowLog = (dataSet: string) => {
    const records = flowRecordsOf(dataSet);
    return records === recordsOf(dataSet) ? log(dataSet) : make('flow-logs', dataSet, records, ['zstd']);
  };
  const segments = async (dataSet: string, codec: CompressionCodec = 'zstd') => (await log(dataSet)).folders[codec]!;
  return {
    path: (name) => join(root, name),
    log,
    flowLog,
    segments,
    file: (dataSet) =>
      once(`file ${dataSet}`, async () => {
        const out = join(root, `${dataSet}.parquet`);
        await convert({ dataSet, out });
        return out;
      }),
    smallFiles: (dataSet, count) =>
      once(`small files ${dataSet}`, async () => {
        const location = join(root, `${dataSet}-small`);
        mkdirSync(join(location, 'data'), { recursive: true });
        const { records } = await log(dataSet);
        await convert({ dataSet, out: join(location, 'data', 'small'), recordsPerFile: Math.ceil(records / count) });
        return location;
      }),
    remove,
  };
}
