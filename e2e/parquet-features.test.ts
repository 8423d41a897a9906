import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ColumnBatch } from '@millrace/columns';
import {
  type CodecName,
  createParquetWriter,
  type EncodingName,
  type ParquetWriterOptions,
  type Row,
  vectorsFromRows,
} from '@millrace/parquet';
import { type ColumnType, decimalText, type TableSchema } from '@millrace/schema';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectSameRows } from './peers/canonical-rows.ts';
import { requirePeers } from './peers/peers.ts';
import { runPython } from './peers/python.ts';
import { createScratch, type Scratch } from './system/scratch.ts';

// Every encoding, codec and page version of our files, read by pyarrow (checksums verified) and DuckDB, values compared.

const ROWS = 3000;
let state = Number(process.env['MILLRACE_SEED'] ?? 20_261_123);
const random = (below: number) => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const bits = (count: number) =>
  BigInt.asIntN(count, BigInt(random(2 ** 32)) * BigInt(random(2 ** 32)) * 7n + BigInt(random(100)));

/** Some types, with values near each other, far from each other, and at the ends of what they hold. */
const TYPES: Record<string, [ColumnType, (row: number) => unknown]> = {
  flag: [{ kind: 'boolean' }, (row) => (row % 700 < 300 ? row % 2 === 0 : random(9) > 0)],
  small: [{ kind: 'int' }, (row) => (row % 5 === 0 ? Number(bits(32)) : row * 3)],
  large: [
    { kind: 'long' },
    (row) => (row % 5 === 0 ? bits(64) : row % 7 === 0 ? 2n ** 63n - 1n : BigInt(row) - 2n ** 63n),
  ],
  narrow: [{ kind: 'float' }, (row) => Math.fround(random(1000) / 8 - row)],
  wide: [{ kind: 'double' }, (row) => [row / 7, -0, Number.NaN, Number.NEGATIVE_INFINITY, 1e-300][row % 5]],
  cents: [{ kind: 'decimal', precision: 9, scale: 2 }, () => BigInt(random(2e9) - 1e9)],
  money: [{ kind: 'decimal', precision: 18, scale: 4 }, () => bits(58)],
  huge: [{ kind: 'decimal', precision: 38, scale: 10 }, (row) => bits(64) * 10n ** BigInt(row % 19)],
  day: [{ kind: 'date' }, (row) => row - 1000],
  clock: [{ kind: 'time' }, (row) => BigInt(row) * 28_000_000n],
  instant: [{ kind: 'timestamp', adjusted: true }, (row) => BigInt(row) * 1_000_003n - 10n ** 9n],
  local: [{ kind: 'timestamp', adjusted: false }, () => bits(56)],
  text: [
    { kind: 'string' },
    (row) => (row % 3 ? `customer ${row}` : ['', 'Zürich', '漢字 \u{1f600}'][random(3)]!.repeat(random(4))),
  ],
  blob: [{ kind: 'binary' }, (row) => Buffer.from(`blob-${row % 97}`.repeat(random(3)))],
  block: [{ kind: 'fixed', length: 5 }, (row) => Buffer.from([row >> 8, row, 0, random(256), 255])],
};

const LEGAL: Record<EncodingName, string[]> = {
  plain: Object.keys(TYPES),
  rle_dictionary: Object.keys(TYPES).filter((name) => name !== 'flag'),
  rle: ['flag'],
  delta_binary_packed: ['small', 'large', 'cents', 'money', 'day', 'clock', 'instant', 'local'],
  delta_length_byte_array: ['text', 'blob'],
  delta_byte_array: ['text', 'blob', 'huge', 'block'],
  byte_stream_split: [
    'small',
    'large',
    'narrow',
    'wide',
    'cents',
    'money',
    'huge',
    'day',
    'clock',
    'instant',
    'local',
    'block',
  ],
};
const CODECS: CodecName[] = ['zstd', 'snappy', 'gzip', 'lz4_raw', 'none'];

interface Written {
  name: string;
  types: string[];
  options: ParquetWriterOptions;
  duckdb: boolean;
}

