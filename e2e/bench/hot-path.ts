import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { appendRecords, compileAvroDecoder, createPlainDecoder, createRowBuilder } from '@millrace/columns';
import { createRecordIndex } from '@millrace/kafka-log';
import { type CodecName, createParquetWriter, rowsFromBatch } from '@millrace/parquet';
import { deriveTableSchema, parseAvroSchema } from '@millrace/schema';
import { ORDER_SCHEMA, orderLog } from './orders.ts';

// The hot path, measured: record batches as they lie in a segment → records → columns → one Parquet file. CPU seconds a
// million records, by stage; the median of some rounds. `--python` names a Python with pyarrow, which then writes the
// same rows; parquetjs-lite writes a few of them, as the baseline.

const { values: flags } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    codec: { type: 'string', default: 'zstd' },
    python: { type: 'string' },
    baseline: { type: 'string', default: '20000' },
  },
});
const records = Number(flags.records);
/** What the reference machine needs, all stages together (CPU seconds a million records). */
const GOAL = 1.45;

const avro = parseAvroSchema(JSON.stringify(ORDER_SCHEMA));
const table = deriveTableSchema({
  value: { encoding: 'avro', schema: avro },
  key: { encoding: 'string' },
  kafkaColumns: ['partition', 'offset', 'timestamp'],
});
const decoders = {
  value: compileAvroDecoder(avro, table, 'value'),
  key: createPlainDecoder('string', table, 'key'),
  kafka: { partition: 0, op: 'append' as const },
};
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
const path = join(folder, 'orders.parquet');

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

interface Round {
  index: number;
  decode: number;
  write: number;
  total: number;
  wallSeconds: number;
  sizeBytes: number;
}

