import { deriveTableSchema, parseAvroSchema } from '@millrace/schema';
import { describe, expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { compileAvroDecoder } from './avro-decoder.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

// Numbers and texts are read several bytes at a time where the buffer allows it: all lengths, at both ends of the buffer,
// must give what the interpreter gives.

const zigzag = (value: bigint): number[] => {
  const bytes: number[] = [];
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; raw > 127n; raw >>= 7n) bytes.push(Number(raw & 127n) | 128);
  return [...bytes, Number(raw)];
};

/** One record at the very start and end of its buffer, so that every load of several bytes meets an edge. */
function alone(bytes: number[]): ReturnType<typeof indexOf> {
  const index = indexOf([Uint8Array.from(bytes)]);
  return { ...index, bytes: Uint8Array.from(bytes), byteLength: bytes.length, valueStarts: Int32Array.of(0) };
}

type Where = 'between other bytes' | 'at the edges of the buffer' | 'in a wide record, at the end of the buffer';

// Wide records are read by calls instead of in place.
const OTHERS = 40;

function decode(type: unknown, given: number[][], where: Where) {
  const edges = where !== 'between other bytes';
  const others = where.startsWith('in a wide record') ? OTHERS : 0;
  const before = Array.from({ length: others }, (_, i) => field(`n${i}`, ['null', 'int']));
  const values = given.map((bytes) => [...new Array(others).fill(0), ...bytes]);
  const schema = parseAvroSchema(JSON.stringify({ type: 'record', name: 'A', fields: [...before, field('f', type)] }));
  const table = deriveTableSchema({ value: { encoding: 'avro', schema }, key: { encoding: 'none' }, kafkaColumns: [] });
  const run = (generate: boolean) => {
    const value = compileAvroDecoder(schema, table, 'value', { generate });
    const decoders = { value, key: createPlainDecoder('none', table, 'key'), kafka: { partition: 0 } };
    const each = edges ? values.map(alone) : values.map((bytes) => indexOf([Uint8Array.from(bytes)]));
    const rows = createRowBuilder(table);
    return each.map((index) => {
      rows.reset();
      const { error } = appendRecords(rows, decoders, index, 0, 1);
      return error === undefined ? rowsOf(rows.batch())[0]!['f'] : error.message;
    });
  };
  const [generated, interpreted] = [run(true), run(false)];
  expect(generated).toEqual(interpreted);
  return generated;
}

const powers = Array.from({ length: 64 }, (_, bits) => 1n << BigInt(bits));
const longs = powers.flatMap((power) => [power - 1n, -power, power >> 1n]);

const everywhere: Where[] = [
  'between other bytes',
  'at the edges of the buffer',
  'in a wide record, at the end of the buffer',
];

describe.each(everywhere)('read at once as read byte by byte: %s', (where) => {
  it('longs and ints of every length', () => {
    expect(decode('long', longs.map(zigzag), where)).toEqual(longs);
    const padded = [
      [0x82, 0x00],
      [0x82, 0x80, 0x80, 0x00],
      [0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
    ];
    expect(decode('long', padded, where)).toEqual([1n, 1n, 1n]);
    const ints = longs.filter((value) => BigInt.asIntN(32, value) === value);
    expect(decode('int', ints.map(zigzag), where)).toEqual(ints.map(Number));
    decode('int', longs.map(zigzag), where);
    decode({ type: 'int', logicalType: 'time-millis' }, ints.map(zigzag), where);
    decode({ type: 'long', logicalType: 'timestamp-millis' }, longs.map(zigzag), where);
  });

  it('numbers that go on into what follows the record', () => {
    const cut = longs.map((value) => zigzag(value).slice(0, -1));
    for (const answer of decode('long', cut, where)) expect(answer).toMatch(/the record ends inside a number/);
    for (const type of ['double', 'float', 'boolean', 'string', { type: 'array', items: 'int' }])
      decode({ type: 'record', name: 'R', fields: [field('a', 'long'), field('b', type)] }, cut, where);
  });

  it('texts of every length with a byte that is not ASCII anywhere', () => {
    const texts: number[][] = [];
    for (let length = 0; length < 28; length++)
      for (let at = 0; at <= length; at++)
        for (const bad of [[0xff], [0xc3, 0xa9]])
          texts.push([...new Array(at).fill(97), ...bad, ...new Array(length - at).fill(98)]);
    const answers = decode(
      'string',
      [...texts, []].map((text) => [text.length * 2, ...text]),
      where,
    );
    for (const [i, text] of texts.entries()) {
      if (text.includes(0xff)) expect(answers[i]).toMatch(/not valid UTF-8/);
      else expect(answers[i]).toBe(Buffer.from(text).toString());
    }
    for (const at of [0, 150, 299])
      for (const [bad, isBad] of [
        [[0xed, 0xa0, 0x80], true],
        [[0xc0, 0x80], true],
        [[0xf0, 0x9f, 0x8d, 0x8a], false],
      ] as const) {
        const text = [...new Array(at).fill(97), ...bad, ...new Array(299 - at).fill(98)];
        const [answer] = decode('string', [[...zigzag(BigInt(text.length)), ...text]], where);
        if (isBad) expect(answer).toMatch(/not valid UTF-8/);
        else expect(answer).toBe(Buffer.from(text).toString());
      }
    const long = [new Array(63).fill(65), new Array(64).fill(65), new Array(20_000).fill(65)];
    const whole = long.map((text) => [...zigzag(BigInt(text.length)), ...text]);
    expect(decode('string', whole, where)).toEqual(long.map((text) => 'A'.repeat(text.length)));
  });

  it.each([1, 4, 8, 9, 10, 12, 16, 18, 19])('decimals of %s digits', (precision) => {
    const most = 10n ** BigInt(precision);
    const values = [...longs, most - 1n, most, -most, 1n - most, -most - 1n];
    for (const extra of [0, 1, 3]) {
      const encoded = values.map((value) => {
        let size = 1;
        while (BigInt.asIntN(8 * size, value) !== value) size++;
        size += extra;
        const bytes: number[] = [];
        for (let i = size - 1; i >= 0; i--) bytes.push(Number((value >> BigInt(8 * i)) & 255n));
        return [...zigzag(BigInt(size)), ...bytes];
      });
      const answers = decode({ type: 'bytes', logicalType: 'decimal', precision, scale: 0 }, encoded, where);
      for (const [i, value] of values.entries()) {
        if (value < most && -value < most) expect(answers[i]).toBe(value);
        else expect(answers[i]).toMatch(/digits/);
      }
    }
  });

  it('small numbers that are long: symbols, branches, counts', () => {
    const symbols = Array.from({ length: 200 }, (_, i) => `S${i}`);
    const at = symbols.map((_, i) => zigzag(BigInt(i)));
    expect(
      decode({ type: 'enum', name: 'E', symbols }, [...at, zigzag(200n), zigzag(-1n)], where).slice(0, 200),
    ).toEqual(symbols);
    const wide = [[0x82, 0x00, 0x02], [0x80, 0x80, 0x00], zigzag(2n), zigzag(1n << 40n)];
    expect(decode(['null', 'int'], wide, where).slice(0, 2)).toEqual([1, null]);
    decode(
      { type: 'array', items: 'int' },
      [
        [0x82, 0x00, 0x02, 0x00],
        [0x83, 0x00, 0x04, 2, 2, 0],
      ],
      where,
    );
  });
});

const field = (name: string, type: unknown) => ({ name, type });
