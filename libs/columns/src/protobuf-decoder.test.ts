import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import {
  deriveTableSchema,
  mainMessage,
  type ProtobufWriter,
  parseProtobufSchema,
  type TableSchema,
} from '@millrace/schema';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import type { Decoder } from './avro-decoder.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { compileProtobufDecoder } from './protobuf-decoder.ts';
import { descriptorOf, models, type ProtoModel, protoText } from './protobuf-models.test.fixture.ts';
import { comparable, jsonOf, rowOf } from './protobuf-values.test.fixture.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const SEED = 20261123;

function compiled(model: ProtoModel): { table: TableSchema; decoders: Decoder[] } {
  const file = parseProtobufSchema(protoText(model));
  const writer: ProtobufWriter = { message: mainMessage(file), types: file.types };
  const table = deriveTableSchema({
    value: { encoding: 'protobuf', schema: writer.message },
    key: { encoding: 'none' },
    kafkaColumns: ['partition'],
  });
  const decoders = [true, false].map((generate) => compileProtobufDecoder(writer, table, 'value', { generate }));
  return { table, decoders };
}

/** Appends, leaving broken records out; answers the rows and which were broken. */
function decodeAll(table: TableSchema, value: Decoder, index: ReturnType<typeof indexOf>) {
  const rows = createRowBuilder(table);
  const key = createPlainDecoder('none', table, 'key');
  const broken: { record: number; code: string; kind: string; message: string }[] = [];
  for (let at = 0; at < index.count; at++) {
    const { appended, error } = appendRecords(rows, { value, key, kafka: { partition: 7 } }, index, at, index.count);
    at += appended;
    if (error) broken.push({ record: at, code: error.code, kind: error.kind, message: error.message });
  }
  return { rows: rowsOf(rows.batch()), broken };
}

const topics = (count: number) =>
  models.chain((model) =>
    fc
      .array(fc.option(jsonOf(model), { freq: 10 }), { minLength: 1, maxLength: count })
      .map((values) => ({ model, values })),
  );

describe('Protobuf decoders', () => {
  it('show what protobuf-es was given, generated and interpreted alike', () => {
    fc.assert(
      fc.property(topics(8), ({ model, values }) => {
        const desc = descriptorOf(model);
        const encoded = values.map((json) => json && toBinary(desc, fromJson(desc, json)));
        const { table, decoders } = compiled(model);
        for (const decoder of decoders) {
          const { rows, broken } = decodeAll(table, decoder, indexOf(encoded));
          expect(broken).toEqual([]);
          const expected = encoded.map((bytes) =>
            bytes ? rowOf(model, toJson(desc, fromBinary(desc, bytes)) as never) : null,
          );
          expect(rows.map((row, i) => (expected[i] ? comparable(model, row) : null))).toEqual(expected);
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it('merge what comes twice as protobuf-es does', () => {
    fc.assert(
      fc.property(topics(6), fc.nat(), ({ model, values }, at) => {
        const desc = descriptorOf(model);
        const parts = values.map((json) =>
          toBinary(desc, fromJson(desc, json ?? values.find((other) => other) ?? {}), { writeUnknownFields: false }),
        );
        const encoded = parts.map((bytes, i) => Buffer.concat([bytes, parts[(i + at) % parts.length]!]));
        const { table, decoders } = compiled(model);
        for (const decoder of decoders) {
          const { rows, broken } = decodeAll(table, decoder, indexOf(encoded));
          expect(broken).toEqual([]);
          const expected = encoded.map((bytes) => rowOf(model, toJson(desc, fromBinary(desc, bytes)) as never));
          expect(rows.map((row) => comparable(model, row))).toEqual(expected);
        }
      }),
      { seed: SEED, numRuns: 40 },
    );
  });

  it('agree on broken records, and leave nothing of them in the rows', () => {
    const mutation = fc.record({ at: fc.nat(300), byte: fc.nat(255), cut: fc.option(fc.nat(300)), flip: fc.boolean() });
    fc.assert(
      fc.property(topics(8), fc.array(mutation, { minLength: 8, maxLength: 8 }), ({ model, values }, mutations) => {
        const desc = descriptorOf(model);
        const encoded = values.map((json, i) => {
          if (json === null) return null;
          const { at, byte, cut, flip } = mutations[i]!;
          const bytes = Buffer.from(toBinary(desc, fromJson(desc, json)));
          if (flip && bytes.length > 0) bytes[at % bytes.length] = byte;
          return cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1));
        });
        const { table, decoders } = compiled(model);
        const [generated, interpreted] = decoders.map((decoder) => decodeAll(table, decoder, indexOf(encoded)));
        expect(generated).toEqual(interpreted);
        for (const { code, kind, message } of generated!.broken) {
          expect([code, kind]).toEqual(['record-undecodable', 'corrupt']);
          expect(message).not.toContain('its bytes break the schema');
        }
        expect(generated!.rows.length + generated!.broken.length).toBe(values.length);
      }),
      { seed: SEED, numRuns: 80 },
    );
  });
});

describe('Protobuf keys and values', () => {
  it.each([true, false])('do not touch each other, also where the interpreter steps in (generated: %s)', (generate) => {
    const parse = (body: string) => {
      const file = parseProtobufSchema(`syntax = "proto3"; message M { ${body} }`);
      return { message: mainMessage(file), types: file.types };
    };
    const value = parse('optional int32 id = 1; optional string note = 2; repeated string tags = 3;');
    const key = parse('M up = 1; optional int32 id = 2; map<int32, string> names = 3;');
    const table = deriveTableSchema({
      value: { encoding: 'protobuf', schema: value.message },
      key: { encoding: 'protobuf', schema: key.message },
      kafkaColumns: ['offset'],
    });
    const rows = createRowBuilder(table);
    const decoders = {
      value: compileProtobufDecoder(value, table, 'value', { generate }),
      key: compileProtobufDecoder(key, table, 'key', { generate }),
      kafka: { partition: 0 },
    };
    const values = [[], [8, 5], [26, 1, 65], null];
    // The second key has its message twice, the third the same entry twice, the fourth is plain.
    const keys = [[], [10, 2, 16, 1, 10, 2, 16, 2], [26, 5, 8, 1, 18, 1, 97, 26, 5, 8, 1, 18, 1, 98], [16, 7]];
    const bytes = (all: (number[] | null)[]) => all.map((one) => one && Uint8Array.from(one));
    expect(appendRecords(rows, decoders, indexOf(bytes(values), bytes(keys)), 0, 4)).toEqual({ appended: 4 });
    expect(rowsOf(rows.batch()).map(({ _kafka, ...row }) => row)).toEqual([
      { id: null, note: null, tags: [], up: null, key_id: null, names: [] },
      { id: 5, note: null, tags: [], up: '{"id":2}', key_id: null, names: [] },
      { id: null, note: null, tags: ['A'], up: null, key_id: null, names: [[1, 'b']] },
      { id: null, note: null, tags: null, up: null, key_id: 7, names: [] },
    ]);
  });
});
