import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeSingleValue,
  encodeSingleValue,
  type SingleValue,
  singleValueFromJson,
  singleValueToJson,
} from './single-value.ts';
import type { PrimitiveType } from './table-schema.ts';

const decimal = (precision: number, scale: number): PrimitiveType => ({ kind: 'decimal', precision, scale });
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('single values', () => {
  // Binary forms as PyIceberg's conversions.to_bytes gives them, JSON forms as the specification's appendix D shows them.
  it.each<[PrimitiveType, SingleValue, string, unknown]>([
    [{ kind: 'boolean' }, true, '01', true],
    [{ kind: 'int' }, -2, 'feffffff', -2],
    [{ kind: 'long' }, 34n, '2200000000000000', 34],
    [{ kind: 'float' }, -4.5, '000090c0', -4.5],
    [{ kind: 'double' }, 6, '0000000000001840', 6],
    [{ kind: 'date' }, 17486, '4e440000', '2017-11-16'],
    [{ kind: 'time' }, 81_068_123_456n, '406509e012000000', '22:31:08.123456'],
    [{ kind: 'timestamp', adjusted: false }, 1_510_871_468_123_456n, '40a5282d215e0500', '2017-11-16T22:31:08.123456'],
    [{ kind: 'timestamp', adjusted: true }, -1n, 'ffffffffffffffff', '1969-12-31T23:59:59.999999+00:00'],
    [{ kind: 'timestamp_ns', adjusted: true }, -1n, 'ffffffffffffffff', '1969-12-31T23:59:59.999999999+00:00'],
    [
      { kind: 'timestamp_ns', adjusted: false },
      1_510_871_468_123_456_789n,
      '1585c56698b1f714',
      '2017-11-16T22:31:08.123456789',
    ],
    [{ kind: 'string' }, 'ABCé', '414243c3a9', 'ABCé'],
    [{ kind: 'string' }, '\ufeffA', 'efbbbf41', '\ufeffA'],
    [
      { kind: 'uuid' },
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
      'f79c3e09677c4bbda4793f349cb785e7',
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
    ],
    [{ kind: 'fixed', length: 2 }, Uint8Array.of(0, 255), '00ff', '00ff'],
    [{ kind: 'binary' }, Uint8Array.of(1), '01', '01'],
    [decimal(9, 2), 1420n, '058c', '14.20'],
    [decimal(9, 2), -1n, 'ff', '-0.01'],
    [decimal(9, 2), 128n, '0080', '1.28'],
    [decimal(38, 0), 0n, '00', '0'],
  ])('%j %s', (type, value, binary, json) => {
    expect(hex(encodeSingleValue(type, value))).toBe(binary);
    expect(decodeSingleValue(type, encodeSingleValue(type, value))).toEqual(value);
    expect(singleValueToJson(type, value)).toEqual(json);
    expect(singleValueFromJson(type, json)).toEqual(value);
  });

  it('keeps any value through both forms', () => {
    const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const pairs = fc.oneof(
      fc.tuple(fc.constant<PrimitiveType>({ kind: 'long' }), long),
      fc.tuple(fc.constant<PrimitiveType>({ kind: 'double' }), fc.double()),
      fc.tuple(
        fc.constant<PrimitiveType>({ kind: 'timestamp', adjusted: true }),
        fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
      ),
      fc.tuple(fc.constant<PrimitiveType>({ kind: 'date' }), fc.integer({ min: -700_000, max: 2_900_000 })),
      fc.tuple(fc.constant(decimal(38, 7)), fc.bigInt({ min: -(10n ** 38n - 1n), max: 10n ** 38n - 1n })),
    );
    fc.assert(
      fc.property(pairs, ([type, value]) => {
        expect(decodeSingleValue(type, encodeSingleValue(type, value))).toEqual(value);
        const json = JSON.parse(JSON.stringify(singleValueToJson(type, value)));
        // JSON has no -0.
        expect(singleValueFromJson(type, json)).toEqual(value === 0 ? 0 : value);
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it('says when bytes or JSON do not fit', () => {
    expect(() => decodeSingleValue({ kind: 'int' }, new Uint8Array(3))).toThrow(/int bound has 3 bytes/);
    expect(decodeSingleValue({ kind: 'long' }, Uint8Array.of(254, 255, 255, 255))).toBe(-2n);
    for (const [type, json] of [
      [{ kind: 'int' }, 2 ** 31],
      [decimal(4, 2), '123.45'],
      [decimal(4, 2), '1.234'],
      [{ kind: 'date' }, 'x'],
      [{ kind: 'timestamp', adjusted: true }, '2017-11-16T22:31:08'],
      [{ kind: 'binary' }, '0'],
    ] as [PrimitiveType, unknown][])
      expect(() => singleValueFromJson(type, json)).toThrow(expect.objectContaining({ code: 'single-value' }));
  });
});
