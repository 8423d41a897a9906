import { deriveTableSchema, parseJsonSchema, type TableSchema } from '@millrace/schema';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import type { Decoder } from './avro-decoder.ts';
import { compileJsonDecoder, createJsonTextDecoder } from './json-decoder.ts';
import { type JsonShape, jsonModelOf, jsonShapes } from './json-models.test.fixture.ts';
import type { JsonModel } from './json-samples.test.fixture.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const SEED = 20261122;

function build(shape: JsonShape): JsonModel {
  const definitions = {};
  const model = jsonModelOf(shape, definitions);
  const schema = { ...(model.schema as object), $defs: definitions };
  return Object.assign({ ...model, schema }, { [fc.toStringMethod]: () => JSON.stringify(schema) });
}

const topics = (count: number) =>
  jsonShapes.chain((shape) => {
    const model = build(shape);
    const samples = fc.array(fc.option(model.sample, { freq: 10 }), { minLength: 1, maxLength: count });
    return samples.map((values) => ({ model, values }));
  });

const decodersOf = (model: JsonModel): { table: TableSchema; decoders: Decoder[] } => {
  const schema = parseJsonSchema(JSON.stringify(model.schema));
  const source = { value: { encoding: 'json' as const, schema }, key: { encoding: 'none' as const } };
  const table = deriveTableSchema({ ...source, kafkaColumns: ['partition'] });
  return { table, decoders: [true, false].map((generate) => compileJsonDecoder(schema, table, 'value', { generate })) };
};

/** Appends, leaving broken records out; answers the rows and which were broken. */
function decodeAll(table: TableSchema, value: Decoder, texts: (Uint8Array | null)[]) {
  const rows = createRowBuilder(table);
  const index = indexOf(texts);
  const decoders = { value, key: createPlainDecoder('none', table, 'key'), kafka: { partition: 7 } };
  const broken: { record: number; code: string; kind: string }[] = [];
  for (let at = 0; at < index.count; at++) {
    const { appended, error } = appendRecords(rows, decoders, index, at, index.count);
    at += appended;
    if (error) broken.push({ record: at, code: error.code, kind: error.kind });
  }
  return { rows: rowsOf(rows.batch()), broken };
}

describe('JSON decoders', () => {
  it('give what the text was made from, generated and interpreted alike', () => {
    fc.assert(
      fc.property(topics(12), ({ model, values }) => {
        const { table, decoders } = decodersOf(model);
        const texts = values.map((value) => value && new Uint8Array(Buffer.from(value.text)));
        const names = table.fields.slice(0, -1).map(({ name }) => name);
        const nulls = Object.fromEntries(names.map((name) => [name, null]));
        for (const decoder of decoders) {
          const { rows, broken } = decodeAll(table, decoder, texts);
          expect(broken).toEqual([]);
          expect(rows).toEqual(
            values.map((value) => expect.objectContaining(value === null ? nulls : (value.expected as object))),
          );
        }
      }),
      { seed: SEED, numRuns: 25 },
    );
  });

  it('agree on broken records, and leave nothing of them in the rows', () => {
    const mutation = fc.record({
      at: fc.nat(400),
      byte: fc.nat(255),
      cut: fc.option(fc.nat(400)),
      insert: fc.boolean(),
    });
    const noise = fc.constantFrom(...Buffer.from('{}[]",:0123456789.eE+-\\untrfals \n'));
    fc.assert(
      fc.property(
        topics(8),
        fc.array(mutation, { minLength: 8, maxLength: 8 }),
        fc.array(noise, { minLength: 8, maxLength: 8 }),
        ({ model, values }, mutations, likely) => {
          const { table, decoders } = decodersOf(model);
          const texts = values.map((value, i) => {
            if (value === null) return null;
            const { at, byte, cut, insert } = mutations[i]!;
            const bytes = [...Buffer.from(value.text)];
            if (i % 4 !== 3) bytes.splice(at % bytes.length, insert ? 0 : 1, i % 2 === 0 ? byte : likely[i]!);
            return Uint8Array.from(cut !== null && i % 3 === 0 ? bytes.slice(0, cut % (bytes.length + 1)) : bytes);
          });
          const [generated, interpreted] = decoders.map((decoder) => decodeAll(table, decoder, texts));
          expect(generated).toEqual(interpreted);
          for (const { code, kind } of generated!.broken)
            expect([code, kind]).toEqual(['record-undecodable', 'corrupt']);
          expect(generated!.rows.length + generated!.broken.length).toBe(values.length);
          for (const { record } of generated!.broken) texts[record] = null;
          // What was taken is JSON to others too.
          for (const text of texts)
            if (text !== null) JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text));
        },
      ),
      { seed: SEED, numRuns: 35 },
    );
  });

  it('without a schema take exactly what JSON.parse takes', () => {
    const table = deriveTableSchema({
      value: { encoding: 'json' },
      key: { encoding: 'none' },
      kafkaColumns: ['partition'],
    });
    const decoders = [true, false].map((generate) => createJsonTextDecoder(table, 'value', { generate }));
    const mutation = fc.tuple(
      fc.nat(60),
      fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:01.eE+-\\u '))),
      fc.nat(2),
    );
    const texts = fc
      .tuple(
        fc.json({ maxDepth: 3, stringUnit: fc.constantFrom(...'ab"\\/\n é€😀\u2028') }),
        fc.array(mutation, { maxLength: 2 }),
      )
      .map(([text, mutations]) => {
        const bytes = [...Buffer.from(text)];
        for (const [at, byte, how] of mutations)
          bytes.splice(at % (bytes.length + 1), how === 0 ? 0 : 1, ...(how === 2 ? [] : [byte]));
        return Uint8Array.from(bytes);
      });
    fc.assert(
      fc.property(fc.array(texts, { minLength: 1, maxLength: 20 }), (all) => {
        for (const decoder of decoders) {
          const { rows } = decodeAll(table, decoder, all);
          expect(rows.map((row) => row['value'])).toEqual(all.flatMap((text) => parsed(text)));
        }
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  it('decode objects too wide for one function, and their properties in any order', () => {
    const part = (kind: string, parts: JsonShape[] = []): JsonShape => ({ kind, scale: 1, parts });
    const object = part('object', [part('integer'), part('string'), part('array', [part('map', [part('number')])])]);
    const model = build(part('object', [...new Array<JsonShape>(70).fill(part('integer')), object, object, object]));
    const { table, decoders } = decodersOf(model);
    const samples = fc.sample(model.sample, { seed: SEED, numRuns: 6 });
    const texts = samples.map(({ text }) => new Uint8Array(Buffer.from(text)));
    for (const decoder of decoders) {
      const { rows, broken } = decodeAll(table, decoder, texts);
      expect(broken).toEqual([]);
      expect(rows).toEqual(samples.map(({ expected }) => expect.objectContaining(expected as object)));
    }
  });
});

/** The value column that a text must give; none when it is no JSON. */
function parsed(bytes: Uint8Array): (string | null)[] {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return [JSON.parse(text) === null ? null : text.replace(/^[ \t\n\r]+|[ \t\n\r]+$/g, '')];
  } catch {
    return [];
  }
}
