import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decimalBytes, encodeVariant, variantToJson } from '@millrace/columns';
import type { ColumnType, TableSchema } from '@millrace/schema';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import { hasBloomFilter } from './bloom-filter.ts';
import { flattenSchema, type Leaf } from './leaf.ts';
import { decompressLz4Block } from './lz4-block.ts';
import { openBytes, rowsOf, tableOf, writeRows } from './memory-file.fixture.ts';
import type { Row } from './rows.ts';
import { type EncodingName, PHYSICAL_OF } from './value-encoding.ts';
import type { ColumnOptions } from './writer-options.ts';

// Random tables through the writer, and back by two readers: our own, and hyparquet, which is not ours.

let nextId = 100;
const id = () => ++nextId;

const longs = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, -(2n ** 32n)),
);
const unscaled = (precision: number) =>
  fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n });

/** As variants come back: members in the order of their names, doubles as JavaScript writes them. */
function asVariantText(value: unknown): string {
  const { metadata, value: bytes } = encodeVariant(JSON.stringify(value));
  return variantToJson(metadata, bytes);
}

const { value: variants } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.maxSafeInteger(), fc.string({ unit: 'grapheme' })),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.string({ maxLength: 2 }), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

const leafTypes: [ColumnType, fc.Arbitrary<unknown>][] = [
  [{ kind: 'boolean' }, fc.boolean()],
  [{ kind: 'int' }, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
  [{ kind: 'long' }, longs],
  [{ kind: 'float' }, fc.float()],
  [{ kind: 'double' }, fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Number.NEGATIVE_INFINITY))],
  [{ kind: 'decimal', precision: 9, scale: 0 }, unscaled(9)],
  [{ kind: 'decimal', precision: 18, scale: 0 }, unscaled(18)],
  [{ kind: 'decimal', precision: 38, scale: 0 }, unscaled(38)],
  [{ kind: 'date' }, fc.integer({ min: -100_000, max: 100_000 })],
  [{ kind: 'time' }, fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  [{ kind: 'timestamp', adjusted: true }, longs],
  [{ kind: 'timestamp', adjusted: false }, longs],
  [{ kind: 'timestamp_ns', adjusted: true }, longs],
  [{ kind: 'timestamp_ns', adjusted: false }, longs],
  [{ kind: 'variant' }, variants.map(asVariantText)],
  [{ kind: 'string' }, fc.oneof(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.constantFrom('a', 'b', ''))],
  [{ kind: 'uuid' }, fc.uuid()],
  [{ kind: 'fixed', length: 5 }, fc.uint8Array({ minLength: 5, maxLength: 5 })],
  [{ kind: 'binary' }, fc.uint8Array({ maxLength: 9 })],
];
const leaves = fc.nat({ max: leafTypes.length - 1 }).map((i) => leafTypes[i]!);

type Sample = [ColumnType, fc.Arbitrary<unknown>];
const optional = (values: fc.Arbitrary<unknown>, required: boolean) => (required ? values : fc.option(values));

const types: fc.Arbitrary<Sample> = fc.letrec<{ type: Sample }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3 },
    leaves,
    fc
      .tuple(tie('type'), fc.boolean())
      .map(
        ([[element, values], elementRequired]): Sample => [
          { kind: 'list', elementId: id(), element, elementRequired },
          fc.array(optional(values, elementRequired), { maxLength: 4 }),
        ],
      ),
    fc.tuple(tie('type'), fc.boolean()).map(
      ([[value, values], valueRequired]): Sample => [
        { kind: 'map', keyId: id(), key: { kind: 'string' }, valueId: id(), value, valueRequired },
        fc
          .uniqueArray(fc.tuple(fc.string({ maxLength: 3 }), optional(values, valueRequired)), {
            maxLength: 3,
            selector: ([key]) => key,
          })
          .map((entries) => new Map(entries)),
      ],
    ),
    fc.array(fc.tuple(tie('type'), fc.boolean()), { minLength: 1, maxLength: 3 }).map(
      (fields): Sample => [
        {
          kind: 'struct',
          fields: fields.map(([[type], required], i) => ({ id: id(), name: `f${i}`, type, required })),
        },
        fc.record(Object.fromEntries(fields.map(([[, values], required], i) => [`f${i}`, optional(values, required)]))),
      ],
    ),
  ),
})).type;

/** An encoding of its own, and a Bloom filter, for some of the leaves. */
function someEncodings(schema: TableSchema): fc.Arbitrary<Record<string, ColumnOptions>> {
  const { leaves } = flattenSchema(schema, true);
  const optionsOf = (leaf: Leaf) => {
    const legal = (Object.keys(PHYSICAL_OF) as EncodingName[]).filter((name) =>
      PHYSICAL_OF[name].includes(leaf.physical),
    );
    const bloomFilter = hasBloomFilter(leaf.physical) && { maxBytes: 4096 };
    return fc.option(fc.constantFrom(...legal)).map((encoding) => (encoding === null ? {} : { encoding, bloomFilter }));
  };
  return fc
    .tuple(...leaves.map(optionsOf))
    .map((options) => Object.fromEntries(leaves.map((leaf, i) => [leaf.path.join('.'), options[i]!])));
}

