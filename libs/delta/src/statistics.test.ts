import { type ColumnType, encodeSingleValue, type PrimitiveType, type SingleValue } from '@millrace/schema';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { statisticsWriter } from './statistics.ts';

const stats = (type: PrimitiveType, lower: SingleValue, upper: SingleValue, nanCount?: bigint) =>
  statisticsWriter({ schemaId: 0, lastColumnId: 1, fields: [{ id: 1, name: 'c', type, required: false }] })(10n, [
    {
      fieldId: 1,
      nullCount: 2n,
      nanCount,
      lowerBound: encodeSingleValue(type, lower),
      upperBound: encodeSingleValue(type, upper),
    },
  ]);
const json = (min: string | undefined, max: string | undefined) =>
  `{"numRecords":10,"minValues":{${min === undefined ? '' : `"c":${min}`}},"maxValues":{${max === undefined ? '' : `"c":${max}`}},"nullCount":{"c":2}}`;
const utc: PrimitiveType = { kind: 'timestamp', adjusted: true };

describe('statistics', () => {
  test.each<[string, PrimitiveType, SingleValue, SingleValue, string | undefined, string | undefined]>([
    ['long', { kind: 'long' }, -(2n ** 63n), 2n ** 63n - 1n, '-9223372036854775808', '9223372036854775807'],
    ['int', { kind: 'int' }, -5, 7, '-5', '7'],
    ['date', { kind: 'date' }, -1, 20_000, '"1969-12-31"', '"2024-10-04"'],
    ['date past 9999', { kind: 'date' }, 0, 3_000_000, '"1970-01-01"', undefined],
    ['decimal', { kind: 'decimal', precision: 38, scale: 2 }, -5n, 10n ** 37n + 1n, '-0.05', `1${'0'.repeat(34)}0.01`],
    ['string', { kind: 'string' }, '\ufeffa"', 'zürich', '"\ufeffa\\""', '"zürich"'],
    ['boolean', { kind: 'boolean' }, false, true, undefined, undefined],
    ['timestamp', utc, -1n, 1_001n, '"1969-12-31T23:59:59.999Z"', '"1970-01-01T00:00:00.002Z"'],
    [
      'local',
      { kind: 'timestamp', adjusted: false },
      0n,
      1_000n,
      '"1970-01-01T00:00:00.000"',
      '"1970-01-01T00:00:00.001"',
    ],
    ['timestamp at the end of 9999', utc, 0n, 253_402_300_799_999_001n, '"1970-01-01T00:00:00.000Z"', undefined],
  ])('%s', (_, type, lower, upper, min, max) => {
    expect(stats(type, lower, upper)).toBe(json(min, max));
  });

  test('a column that may hold NaN has no maximum; infinite bounds are left out', () => {
    expect(stats({ kind: 'double' }, -1.5, 2.5, 0n)).toBe(json('-1.5', '2.5'));
    expect(stats({ kind: 'double' }, -1.5, 2.5, 1n)).toBe(json('-1.5', undefined));
    expect(stats({ kind: 'float' }, -1.5, 2.5)).toBe(json('-1.5', undefined));
    expect(stats({ kind: 'double' }, -Infinity, Infinity, 0n)).toBe(json(undefined, undefined));
  });

  test('bounds that are not UTF-8 are left out', () => {
    const writer = statisticsWriter({
      schemaId: 0,
      lastColumnId: 1,
      fields: [{ id: 1, name: 'c', type: { kind: 'string' }, required: false }],
    });
    const cut = Uint8Array.of(0x61, 0xc3);
    expect(writer(10n, [{ fieldId: 1, nullCount: 2n, lowerBound: cut, upperBound: cut }])).toBe(
      json(undefined, undefined),
    );
  });

  test('nests as the schema does; what is inside a list, or of no column, has none', () => {
    const int: ColumnType = { kind: 'int' };
    const writer = statisticsWriter({
      schemaId: 0,
      lastColumnId: 4,
      fields: [
        {
          id: 1,
          name: '__proto__',
          required: false,
          type: { kind: 'struct', fields: [{ id: 3, name: 'x', type: int, required: false }] },
        },
        {
          id: 2,
          name: 'l',
          required: false,
          type: { kind: 'list', elementId: 4, element: int, elementRequired: false },
        },
      ],
    });
    const columns = [3, 4, 99].map((fieldId) => ({
      fieldId,
      nullCount: 1n,
      lowerBound: encodeSingleValue(int, fieldId),
    }));
    expect(writer(5n, columns)).toBe(
      '{"numRecords":5,"minValues":{"__proto__":{"x":3}},"maxValues":{},"nullCount":{"__proto__":{"x":1}}}',
    );
  });

  test('property: timestamp bounds hold every value between them', () => {
    const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_798_000_000n });
    fc.assert(
      fc.property(micros, micros, (a, b) => {
        const [lower, upper] = a < b ? [a, b] : [b, a];
        const { minValues, maxValues } = JSON.parse(stats(utc, lower, upper));
        expect(BigInt(Date.parse(minValues.c)) * 1000n).toBeLessThanOrEqual(lower);
        expect(BigInt(Date.parse(maxValues.c)) * 1000n).toBeGreaterThanOrEqual(upper);
        expect(BigInt(Date.parse(maxValues.c)) * 1000n - upper).toBeLessThan(1000n);
      }),
      { seed: 20261122 },
    );
  });

  test('property: decimals keep every digit', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
        fc.integer({ min: 0, max: 38 }),
        (unscaled, scale) => {
          const text = stats({ kind: 'decimal', precision: 38, scale }, unscaled, unscaled);
          const digits = /"minValues":\{"c":(-?[\d.]+)\}/.exec(text)![1]!;
          const [whole, fraction = ''] = digits.split('.');
          expect(BigInt(whole! + fraction)).toBe(unscaled);
          expect(fraction.length).toBe(scale);
        },
      ),
      { seed: 20261122 },
    );
  });
});