const FILES: Written[] = ([1, 2] as const).flatMap((pageVersion) => [
  ...Object.entries(LEGAL).map(([encoding, types], at): Written => {
    const paths = types.flatMap((name) => [name, `${name}s.list.element.${name}`]);
    const columns = Object.fromEntries(paths.map((path) => [path, { encoding: encoding as EncodingName }]));
    const options = { pageVersion, columns, codec: CODECS[(at + pageVersion) % 5]! };
    // DuckDB 1.5 takes byte streams of floats and doubles only.
    return { name: `${encoding}-v${pageVersion}`, types, options, duckdb: encoding !== 'byte_stream_split' };
  }),
  ...CODECS.map((codec): Written => {
    const options = { pageVersion, codec, encodings: 'compact' as const, readers: ['duckdb', 'pyarrow'] };
    return { name: `compact-${codec}-v${pageVersion}`, types: Object.keys(TYPES), options, duckdb: true };
  }),
]);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await createScratch('parquet');
});
afterAll(() => scratch.remove());

/** Each type on its own, and in a list of structs. */
function schemaOf(types: string[]): TableSchema {
  let id = 0;
  const field = (name: string, type: ColumnType, required = false) => ({ id: ++id, name, type, required });
  const fields = types.flatMap((name) => {
    const [type] = TYPES[name]!;
    const element: ColumnType = { kind: 'struct', fields: [field(name, type)] };
    return [field(name, type), field(`${name}s`, { kind: 'list', elementId: ++id, element, elementRequired: false })];
  });
  const kafka = [field('partition', { kind: 'int' }, true), field('offset', { kind: 'long' }, true)];
  fields.push(field('_kafka', { kind: 'struct', fields: kafka }, true));
  return { schemaId: 0, fields, lastColumnId: id };
}

function rowOf(types: string[], at: number): Row {
  const row: Row = { _kafka: { partition: 0, offset: BigInt(at) } };
  for (const name of types) {
    const value = (n: number) => (random(8) === 0 ? null : TYPES[name]![1](n));
    row[name] = value(at);
    row[`${name}s`] =
      random(9) === 0
        ? null
        : Array.from({ length: random(4) }, (_, n) => (random(8) === 0 ? null : { [name]: value(at + n) }));
  }
  return row;
}

/** A value in the canonical form of peers/README.md. */
function canonical(type: ColumnType, value: unknown): string {
  if (value === null) return 'null';
  switch (type.kind) {
    case 'float':
    case 'double': {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(value as number);
      return Number.isNaN(value) ? '"NaN"' : `"${bytes.toString('hex')}"`;
    }
    case 'decimal':
      return `"${decimalText(value as bigint, type.scale)}"`;
    case 'binary':
    case 'fixed':
      return `"x${Buffer.from(value as Uint8Array).toString('hex')}"`;
    case 'string':
      return JSON.stringify(value);
    case 'list':
      return `[${(value as unknown[]).map((element) => canonical(type.element, element)).join(',')}]`;
    case 'struct': {
      const fields = type.fields.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      const members = fields.map((f) => `${JSON.stringify(f.name)}:${canonical(f.type, (value as Row)[f.name])}`);
      return `{${members.join(',')}}`;
    }
    default:
      return String(value);
  }
}

async function write(name: string, schema: TableSchema, rows: Row[], options: ParquetWriterOptions): Promise<string> {
  const parts: Uint8Array[] = [];
  const sink = async (bytes: Uint8Array) => void parts.push(bytes.slice());
  const writer = createParquetWriter({ schema, sink, options });
  for (let at = 0; at < rows.length; at += 500) {
    const batch: ColumnBatch = vectorsFromRows(schema, rows.slice(at, at + 500));
    await writer.append(batch);
  }
  await writer.finish();
  const path = join(scratch.outDir, `${name}.parquet`);
  await writeFile(path, Buffer.concat(parts));
  return path;
}

