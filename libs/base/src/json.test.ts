import { expect, test } from 'vitest';
import { exactNumber, parseExactJson, stringifyExactJson } from './json.ts';

test('64-bit integers survive; bigints where asked for', () => {
  const text = '{"id":9007199254740993,"small":7,"snapshot-id":7,"d":1.5,"e":1e400,"list":[-9223372036854775808]}';
  const value = parseExactJson(text, 'it', /snapshot-id$/) as Record<string, unknown>;
  expect(value).toEqual({
    id: 9_007_199_254_740_993n,
    small: 7,
    'snapshot-id': 7n,
    d: 1.5,
    e: Number.POSITIVE_INFINITY,
    list: [-9_223_372_036_854_775_808n],
  });
  expect(stringifyExactJson({ id: value['id'], price: exactNumber('12345678901234567.89') })).toBe(
    '{"id":9007199254740993,"price":12345678901234567.89}',
  );
});

test('what is no JSON is named', () => {
  expect(() => parseExactJson('{', 'a.json')).toThrow(
    expect.objectContaining({
      kind: 'corrupt',
      code: 'json-invalid',
      message: expect.stringMatching(/^a\.json is not JSON/),
    }),
  );
});
