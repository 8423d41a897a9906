import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { avroType, readContainer, writeContainer } from './avro-container.ts';

const schema = {
  type: 'record',
  name: 'row',
  fields: [
    { name: 'id', type: 'long', 'field-id': 1 },
    { name: 'name', type: ['null', 'string'], default: null, 'field-id': 2 },
    { name: 'bytes', type: 'bytes', 'field-id': 3 },
  ],
};
const type = avroType(schema);
const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    id: BigInt(i),
    name: i % 2 === 0 ? null : `n${i}`,
    bytes: Buffer.from([i & 255]),
  }));

describe('object containers', () => {
  test('several blocks, attributes of the schema, metadata', () => {
    const file = writeContainer(schema, type, { 'snapshot-id': '7' }, rows(9_000));
    const container = readContainer(file, 'test');
    expect(container.schema).toEqual(schema);
    expect(container.metadata).toMatchObject({ 'snapshot-id': '7', 'avro.codec': 'deflate' });
    expect([...container.records].map((row) => ({ ...row }))).toEqual(rows(9_000));
  });

  test('every long', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (ids) => {
        const file = writeContainer(
          schema,
          type,
          {},
          ids.map((id) => ({ id, name: null, bytes: Buffer.alloc(0) })),
        );
        expect([...readContainer(file, 'test').records].map((row) => row['id'])).toEqual(ids);
      }),
      { seed: 504, numRuns: 50 },
    );
  });

  test('codecs null and zstandard of other writers; others are named', () => {
    const recoded = (codec: string, compress: (bytes: Buffer) => Buffer): Buffer => {
      const body = compress(Buffer.concat(rows(2).map((row) => type.toBuffer(row))));
      const text = (value: string) => Buffer.concat([Buffer.from([value.length * 2]), Buffer.from(value)]);
      const header = JSON.stringify({ ...schema, fields: schema.fields.slice(0, 3) });
      const length = Buffer.from([((header.length * 2) & 0x7f) | 0x80, (header.length * 2) >> 7]);
      const sync = Buffer.alloc(16, 1);
      return Buffer.concat([
        Buffer.from('Obj\u0001'),
        // Two blocks of metadata, the second with its size in bytes before it.
        Buffer.from([2]),
        text('avro.codec'),
        text(codec),
        Buffer.from([1, 0]),
        text('avro.schema'),
        length,
        Buffer.from(header),
        Buffer.from([0]),
        sync,
        Buffer.from([4, body.length * 2]),
        body,
        sync,
      ]);
    };
    for (const [codec, compress] of [
      ['null', (b: Buffer) => b],
      ['zstandard', (b: Buffer) => zlib.zstdCompressSync(b)],
    ] as const) {
      expect([...readContainer(recoded(codec, compress), 'test').records].map((row) => row['id'])).toEqual([0n, 1n]);
    }
    expect(() => [
      ...readContainer(
        recoded('snappy', (b) => b),
        'm0.avro',
      ).records,
    ]).toThrow(/m0.avro uses Avro codec snappy/);
  });

  test('a damaged file is corrupt, never a hang or another error', () => {
    const file = writeContainer(schema, type, {}, rows(50));
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
        const damaged = cut ? file.subarray(0, at) : Buffer.from(file);
        if (!cut) damaged[at]! ^= flip;
        try {
          [...readContainer(damaged, 'test').records];
        } catch (error) {
          expect(error).toMatchObject({ name: 'MillraceError', kind: expect.stringMatching(/corrupt|unsupported/) });
        }
      }),
      { seed: 7, numRuns: 400 },
    );
  });
});