test.for(FILES)('$name: pyarrow and DuckDB read the values that were written', async (file, context) => {
  const { python } = await requirePeers(context, 'python');
  const schema = schemaOf(file.types);
  const rows = Array.from({ length: ROWS }, (_, at) => rowOf(file.types, at));
  const options = { ...file.options, pageChecksums: true, pageRows: 700, rowGroupRows: 2000 };
  const path = await write(file.name, schema, rows, options);
  const expected = join(scratch.outDir, `${file.name}.jsonl`);
  const whole: ColumnType = { kind: 'struct', fields: schema.fields };
  await writeFile(expected, rows.map((row) => `${canonical(whole, row)}\n`).join(''));
  const found = `${expected}.found`;
  await runPython(python, 'read_pyarrow.py', [path, found]);
  expect((await expectSameRows(`${file.name} by pyarrow`, expected, found)).rows).toBe(ROWS);
  if (!file.duckdb) return;
  await runPython(python, 'read_duckdb.py', ['parquet', path, found]);
  expect((await expectSameRows(`${file.name} by DuckDB`, expected, found)).rows).toBe(ROWS);
});

interface Features {
  createdBy: string;
  sorting: [number, boolean, boolean][][];
  encodings: Record<string, string[]>;
  excluded: Record<string, boolean[]>;
  checksums: number | string;
  arrow: Record<string, string>;
  duckdb: Record<string, string>;
  variants: Record<string, string[]>;
}

test('Bloom filters, sorting columns, checksums, encodings, nanoseconds and variants are what others take them for', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const types: Record<string, ColumnType> = {
    id: { kind: 'long' },
    name: { kind: 'string' },
    at: { kind: 'timestamp_ns', adjusted: true },
    at_local: { kind: 'timestamp_ns', adjusted: false },
    any: { kind: 'variant' },
    key: { kind: 'uuid' },
  };
  const fields = Object.entries(types).map(([name, type], i) => ({ id: i + 1, name, type, required: false }));
  const texts = ['{"a":[1,2.50,"x"],"b":{"c":null}}', '"text"', '[true,-1,12345678901234]', '1.5', '[]'];
  const rows = Array.from({ length: 4000 }, (_, i) => ({
    id: BigInt(i) * 2n,
    name: `name ${i}`,
    at: BigInt(i) + 10n ** 18n,
    at_local: null,
    any: texts[i % 5]!,
    key: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
  }));
  const path = await write('features', { schemaId: 0, fields, lastColumnId: 6 }, rows, {
    rowGroupRows: 2000,
    pageRows: 500,
    pageChecksums: true,
    sortingColumns: [{ column: 'id' }, { column: 'name', descending: true }],
    columns: {
      id: { bloomFilter: { falsePositiveRate: 0.001 }, encoding: 'delta_binary_packed' },
      name: { bloomFilter: true, encoding: 'delta_byte_array' },
      key: { bloomFilter: true },
    },
  });
  const seen = (column: string, ...values: string[]) =>
    runPython<Features>(python, 'parquet_features.py', [path, column, ...values]);
  const ids = await seen('id', '0', '3998', '4000', '7998', '1', '99999', '-2');
  expect(ids).toMatchObject({
    createdBy: 'millrace version 0.1.0',
    sorting: [0, 1].map(() => [
      [0, false, true],
      [1, true, false],
    ]),
    excluded: { 0: [false, true], 3998: [false, true], 4000: [true, false], 7998: [true, false] },
    checksums: 4000,
    arrow: { at: 'timestamp[ns, tz=UTC]', at_local: 'timestamp[ns]' },
    duckdb: { any: 'VARIANT', at: 'TIMESTAMP WITH TIME ZONE', at_local: 'TIMESTAMP_NS', key: 'UUID' },
  });
  for (const absent of ['1', '99999', '-2']) expect(ids.excluded[absent]).toEqual([true, true]);
  expect([ids.encodings['id'], ids.encodings['name']]).toEqual([
    ['DELTA_BINARY_PACKED', 'RLE'],
    ['DELTA_BYTE_ARRAY', 'RLE'],
  ]);
  expect(ids.variants['any']!.slice(0, 5).map((text) => JSON.parse(text))).toEqual(
    texts.map((text) => JSON.parse(text)),
  );
  expect((await seen('name', 'name 1999', 'name 4000')).excluded).toEqual({
    'name 1999': [false, true],
    'name 4000': [true, true],
  });

  // One bit of a page of the names: pyarrow says so.
  const bytes = await readFile(path);
  bytes[500]! ^= 1;
  await writeFile(path, bytes);
  expect(String((await seen('name')).checksums)).toMatch(/CRC/);
});
