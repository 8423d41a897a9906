import { deriveTableSchema, parseAvroSchema } from '@millrace/schema';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { compileAvroDecoder } from './avro-decoder.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const zigzag = (value: bigint): number[] => {
  const bytes: number[] = [];
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; raw > 127n; raw >>= 7n) bytes.push(Number(raw & 127n) | 128);
  return [...bytes, Number(raw)];
};

function append(type: unknown, values: (number[] | null)[], generate: boolean) {
  const schema = parseAvroSchema(JSON.stringify({ type: 'record', name: 'A', fields: [{ name: 'f', type }] }));
  const table = deriveTableSchema({
    value: { encoding: 'avro', schema },
    key: { encoding: 'string' },
    kafkaColumns: ['op', 'headers'],
  });
  const rows = createRowBuilder(table);
  const index = indexOf(values.map((value) => value && Uint8Array.from(value)));
  const decoders = {
    value: compileAvroDecoder(schema, table, 'value', { generate }),
    key: createPlainDecoder('string', table, 'key'),
    kafka: { partition: 0 },
  };
  return { rows, index, decoders, ...appendRecords(rows, decoders, index, 0, values.length) };
}

const decimal = (precision: number) => ({ type: 'bytes', logicalType: 'decimal', precision, scale: 0 });
const nothing = { type: 'record', name: 'N', fields: [] };