const tables = fc.array(fc.tuple(types, fc.boolean()), { minLength: 1, maxLength: 4 }).chain((columns) => {
  const names = columns.map((_, i) => `c${i}`);
  const schema = tableOf(
    Object.fromEntries(columns.map(([[type]], i) => [names[i]!, type])),
    names.filter((_, i) => columns[i]![1]),
  );
  const row = fc.record(
    Object.fromEntries(columns.map(([[, values], required], i) => [names[i]!, optional(values, required)])),
  );
  return fc.record({
    schema: fc.constant(schema),
    rows: fc.array(row, { maxLength: 60 }),
    options: fc.record({
      codec: fc.constantFrom('zstd' as const, 'snappy' as const, 'gzip' as const, 'lz4_raw' as const, 'none' as const),
      pageVersion: fc.constantFrom(1 as const, 2 as const),
      pageChecksums: fc.boolean(),
      encodings: fc.constantFrom('portable' as const, 'compact' as const),
      columns: someEncodings(schema),
      indexBytes: fc.constantFrom(0, 4 << 20),
      rowGroupRows: fc.integer({ min: 1, max: 70 }),
      pageRows: fc.integer({ min: 1, max: 30 }),
      batchRows: fc.integer({ min: 1, max: 60 }),
    }),
  });
});

/** A float as it is after it has been one. */
function rounded(type: ColumnType, value: unknown): unknown {
  if (value === null) return null;
  switch (type.kind) {
    case 'float':
      return Math.fround(value as number);
    case 'binary':
    case 'fixed':
      return Uint8Array.from(value as Uint8Array);
    case 'list':
      return (value as unknown[]).map((element) => rounded(type.element, element));
    case 'map':
      return new Map([...(value as Map<unknown, unknown>)].map(([k, v]) => [k, rounded(type.value, v)]));
    case 'struct':
      return Object.fromEntries(type.fields.map((f) => [f.name, rounded(f.type, (value as Row)[f.name])]));
    default:
      return value;
  }
}

const wanted = (schema: TableSchema, rows: Row[]): Row[] =>
  rows.map((row) => Object.fromEntries(schema.fields.map((f) => [f.name, rounded(f.type, row[f.name])])));

test('our reader gives back what was written, whatever the schema, pages and row groups', async () => {
  await fc.assert(
    fc.asyncProperty(tables, async ({ schema, rows, options }) => {
      const { bytes, stats } = await writeRows(schema, rows, options);
      const file = await openBytes(bytes);
      expect(stats).toMatchObject({ sizeBytes: bytes.length, recordCount: rows.length });
      expect(file.rowCount).toBe(rows.length);
      expect(file.schema.fields).toEqual(schema.fields);
      expect(await rowsOf(file.read({ batchRows: 7 }))).toEqual(wanted(schema, rows));
      expect(await rowsOf(file.readAs(schema))).toEqual(wanted(schema, rows));
    }),
    { seed: 20_261_122, numRuns: 150 },
  );
});

/** Values in hyparquet's forms: decimals as numbers, maps with string keys as objects. */
function asHyparquet(type: ColumnType, value: unknown): unknown {
  if (value === null) return null;
  switch (type.kind) {
    case 'decimal':
      return Number(value);
    case 'variant':
      // Integers of 64 bits are bigints there.
      return JSON.parse(value as string, (_, v) => (Number.isInteger(v) && (v | 0) !== v ? BigInt(v) : v));
    case 'list':
      return (value as unknown[]).map((element) => asHyparquet(type.element, element));
    case 'map':
      return Object.fromEntries([...(value as Map<string, unknown>)].map(([k, v]) => [k, asHyparquet(type.value, v)]));
    case 'struct':
      return Object.fromEntries(type.fields.map((f) => [f.name, asHyparquet(f.type, (value as Row)[f.name])]));
    default:
      return value;
  }
}

test('hyparquet reads the same rows', async () => {
  await fc.assert(
    fc.asyncProperty(tables, async ({ schema, rows, options }) => {
      const { bytes } = await writeRows(schema, rows, options);
      const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
      const read = await parquetReadObjects({
        file: buffer,
        utf8: false,
        compressors: {
          ZSTD: (input) => zstdDecompressSync(input),
          GZIP: (input) => gunzipSync(input),
          LZ4_RAW: (input, size) => decompressLz4Block(input, size),
        },
        parsers: {
          timestampFromMicroseconds: (micros) => micros,
          timestampFromNanoseconds: (nanos) => nanos,
          dateFromDays: (days) => days,
        },
      });
      const expected = wanted(schema, rows).map((row) =>
        Object.fromEntries(schema.fields.map((f) => [f.name, asHyparquet(f.type, row[f.name])])),
      );
      expect(normal(read)).toEqual(normal(expected));
    }),
    { seed: 20_261_122, numRuns: 150 },
  );
});

/** Buffers and other byte arrays alike; undefined as null. */
function normal(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, normal(v)]));
  return value;
}

test('decimals take the fewest bytes of a fixed length', () => {
  expect([19, 20, 28, 38].map(decimalBytes)).toEqual([9, 9, 12, 16]);
});
