import { deriveTableSchema, parseAvroSchema, type TableSchema } from '@millrace/schema';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { compileAvroDecoder, type Decoder } from './avro-decoder.ts';
import { avscType, type Model, modelOf, type Shape, shapes } from './avro-models.test.fixture.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

// MILLRACE_FUZZ_ROUNDS makes the runs longer, MILLRACE_FUZZ_SEED others.
const SEED = Number(process.env['MILLRACE_FUZZ_SEED'] ?? 20_261_122);
const ROUNDS = process.env['MILLRACE_FUZZ_ROUNDS'] ? Number(process.env['MILLRACE_FUZZ_ROUNDS']) : undefined;
const LONG_MS = 30_000 + 500 * (ROUNDS ?? 0);

function build(shape: Shape): Model {
  let names = 0;
  const model = modelOf(shape, () => names++);
  return Object.assign(model, { [fc.toStringMethod]: () => JSON.stringify(model.avro) });
}

const topics = (count: number) =>
  shapes.chain((shape) => {
    const model = build(shape);
    return fc
      .array(fc.option(model.value, { freq: 10 }), { minLength: 1, maxLength: count })
      .map((values) => ({ model, values }));
  });

function tableOf(model: Model): TableSchema {
  const schema = parseAvroSchema(JSON.stringify(model.avro));
  return deriveTableSchema({
    value: { encoding: 'avro', schema },
    key: { encoding: 'none' },
    kafkaColumns: ['partition'],
  });
}

function decodersOf(model: Model, table: TableSchema): Decoder[] {
  const schema = parseAvroSchema(JSON.stringify(model.avro));
  return [true, false].map((generate) => compileAvroDecoder(schema, table, 'value', { generate }));
}

/** Appends, leaving broken records out; answers the rows and which were broken. */
function decodeAll(table: TableSchema, value: Decoder, index: ReturnType<typeof indexOf>) {
  const rows = createRowBuilder(table);
  const key = createPlainDecoder('none', table, 'key');
  const broken: { record: number; code: string; kind: string }[] = [];
  let at = 0;
  while (at < index.count) {
    const { appended, error } = appendRecords(rows, { value, key, kafka: { partition: 7 } }, index, at, index.count);
    at += appended;
    if (!error) break;
    broken.push({ record: at, code: error.code, kind: error.kind });
    at++;
  }
  return { rows: rowsOf(rows.batch()), broken };
}

const expectedRow = (model: Model, value: unknown, table: TableSchema) => {
  const names = table.fields.filter((field) => field.source === undefined).map((field) => field.name);
  const nulls = Object.fromEntries(names.map((name) => [name, null]));
  const fields = value === null || names.length === 0 ? nulls : (model.expected(value as never) as object);
  return expect.objectContaining(fields);
};

describe('Avro decoders', () => {
  it('give what avsc was given, generated and interpreted alike', { timeout: LONG_MS }, () => {
    fc.assert(
      fc.property(topics(12), ({ model, values }) => {
        const type = avscType(model.avro);
        const table = tableOf(model);
        const index = indexOf(values.map((value) => (value === null ? null : type.toBuffer(value))));
        for (const decoder of decodersOf(model, table)) {
          const { rows, broken } = decodeAll(table, decoder, index);
          expect(broken).toEqual([]);
          expect(rows).toEqual(values.map((value) => expectedRow(model, value, table)));
        }
      }),
      { seed: SEED, numRuns: ROUNDS ?? 120 },
    );
  });

  it('agree on broken records, and leave nothing of them in the rows', { timeout: LONG_MS }, () => {
    const mutation = fc.record({ at: fc.nat(200), byte: fc.nat(255), cut: fc.option(fc.nat(200)), extra: fc.nat(2) });
    fc.assert(
      fc.property(topics(8), fc.array(mutation, { minLength: 8, maxLength: 8 }), ({ model, values }, mutations) => {
        const type = avscType(model.avro);
        const table = tableOf(model);
        const index = indexOf(
          values.map((value, i) => {
            if (value === null) return null;
            const { at, byte, cut, extra } = mutations[i]!;
            const bytes = Buffer.from(type.toBuffer(value));
            if (i % 2 === 0 && bytes.length > 0) bytes[at % bytes.length] = byte;
            const end = cut !== null && i % 3 === 0 ? cut % (bytes.length + 1) : bytes.length;
            return Buffer.concat([bytes.subarray(0, end), Buffer.alloc(i % 5 === 4 ? extra : 0)]);
          }),
        );
        const [generated, interpreted] = decodersOf(model, table).map((decoder) => decodeAll(table, decoder, index));
        expect(generated).toEqual(interpreted);
        for (const { code, kind } of generated!.broken) expect([code, kind]).toEqual(['record-undecodable', 'corrupt']);
        expect(generated!.rows.length + generated!.broken.length).toBe(values.length);
      }),
      { seed: SEED, numRuns: ROUNDS ?? 150 },
    );
  });

  const leaves = (count: number): Shape[] =>
    Array.from({ length: count }, (_, i) =>
      i % 3 === 0 ? { kind: 'nullable', parts: [{ kind: 'string' }] } : { kind: i % 3 === 1 ? 'long' : 'boolean' },
    );
  const row = (count: number): Shape => ({ kind: 'record', parts: leaves(count) });
  const wide: [string, Shape][] = [
    ['a record of fields', row(90)],
    [
      'of structs, lists and maps',
      {
        kind: 'record',
        parts: Array.from({ length: 60 }, (_, i) => ({
          kind: 'record',
          parts: [
            { kind: 'long' },
            { kind: 'nullable', parts: [{ kind: 'string' }] },
            { kind: i % 2 ? 'array' : 'map', parts: [{ kind: 'enum', a: 3 }] },
          ],
        })),
      },
    ],
    [
      'an envelope of rows that may be null, one in the other',
      {
        kind: 'record',
        parts: [
          { kind: 'nullable', parts: [row(40)] },
          {
            kind: 'nullable',
            parts: [{ kind: 'record', parts: [...leaves(20), { kind: 'nullable', parts: [row(30)] }] }],
          },
          { kind: 'string' },
        ],
      },
    ],
    ['lists of wide records', { kind: 'record', parts: [{ kind: 'array', parts: [row(80)] }, ...leaves(30)] }],
    [
      'a union of wide records',
      {
        kind: 'record',
        parts: [
          { kind: 'union', parts: [row(40), row(41)] },
          { kind: 'array', parts: [{ kind: 'null' }] },
          ...leaves(20),
        ],
      },
    ],
  ];

  it.each(wide)('decode records too wide for one function: %s', (_name, shape) => {
    const model = build(shape);
    const table = tableOf(model);
    const type = avscType(model.avro);
    const values = fc.sample(model.value, { seed: SEED, numRuns: 24 });
    const whole = values.map((value) => type.toBuffer(value));
    const encoded = whole.flatMap((bytes, i) => [
      bytes,
      i % 4 === 0 ? bytes.subarray(0, (bytes.length * i) / 24) : null,
    ]);
    const [generated, interpreted] = decodersOf(model, table).map((decoder) =>
      decodeAll(table, decoder, indexOf(encoded)),
    );
    expect(generated).toEqual(interpreted);
    expect(generated!.broken.map(({ record }) => record)).toEqual([1, 9, 17, 25, 33, 41]);
    const rows = generated!.rows.filter((_, i) => encoded.filter((__, n) => n % 8 !== 1)[i] !== null);
    expect(rows).toEqual(values.map((value) => expectedRow(model, value, table)));
  });
});
