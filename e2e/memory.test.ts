import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from '@millrace/all-in-one';
import { parseSegmentFile } from '@millrace/kafka-log';
import { ENV_PREFIX } from '@millrace/parquet-converter';
import { ErrorPolicy } from '@millrace/proto/common';
import { SplitService } from '@millrace/proto/metadata_discovery';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { implement, type RpcServer, serve } from '@millrace/rpc';
import { toIcebergSchemaJson } from '@millrace/schema';
import { setLogLevel } from '@millrace/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DataSet } from './bench/data-sets/data-set.ts';
import { dataSetOf } from './bench/data-sets/index.ts';
import { writeTopicLog } from './bench/data-sets/topic-log.ts';
import { createDecoders } from './bench/measured/decoders.ts';
import { peakRssMegabytes } from './bench/process-cpu.ts';

/** What one converter may take of a machine at default settings, whatever the records are. */
const MOST_MEGABYTES = 300;
/** The same split is converted this often: what a split leaves behind adds up. */
const SPLITS = 2;

setLogLevel('silent');
let root: string;
let server: RpcServer | undefined;
let converter: ChildProcess | undefined;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-memory-'));
});
afterEach(async () => {
  converter?.kill('SIGKILL');
  await server?.stop(0);
  await rm(root, { recursive: true });
});

async function splitOf(dataSet: DataSet, records: number) {
  const log = await writeTopicLog(join(root, 'log'), dataSet, records, ['zstd']);
  const folder = log.folders.zstd!;
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
  const bases = names.map((name) => parseSegmentFile(name)!.baseOffset);
  const ranges = await Promise.all(
    names.map(async (name, i) => ({
      objectKey: `${basename(folder)}/${name}`,
      startByte: 0n,
      endByte: BigInt((await stat(join(folder, name))).size),
      startOffset: BigInt(bases[i]!),
      endOffset: BigInt(bases[i + 1] ?? records),
      segmentBaseOffset: BigInt(bases[i]!),
    })),
  );
  return {
    topic: dataSet.name,
    table: { namespace: 'bench', name: dataSet.name },
    location: `file://${join(root, 'table')}`,
    partition: 0,
    startOffset: 0n,
    endOffset: BigInt(records),
    ranges,
    errorPolicy: ErrorPolicy.SUSPEND,
    tableSchemaJson: toIcebergSchemaJson({ ...createDecoders(dataSet).table, schemaId: 1 }),
    keyFormat: { encoding: 'bytes', framing: 'none' },
    valueFormat: { encoding: dataSet.encoding, framing: 'confluent' },
  };
}

/** A process of parquet-converter at default settings, whose discovery hands out the split so many times. */
async function convert(dataSet: DataSet, records: number): Promise<{ rows: number; peakMegabytes: number }> {
  const split = await splitOf(dataSet, records);
  let leased = 0;
  let completed = 0;
  let rows = 0;
  const done = Promise.withResolvers<void>();
  const discovery = implement(SplitService, {
    async leaseSplit(_request, call) {
      if (leased < SPLITS) return { lease: { split: { ...split, splitId: `split${++leased}` }, epoch: 1n } };
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      return {};
    },
    heartbeatSplit: async () => ({}),
    async completeSplit({ files }) {
      rows += files.reduce((sum, file) => sum + Number(file.recordCount), 0);
      if (++completed === SPLITS) done.resolve();
      return {};
    },
    async failSplit({ error }) {
      done.reject(new Error(`a split failed: ${error?.message}`));
      return {};
    },
    resolveSchema: async () => ({ schemaType: dataSet.encoding, schemaText: dataSet.schemaText }),
  });
  const reader = implement(SegmentReaderService, {
    async *readSplit({ readableStores }) {
      yield { message: { case: 'plan', value: { ranges: split.ranges, storeId: readableStores[0]! } } };
    },
  });
  server = await serve({ name: 'test', host: '127.0.0.1', port: 0, services: [discovery, reader] });
  converter = fork(fileURLToPath(import.meta.resolve('@millrace/parquet-converter/main')), [], {
    execArgv: PROCESS_ARGUMENTS,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      ...process.env,
      ...PROCESS_ENVIRONMENT,
      [`${ENV_PREFIX}_PORT`]: '0',
      [`${ENV_PREFIX}_LOG_LEVEL`]: 'warn',
      [`${ENV_PREFIX}_DISCOVERY_ADDRESS`]: server.address,
      [`${ENV_PREFIX}_SEGMENT_READER_ADDRESS`]: server.address,
      [`${ENV_PREFIX}_LOG_STORE_URI`]: `file://${join(root, 'log', 'zstd')}`,
    },
  });
  converter.once('exit', (code, signal) => done.reject(new Error(`the converter ended: ${code ?? signal}`)));
  await done.promise;
  return { rows, peakMegabytes: peakRssMegabytes(converter.pid!)! };
}

// Enough of each for several row groups, or a whole one of 200 columns.
test.each([
  ['orders', 600_000],
  ['wide', 60_000],
  ['tiny', 1_500_000],
  ['large', 300],
])('%s: a converter keeps within its memory', async (name, records) => {
  const { rows, peakMegabytes } = await convert(dataSetOf(name), records);
  console.log(`${name}: ${records} records, peak ${peakMegabytes.toFixed(0)} MB`);
  expect(rows).toBe(SPLITS * records);
  expect(peakMegabytes).toBeLessThanOrEqual(MOST_MEGABYTES);
});