describe.each([true, false])('broken and hostile records (generated: %s)', (generate) => {
  it.each<[string, unknown, number[], string, string?]>([
    ['ends inside a number', 'long', [0x80], 'ends inside a number'],
    ['is empty', 'int', [], 'ends inside a number'],
    ['int over 32 bits', 'int', zigzag(2n ** 31n), 'more than 32 bits'],
    ['long over 64 bits', 'long', [255, 255, 255, 255, 255, 255, 255, 255, 255, 2], 'more than 64 bits'],
    ['string over the end', 'string', [20, 65], '10 bytes are announced where 1 are left'],
    ['negative length', 'bytes', [1], '-1 bytes'],
    ['huge length', 'bytes', zigzag(2n ** 62n), 'are announced'],
    ['overlong UTF-8', 'string', [4, 0xc0, 0x80], 'not valid UTF-8'],
    ['overlong UTF-8 of three', 'string', [6, 0xe0, 0x80, 0x80], 'not valid UTF-8'],
    ['overlong UTF-8 of four', 'string', [8, 0xf0, 0x80, 0x80, 0x80], 'not valid UTF-8'],
    ['a lone continuation', 'string', [2, 0x80], 'not valid UTF-8'],
    ['-10^18 in 18', decimal(18), [16, 0xf2, 0x1f, 0x49, 0x4c, 0x58, 0x9c, 0, 0], 'more than 18 digits'],
    [
      '-10^38 in 38',
      decimal(38),
      [32, 0xb4, 0xc4, 0xb3, 0x57, 0xa5, 0x79, 0x3b, 0x85, 0xf6, 0x75, 0xdd, 0xc0, 0, 0, 0, 0],
      'more than 38 digits',
    ],
    ['a decimal of 9 bytes in 18', decimal(18), [18, 1, 0, 0, 0, 0, 0, 0, 0, 0], 'more than 18 digits'],
    ['-3 * 2^32 in 10', decimal(10), [10, 0xfd, 0, 0, 0, 0], 'more than 10 digits'],
    ['surrogate in UTF-8', 'string', [6, 0xed, 0xa0, 0x80], 'not valid UTF-8'],
    ['beyond U+10FFFF', 'string', [8, 0xf4, 0x90, 0x80, 0x80], 'not valid UTF-8'],
    ['cut UTF-8', 'string', [4, 0x41, 0xc3], 'not valid UTF-8'],
    ['boolean 2', 'boolean', [2], 'neither 0 nor 1'],
    ['enum out of range', { type: 'enum', name: 'E', symbols: ['A'] }, [2], 'symbol 1'],
    ['union out of range', ['null', 'int'], [4, 0], 'branch 2'],
    ['negative branch', ['null', 'int'], [1], 'branch -1'],
    ['bytes left over', 'int', [2, 0], '1 bytes are left over', ''],
    [
      'millis too far away',
      { type: 'long', logicalType: 'timestamp-millis' },
      zigzag(2n ** 60n),
      'does not fit 64 bits',
    ],
    ['decimal of 10 digits in 9', decimal(9), [8, 0x3b, 0x9a, 0xca, 0x00], 'more than 9 digits'],
    ['negative decimal too wide', decimal(9), [8, 0xc4, 0x65, 0x36, 0x00], 'more than 9 digits'],
    ['decimal of 19 digits in 18', decimal(18), [16, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0, 0], 'more than 18 digits'],
    [
      'decimal of 39 digits in 38',
      decimal(38),
      [32, 0x4b, 0x3b, 0x4c, 0xa8, 0x5a, 0x86, 0xc4, 0x7a, 0x09, 0x8a, 0x22, 0x40, 0, 0, 0, 0],
      'more than 38 digits',
    ],
    [
      'hostile array count',
      { type: 'array', items: 'long' },
      [...zigzag(2n ** 30n), 0],
      'more than the record can hold',
    ],
    [
      'hostile map count',
      { type: 'map', values: 'string' },
      [...zigzag(2n ** 62n), 0],
      'more than the record can hold',
    ],
    [
      'hostile count of nothing',
      { type: 'array', items: nothing },
      [...zigzag(2n ** 30n), 0],
      'more than the record can hold',
    ],
    ['hostile count of null', { type: 'array', items: 'null' }, [...zigzag(1001n), 0], 'more than the record can hold'],
    ['block size over the end', { type: 'array', items: 'int' }, [1, 40, 2, 0], 'a block announces'],
    ['lowest count', { type: 'array', items: 'int' }, [...zigzag(-(2n ** 63n)), 0, 0], 'more than the record can hold'],
    [
      'deep in a list',
      { type: 'array', items: { type: 'record', name: 'I', fields: [{ name: 'q', type: 'boolean' }] } },
      [2, 9],
      'neither 0 nor 1',
      'f.element.q',
    ],
  ])('%s', (_name, type, bytes, message, field = 'f') => {
    const { rows, appended, error } = append(type, [bytes, null], generate);
    expect(appended).toBe(0);
    expect(error).toMatchObject({
      kind: 'corrupt',
      code: 'record-undecodable',
      message: expect.stringContaining(message),
    });
    expect(error!.context['field'] ?? '').toBe(field);
    expect(rows.batch().length).toBe(0);
    for (const domain of rows.domains) expect(domain.capacity).toBeLessThan(1000);
  });

  it('takes the widest decimals and the farthest numbers', () => {
    const most = [0x4b, 0x3b, 0x4c, 0xa8, 0x5a, 0x86, 0xc4, 0x7a, 0x09, 0x8a, 0x22, 0x3f, 0xff, 0xff, 0xff, 0xff];
    const { rows, appended } = append(decimal(38), [[32, ...most], [34, 0, ...most], [0]], generate);
    expect(appended).toBe(3);
    expect(rowsOf(rows.batch()).map((row) => row['f'])).toEqual([10n ** 38n - 1n, 10n ** 38n - 1n, 0n]);
    const least = append('long', [zigzag(-(2n ** 63n)), zigzag(2n ** 63n - 1n), [0x80, 0x00]], generate);
    expect(rowsOf(least.rows.batch()).map((row) => row['f'])).toEqual([-(2n ** 63n), 2n ** 63n - 1n, 0n]);
  });

  it('takes back the nulls of a broken record', () => {
    const pair = {
      type: 'record',
      name: 'P',
      fields: [
        { name: 'a', type: ['null', 'int'] },
        { name: 'b', type: 'boolean' },
      ],
    };
    const { rows, index, decoders } = append(
      { type: 'array', items: pair },
      [
        [2, 0, 9, 0],
        [2, 2, 4, 1, 0],
      ],
      generate,
    );
    expect(appendRecords(rows, decoders, index, 1, 2)).toEqual({ appended: 1 });
    expect(rowsOf(rows.batch()).map((row) => row['f'])).toEqual([[{ a: 2, b: true }]]);
  });

  it('does not follow a recursion without end', () => {
    const list = { type: 'record', name: 'L', fields: [{ name: 'next', type: ['null', 'L'] }] };
    const { error } = append(list, [[...new Array(100_000).fill(2), 0]], generate);
    expect(error?.message).toContain('nested deeper than 500 levels');
  });

  it('goes on after a broken record wherever it stands among many', () => {
    const values = Array.from({ length: 700 }, (_, i) =>
      i % 7 === 3 ? [2, 2] : i % 5 === 0 ? null : [4, 2, ...zigzag(BigInt(i)).slice(0, 2), 0].slice(0, -1),
    );
    const type = { type: 'array', items: 'long' };
    const made = append(type, [], generate);
    const schema = parseAvroSchema(JSON.stringify({ type: 'record', name: 'A', fields: [{ name: 'f', type }] }));
    const decoders = {
      value: compileAvroDecoder(schema, made.rows.schema, 'value', { generate }),
      key: createPlainDecoder('none', made.rows.schema, 'key'),
      kafka: { partition: 0 },
    };
    const whole = values.map(
      (value, i) => value && Uint8Array.from(i % 7 === 3 ? value : [4, 2, ...zigzag(BigInt(i)), 0]),
    );
    const index = indexOf(whole);
    const kept: number[] = [];
    for (let at = 0; at < index.count; at++) {
      const { appended } = appendRecords(made.rows, decoders, index, at, index.count);
      for (let i = 0; i < appended; i++) kept.push(at + i);
      at += appended;
    }
    expect(kept).toEqual(values.flatMap((_, i) => (i % 7 === 3 ? [] : i)));
    expect(rowsOf(made.rows.batch()).map((row) => row['f'])).toEqual(
      kept.map((i) => (values[i] === null ? null : [1n, BigInt(i)])),
    );
  });
});
