import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseInterval } from './duration.ts';
import { exactNumber, parseJson, stringifyJson } from './json.ts';
import { decodePath, encodePath } from './path.ts';

test.each<[string | undefined, number | undefined]>([
  ['interval 168 hours', 604_800_000],
  ['INTERVAL 1 week 2 Days', 777_600_000],
  ['30 minutes', 1_800_000],
  ['interval 1 fortnight', undefined],
  ['soon', undefined],
  [undefined, undefined],
])('interval %s', (text, ms) => {
  expect(parseInterval(text)).toBe(ms);
});

test('JSON keeps every digit', () => {
  const text = '{"a":9223372036854775807,"b":1.5,"c":[-9223372036854775808,12]}';
  expect(parseJson(text)).toEqual({ a: 2n ** 63n - 1n, b: 1.5, c: [-(2n ** 63n), 12] });
  expect(stringifyJson(parseJson(text))).toBe(text);
  expect(stringifyJson({ d: exactNumber('12345678901234567890.50') })).toBe('{"d":12345678901234567890.50}');
  expect(() => parseJson('{')).toThrow('not JSON');
});

test('property: paths are decoded to what was encoded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
      const path = encodePath(`data/${name}`);
      expect(path).toMatch(/^[!-~]+$/);
      expect(decodePath(path)).toBe(`data/${name}`);
    }),
    { seed: 20261122 },
  );
  expect(encodePath('data/a b%ü.parquet')).toBe('data/a%20b%25%C3%BC.parquet');
  expect(() => decodePath('s3://bucket/x')).toThrow('does not lie in');
  expect(() => decodePath('data/%zz')).toThrow('not percent-encoded');
});
