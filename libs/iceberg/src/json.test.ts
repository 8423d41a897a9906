import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson, stringifyJson } from './json.ts';

test('64-bit integers survive, whatever their key', () => {
  const text = '{"snapshot-id":1,"unknown":9223372036854775807,"list":[-9007199254740993],"x":0.5,"y":12,"z":1e300}';
  expect(parseJson(text, 'test')).toEqual({
    'snapshot-id': 1n,
    unknown: 9223372036854775807n,
    list: [-9007199254740993n],
    x: 0.5,
    y: 12,
    z: 1e300,
  });
  expect(stringifyJson(parseJson(text, 'test'))).toBe(text.replace('1e300', '1e+300'));
});

test('any JSON value comes back equal', () => {
  fc.assert(
    fc.property(fc.jsonValue({ depthSize: 'small' }), (value) => {
      expect(JSON.parse(stringifyJson(parseJson(JSON.stringify(value), 'test')))).toEqual(
        JSON.parse(JSON.stringify(value)),
      );
    }),
    { seed: 8181, numRuns: 200 },
  );
});

test('what is no JSON is corrupt', () => {
  expect(() => parseJson('{', 'orders/_iceberg/x.metadata.json')).toThrow(
    /orders\/_iceberg\/x.metadata.json is not JSON/,
  );
});