async function convert(batches: Uint8Array[], codec: CodecName, onBatch?: (rows: object[]) => void): Promise<Round> {
  const file = openSync(path, 'w');
  const writer = createParquetWriter({
    schema: table,
    sink: async (bytes) => void writeSync(file, bytes),
    options: { codec },
  });
  const index = createRecordIndex();
  const rows = createRowBuilder(table);
  const spent = { index: 0, decode: 0, write: 0 };
  let mark = cpuSeconds();
  const lap = (stage: keyof typeof spent) => {
    const now = cpuSeconds();
    spent[stage] += now - mark;
    mark = now;
  };
  const begin = { cpu: mark, wall: performance.now() };
  for (const [n, bytes] of batches.entries()) {
    index.add(bytes, 0, { segment: 'bench', startByte: 0 });
    if (index.byteLength < 1 << 20 && n < batches.length - 1) continue;
    lap('index');
    appendRecords(rows, decoders, index, 0, index.count);
    const batch = rows.batch();
    lap('decode');
    const flushed = writer.append(batch);
    if (flushed !== undefined) await flushed;
    lap('write');
    onBatch?.(rowsFromBatch(batch));
    rows.reset();
    index.clear();
  }
  const { sizeBytes } = await writer.finish();
  lap('write');
  closeSync(file);
  return { ...spent, total: cpuSeconds() - begin.cpu, wallSeconds: (performance.now() - begin.wall) / 1000, sizeBytes };
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

function pyarrow(python: string): { seconds: number; sizeBytes: number } {
  const out = join(folder, 'pyarrow.parquet');
  const script = `
import sys, time, pyarrow as pa, pyarrow.parquet as pq
pa.set_cpu_count(1)
table = pq.read_table(sys.argv[1], use_threads=False).combine_chunks()
best = []
for _ in range(3):
    begin = time.process_time()
    pq.write_table(table, sys.argv[2], compression='zstd', compression_level=1, row_group_size=262144, write_page_index=True)
    best.append(time.process_time() - begin)
print(sorted(best)[1])`;
  const run = spawnSync(python, ['-c', script, path, out], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${python} with pyarrow failed: ${run.stderr}`);
  return { seconds: Number(run.stdout), sizeBytes: statSync(out).size };
}

async function parquetjs(rows: Record<string, unknown>[]): Promise<number> {
  const { ParquetSchema, ParquetWriter } = createRequire(import.meta.url)('parquetjs-lite');
  const text = { type: 'UTF8', optional: true };
  const schema = new ParquetSchema({
    order_id: { type: 'INT64' },
    customer_id: { type: 'INT64' },
    status: text,
    created_at: { type: 'INT64' },
    total: { type: 'INT64' },
    currency: text,
    email: text,
    note: text,
    address: { fields: { city: text, zip: text } },
    items: { repeated: true, fields: { sku: text, quantity: { type: 'INT32' }, price: { type: 'DOUBLE' } } },
  });
  // It knows neither null, bigint nor decimals: what it can take is made before the clock starts.
  const simple = JSON.parse(
    JSON.stringify(rows, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value === null ? undefined : value,
    ),
  );
  const begin = cpuSeconds();
  const writer = await ParquetWriter.openFile(schema, join(folder, 'parquetjs.parquet'));
  for (const row of simple) await writer.appendRow(row);
  await writer.close();
  return cpuSeconds() - begin;
}

const perMillion = (seconds: number, count = records): number => (seconds * 1e6) / count;
const line = (name: string, seconds: number, note = '') =>
  console.log(`${name.padEnd(34)} ${perMillion(seconds).toFixed(3).padStart(8)}  ${note}`);

try {
  const { batches, rawBytes } = orderLog(records, 'zstd');
  const first: object[] = [];
  const baseline = Math.min(records, Number(flags.baseline));
  await convert(batches.slice(0, Math.ceil(baseline / 2000)), flags.codec as CodecName, (rows) => first.push(...rows));
  const bare: Round[] = [];
  const rounds: Round[] = [];
  for (let n = 0; n < Number(flags.rounds); n++) {
    bare.push(await convert(batches, 'none'));
    rounds.push(await convert(batches, flags.codec as CodecName));
  }
  const of = (stage: keyof Round, from = rounds) => median(from.map((round) => round[stage]));
  const encode = of('write', bare);
  console.log(`${records} orders, ${(rawBytes / 1e6).toFixed(1)} MB of keys and values, Node ${process.version}`);
  console.log(`${'CPU seconds a million records'.padEnd(34)} ${'median'.padStart(8)}`);
  line('CRC, decompress, index records', of('index'));
  line('Avro to columns', of('decode'));
  line('encode pages, statistics, index', encode, 'measured without a codec');
  line('compress pages', of('write') - encode, `${flags.codec}: what it adds`);
  line('total', of('total'), `goal on the reference machine: ${GOAL}`);
  const total = of('total');
  console.log(
    `${(records / total / 1e6).toFixed(2)} M records/s and ${(rawBytes / total / 1e6).toFixed(0)} MB/s a core; ` +
      `wall ${of('wallSeconds').toFixed(2)} s; file ${(of('sizeBytes') / 1e6).toFixed(1)} MB; ` +
      `peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB (the log itself: ${(batches.reduce((sum, b) => sum + b.length, 0) / 1e6).toFixed(0)} MB)`,
  );
  if (flags.python !== undefined) {
    const { seconds, sizeBytes } = pyarrow(flags.python);
    line(
      'pyarrow writes the same rows',
      seconds,
      `${(sizeBytes / 1e6).toFixed(1)} MB; ours: ${perMillion(of('write')).toFixed(3)}`,
    );
  }
  if (baseline > 0) {
    const seconds = await parquetjs(first.slice(0, baseline) as Record<string, unknown>[]);
    const each = perMillion(seconds, baseline);
    console.log(
      `${'parquetjs-lite writes such rows'.padEnd(34)} ${each.toFixed(3).padStart(8)}  ${baseline} rows, no codec; ` +
        `${(each / perMillion(of('write'))).toFixed(0)} times ours`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
