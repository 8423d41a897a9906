import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CompressionCodec } from '@millrace/kafka-log';
import { startArrowAvro } from './arrow-avro.ts';
import { dataSetOf } from './data-sets/index.ts';
import { startFlow } from './flow.ts';
import type { Job } from './measured/job.ts';
import { startJob } from './measured-process.ts';
import type { Group, Measurement, Ratio, ResultSource } from './measurement.ts';
import { type PythonJob, startPythonJob } from './python-process.ts';
import type { Workspace } from './workspace.ts';

export interface GroupOptions {
  workspace: Workspace;
  /** Undefined: what needs it is left out. */
  python: string | undefined;
  /** The program of Rust's arrow-avro; undefined: left out. */
  arrowAvro: string | undefined;
  quick: boolean;
}

const SMALL_FILES = 64;
const PARQUETJS_ROWS = 10_000;

/** All that is measured, in the groups in which it is measured. */
export function defineGroups(options: GroupOptions): Group[] {
  const { workspace, python, arrowAvro, quick } = options;
  const ours = (results: ResultSource[], job: () => Promise<Job>): Measurement => ({
    results,
    start: async () => startJob(await job()),
  });
  const theirs = (name: string, job: () => Promise<PythonJob>): Measurement[] =>
    python === undefined ? [] : [{ results: [{ name }], start: async () => startPythonJob(python, await job()) }];
  const ratio = (of: string, to: string, dataSet: string): Ratio => ({ of, to, reference: `${to}/${dataSet}` });

  const conversion = (dataSet: string, codec: CompressionCodec = 'zstd', more: ResultSource[] = []): Measurement =>
    ours([{ name: `pipeline/${dataSet}/${codec}`, shared: true }, ...more], async () => ({
      kind: 'conversion',
      dataSet,
      folder: await workspace.segments(dataSet, codec),
      out: workspace.path(`${dataSet}-${codec}-measured.parquet`),
    }));
  const decoding = (name: string, dataSet: string): Measurement =>
    ours([{ name }], async () => ({ kind: 'decoding', dataSet, folder: await workspace.segments(dataSet) }));
  const objects = (by: 'avsc' | 'protobuf-es' | 'JSON.parse', dataSet: string): Measurement =>
    ours([{ name: `${by}/${dataSet}` }], async () => ({
      kind: 'object-decoding',
      by,
      dataSet,
      folder: await workspace.segments(dataSet),
    }));
  const pyarrowWrite = (dataSet: string, dictionaries: 'same' | 'default'): Measurement[] => {
    const name = dictionaries === 'same' ? 'pyarrow-write' : 'pyarrow-write-defaults';
    return theirs(`${name}/${dataSet}`, async () => ({
      kind: 'pyarrow-write',
      dictionaries,
      files: [await workspace.file(dataSet)],
      out: workspace.path(`${dataSet}-${name}.parquet`),
      bytes: (await workspace.log(dataSet)).rawBytes,
    }));
  };

  const flow = (dataSet: string): Measurement => ({
    results: [{ name: `flow/${dataSet}/zstd`, shared: true }],
    start: async () => {
      const root = workspace.path(`flow-${dataSet}`);
      return startFlow({ dataSet: dataSetOf(dataSet), log: await workspace.flowLog(dataSet), codec: 'zstd', root });
    },
  });
  const otherFlow = (dataSet: string): Measurement[] => (quick ? [] : [flow(dataSet)]);

  const orders: Group = {
    measurements: [
      conversion('orders', 'zstd', [
        { name: 'read/orders/zstd', part: 'read' },
        { name: 'encode/orders', part: 'encode' },
      ]),
      ours([{ name: 'encode/orders/no-codec', part: 'encode' }], async () => ({
        kind: 'conversion',
        dataSet: 'orders',
        codec: 'none',
        folder: await workspace.segments('orders'),
        out: workspace.path('orders-no-codec.parquet'),
      })),
      decoding('decode/orders/avro', 'orders'),
      flow('orders'),
      ...pyarrowWrite('orders', 'same'),
      ...pyarrowWrite('orders', 'default'),
      ...theirs('duckdb-copy/orders', async () => ({
        kind: 'duckdb-copy',
        files: [await workspace.file('orders')],
        out: workspace.path('orders-duckdb.parquet'),
        bytes: (await workspace.log('orders')).rawBytes,
      })),
      ours([{ name: 'parquetjs-lite/orders' }], async () => ({
        kind: 'parquetjs',
        file: await workspace.file('orders'),
        out: workspace.path('orders-parquetjs.parquet'),
        records: PARQUETJS_ROWS,
      })),
      objects('avsc', 'orders'),
      ...(arrowAvro === undefined
        ? []
        : [{ results: [{ name: 'arrow-avro/orders' }], start: () => startArrowAvro(arrowAvro, workspace, 'orders') }]),
    ],
    ratios: [
      ...['flow/orders/zstd', 'pipeline/orders/zstd', 'encode/orders'].flatMap((of) => [
        ratio(of, 'pyarrow-write', 'orders'),
        ratio(of, 'pyarrow-write-defaults', 'orders'),
      ]),
      { of: 'flow/orders/zstd', to: 'pipeline', reference: 'pipeline/orders/zstd' },
      ratio('encode/orders', 'duckdb-copy', 'orders'),
      ratio('encode/orders', 'parquetjs-lite', 'orders'),
      ratio('decode/orders/avro', 'arrow-avro', 'orders'),
      ratio('decode/orders/avro', 'avsc', 'orders'),
    ],
  };

  const otherEncoding = (dataSet: string, encoding: string, by: 'protobuf-es' | 'JSON.parse'): Group => ({
    measurements: [
      conversion(dataSet),
      decoding(`decode/orders/${encoding}`, dataSet),
      objects(by, dataSet),
      ...otherFlow(dataSet),
    ],
    ratios: [ratio(`decode/orders/${encoding}`, by, dataSet)],
  });

  const shape = (dataSet: string): Group => ({
    measurements: [
      conversion(dataSet, 'zstd', [
        { name: `decode/${dataSet}`, part: 'decode' },
        { name: `encode/${dataSet}`, part: 'encode' },
      ]),
      ...pyarrowWrite(dataSet, 'same'),
      ...otherFlow(dataSet),
    ],
    ratios: [`flow/${dataSet}/zstd`, `pipeline/${dataSet}/zstd`, `encode/${dataSet}`].map((of) =>
      ratio(of, 'pyarrow-write', dataSet),
    ),
  });

  const codecs: Group = {
    measurements: (['lz4', 'snappy', 'gzip', 'none'] as const).map((codec) =>
      conversion('orders', codec, [{ name: `read/orders/${codec}`, part: 'read' }]),
    ),
    ratios: [],
  };

  const smallFiles = async () => {
    const data = join(await workspace.smallFiles('orders', SMALL_FILES), 'data');
    return readdirSync(data).map((name) => join(data, name));
  };
  const rewrite: Group = {
    measurements: [
      ours([{ name: 'rewrite/orders' }], async () => ({
        kind: 'rewriting',
        location: await workspace.smallFiles('orders', SMALL_FILES),
      })),
      ...(['duckdb-rewrite', 'pyarrow-rewrite'] as const).flatMap((kind) =>
        theirs(`${kind}/orders`, async () => ({
          kind,
          files: await smallFiles(),
          out: workspace.path(`orders-${kind}.parquet`),
        })),
      ),
    ],
    ratios: [
      { of: 'rewrite/orders', to: 'duckdb-copy', reference: 'duckdb-rewrite/orders' },
      { of: 'rewrite/orders', to: 'pyarrow', reference: 'pyarrow-rewrite/orders' },
    ],
  };
  const scan: Group = {
    measurements: [
      ours([{ name: 'scan/orders' }], async () => ({ kind: 'scanning', files: [await workspace.file('orders')] })),
      ...(['pyarrow-scan', 'duckdb-scan'] as const).flatMap((kind) =>
        theirs(`${kind}/orders`, async () => ({ kind, files: [await workspace.file('orders')] })),
      ),
    ],
    ratios: [ratio('scan/orders', 'pyarrow-scan', 'orders'), ratio('scan/orders', 'duckdb-scan', 'orders')],
  };

  return [
    orders,
    otherEncoding('orders-protobuf', 'protobuf', 'protobuf-es'),
    otherEncoding('orders-json', 'json', 'JSON.parse'),
    ...['wide', 'tiny', 'large', 'updates'].map(shape),
    ...(quick ? [] : [codecs]),
    rewrite,
    scan,
  ];
}

/** The group without what neither matches nor is compared with what does; undefined when nothing is left. */
export function narrowGroup(group: Group, matches: (name: string) => boolean): Group | undefined {
  const wanted = new Set(group.measurements.flatMap(({ results }) => results.map(({ name }) => name)).filter(matches));
  const ratios = group.ratios.filter(({ of }) => wanted.has(of));
  for (const { reference } of ratios) wanted.add(reference);
  const measurements = group.measurements.filter(({ results }) => results.some(({ name }) => wanted.has(name)));
  return measurements.length === 0 ? undefined : { measurements, ratios };
}
