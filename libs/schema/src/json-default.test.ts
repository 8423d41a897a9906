import { describe, expect, it } from 'vitest';
import { deriveTableSchema } from './derive.ts';
import { parseJsonSchema } from './json-parse.ts';

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const string = { type: 'string' };

describe('defaults of a JSON Schema', () => {
  const defaultOf = (schema: object): unknown => {
    const text = JSON.stringify(object({ f: schema })).replaceAll(/"#(.*?)#"/g, '$1');
    const { fields } = deriveTableSchema({
      value: { encoding: 'json', schema: parseJsonSchema(text) },
      key: { encoding: 'none' },
    });
    return fields[0]!.writeDefault;
  };

  it.each<[object, unknown]>([
    [{ type: 'string', default: 'x' }, 'x'],
    [{ type: 'integer', default: 7 }, 7],
    [{ type: 'integer', default: '#12345678901234567#' }, '12345678901234567'],
    [{ type: 'number', multipleOf: 0.01, default: '#123456789012345678901.5#' }, '123456789012345678901.50'],
    [{ type: 'string', format: 'date-time', default: '2026-11-22T01:00:00+01:00' }, '2026-11-22T00:00:00.000000+00:00'],
    [{ type: 'string', format: 'date', default: '2026-11-22' }, '2026-11-22'],
    [{ type: 'string', contentEncoding: 'base64', default: 'aGk=' }, '6869'],
    [{ type: 'array', items: { type: 'integer' }, default: [1, null] }, [1, null]],
    [
      { type: 'object', additionalProperties: string, default: { a: 'b' } },
      { keys: ['a'], values: ['b'] },
    ],
    [{ default: { any: [1] } }, '{"any":[1]}'],
    [{ $ref: '#/properties/f/x', x: { type: 'boolean', default: true } }, true],
    [{ type: 'string', default: null }, undefined],
    [{ type: 'integer', default: 'x' }, undefined],
    [{ type: 'integer', default: 1.5 }, undefined],
    [{ type: 'string', format: 'date', default: 'today' }, undefined],
  ])('%j → %j', (schema, expected) => expect(defaultOf(schema)).toEqual(expected));

  it('of structs are keyed by field id', () => {
    const schema = object({ x: { ...string, default: 'q' }, y: string }, { default: { y: 'z' } });
    const parsed = parseJsonSchema(JSON.stringify(object({ f: schema })));
    const [field] = deriveTableSchema({
      value: { encoding: 'json', schema: parsed },
      key: { encoding: 'none' },
    }).fields;
    expect(field!.writeDefault).toEqual({ 3: 'q', 4: 'z' });
    expect(field!.type).toMatchObject({
      fields: [
        { id: 3, name: 'x', writeDefault: 'q' },
        { id: 4, name: 'y' },
      ],
    });
  });
});
