import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createParquetWriter, openParquet, type Predicate, type Row, rowsFromBatch } from '@millrace/parquet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requirePeers, type SkippableTest } from './peers/peers.ts';
import { runPython } from './peers/python.ts';
import { createScratch, type Scratch } from './system/scratch.ts';

// Files by pyarrow, DuckDB and delta-rs, with every codec, page version and encoding that they write, read by us: all of
// each, some rows, rows by predicates; and written again without a vector in between.

const SEED = process.env['MILLRACE_SEED'] ?? '20261123';
interface Made {
  rows: Row[];
  files: string[];
}

let scratch: Scratch;
let making: Promise<Made> | undefined;
beforeAll(async () => {
  scratch = await createScratch('parquet-of-others');
});
afterAll(() => scratch.remove());

async function made(context: SkippableTest): Promise<Made> {
  const { python } = await requirePeers(context, 'python');
  making ??= runPython<Made>(python, 'write_parquet.py', [scratch.outDir, SEED], 120_000);
  return making;
}

/** As write_parquet.py prints it. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  return value;
}

const open = (bytes: Uint8Array, name: string) =>
  openParquet({ size: bytes.length, read: async (start, end) => bytes.subarray(start, end) }, { name });

type File = Awaited<ReturnType<typeof open>>;

async function rowsOf(file: File, options: Parameters<File['read']>[0] = {}): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of file.read(options)) rows.push(...rowsFromBatch(batch).map((row) => plain(row) as Row));
  return rows;
}

async function eachFile(
  context: SkippableTest,
  check: (file: File, rows: Row[], name: string) => Promise<void>,
): Promise<void> {
  const { rows: expected, files } = await made(context);
  expect(files.length).toBeGreaterThan(40);
  for (const name of files) {
    const file = await open(await readFile(join(scratch.outDir, name)), name);
    const names = file.schema.fields.map((field) => field.name);
    await check(
      file,
      expected.map((row) => Object.fromEntries(names.map((column) => [column, row[column]]))),
      name,
    );
  }
}

test('every row of every file', async (context) => {
  await eachFile(context, async (file, rows, name) => {
    expect(await rowsOf(file, { batchRows: 333 }), name).toEqual(rows);
  });
}, 180_000);

test('some rows, by number', async (context) => {
  const ranges = [0, 1, 398, 399, 401, 640, 899].map((start, i) => ({ start, end: start + 1 + 3 * i }));
  const wanted = (_: Row, row: number) => ranges.some(({ start, end }) => row >= start && row < end);
  await eachFile(context, async (file, rows, name) => {
    expect(await rowsOf(file, { rows: ranges, batchRows: 5 }), name).toEqual(rows.filter(wanted));
  });
}, 180_000);

test('rows by predicates, by statistics and page indexes where there are some', async (context) => {
  const predicates: [Predicate[], (row: Row) => boolean][] = [
    [
      [{ column: 'id', op: 'in', values: [0, 399, 400, 777, 5000] }],
      (row) => ['0', '399', '400', '777'].includes(row['id'] as string),
    ],
    [[{ column: 'int', op: '<', value: -2e9 }], (row) => row['int'] !== null && (row['int'] as number) < -2e9],
    [[{ column: 'long', op: '=', value: -(2n ** 63n) }], (row) => row['long'] === String(-(2n ** 63n))],
    [
      [
        { column: 'text', op: '=', value: '漢字' },
        { column: 'flag', op: '=', value: true },
      ],
      (row) => row['text'] === '漢字' && row['flag'] === true,
    ],
    [[{ column: 'huge', op: '<', value: 0n }], (row) => row['huge'] !== null && BigInt(row['huge'] as string) < 0n],
    [
      [{ column: 'millis', op: '>', value: 10n ** 15n }],
      (row) => row['millis'] !== null && BigInt(row['millis'] as string) > 10n ** 15n,
    ],
    [
      [{ column: 'struct.y.z', op: 'is-null' }],
      (row) => ((row['struct'] as { y: { z: unknown } | null } | null)?.y?.z ?? null) === null,
    ],
  ];
  await eachFile(context, async (file, rows, name) => {
    for (const [where, fulfils] of predicates)
      expect(await rowsOf(file, { where }), `${name}: ${where[0]!.column}`).toEqual(rows.filter(fulfils));
  });
}, 180_000);

test('written again from levels, values and entries of dictionaries', async (context) => {
  await eachFile(context, async (file, rows, name) => {
    const parts: Uint8Array[] = [];
    const writer = createParquetWriter({
      schema: file.schema,
      sink: async (bytes) => void parts.push(bytes.slice()),
      options: { pageRows: 250 },
    });
    for await (const batch of file.read()) {
      expect(batch.leaves(), name).toBeDefined();
      await writer.append(batch);
    }
    await writer.finish();
    expect(await rowsOf(await open(Buffer.concat(parts), name)), name).toEqual(rows);
  });
}, 180_000);
