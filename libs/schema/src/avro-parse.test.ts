import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAvroSchema } from './avro-parse.ts';
import { type AvroRecord, formatAvroSchema } from './avro-schema.ts';

const parse = (json: unknown, references: unknown[] = []) =>
  parseAvroSchema(
    JSON.stringify(json),
    references.map((reference) => JSON.stringify(reference)),
  );
const record = (name: string, ...fields: object[]) => ({ type: 'record', name, fields });

describe('parseAvroSchema', () => {
  it('resolves names in their namespaces, and a recursion into a cycle', () => {
    const schema = parse({
      ...record(
        'Node',
        { name: 'next', type: ['null', 'Node'] },
        { name: 'kind', type: { type: 'enum', name: 'other.Kind', symbols: ['A'] } },
        { name: 'again', type: 'other.Kind' },
      ),
      namespace: 'com.x',
    }) as AvroRecord;
    expect(schema.fullName).toBe('com.x.Node');
    expect((schema.fields[0]!.type as { branches: unknown[] }).branches[1]).toBe(schema);
    expect(schema.fields[1]!.type).toBe(schema.fields[2]!.type);
    expect(schema.fields[1]!.type).toMatchObject({ fullName: 'other.Kind' });
  });

  it('reads references, and writes one text that needs none', () => {
    const money = { ...record('Money', { name: 'cents', type: 'long' }), namespace: 'base' };
    const price = { ...record('Price', { name: 'net', type: 'Money' }), namespace: 'base' };
    const item = record(
      'Item',
      { name: 'a', type: 'base.Price', aliases: ['b'], doc: 'd', default: { net: { cents: 1 } } },
      { name: 'c', type: { type: 'array', items: 'base.Money' } },
    );
    const schema = parse(item, [money, price]);
    expect(parseAvroSchema(formatAvroSchema(schema))).toEqual(schema);
    expect(formatAvroSchema(parseAvroSchema(formatAvroSchema(schema)))).toBe(formatAvroSchema(schema));
  });

  it.each<[string, unknown, RegExp]>([
    ['an unknown name', { type: 'array', items: 'Nope' }, /items of the schema names the type "Nope"/],
    ['a union in a union', ['null', ['int']], /branch 1 of the schema is itself a union/],
    ['a branch twice', ['int', { type: 'int', logicalType: 'date' }], /"int" twice/],
    ['an empty union', [], /without branches/],
    ['no type', {}, /no "type"/],
    ['a number', 5, /is 5, not a type/],
    ['a bad field name', record('A', { name: 'a-b', type: 'int' }), /illegal name "a-b"/],
    ['a field twice', record('A', { name: 'a', type: 'int' }, { name: 'a', type: 'int' }), /field "a" twice/],
    ['a name twice', record('A', { name: 'a', type: record('A') }), /"A" is defined twice/],
    ['a bad type name', record('a b'), /illegal name "a b"/],
    ['a primitive redefined', { type: 'fixed', name: 'int', size: 1 }, /primitive type "int"/],
    ['no symbols', { type: 'enum', name: 'E' }, /no "symbols"/],
    ['a symbol twice', { type: 'enum', name: 'E', symbols: ['A', 'A'] }, /a symbol twice/],
    ['a huge fixed', { type: 'fixed', name: 'F', size: 2 ** 40 }, /size/],
    ['a complex type as a bare name', record('A', { name: 'a', type: 'array', items: 'int' }), /without a definition/],
  ])('refuses %s', (_name, json, message) => {
    expect(() => parse(json)).toThrow(
      expect.objectContaining({ kind: 'invalid', code: 'avro-schema', message: expect.stringMatching(message) }),
    );
  });

  it('bounds hostile texts, and answers any text with a schema or an error of its own', () => {
    expect(() => parseAvroSchema('{"type":"array","items":'.repeat(2000) + '"int"' + '}'.repeat(2000))).toThrow(
      /deeper than 100/,
    );
    expect(() => parseAvroSchema(`"${'x'.repeat(5_000_000)}"`)).toThrow(/more than/);
    expect(() =>
      parseAvroSchema('{"type":"record","name":"__proto__","fields":[{"name":"constructor","type":"int"}]}'),
    ).not.toThrow();
    expect(() => parseAvroSchema('{"type":"toString"}')).toThrow(/"toString"/);
    const words = fc.constantFrom('record', 'enum', 'fixed', 'array', 'map', 'int', 'A', 'null', '', '.', '__proto__');
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        words,
        fc.integer(),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            'type',
            'name',
            'namespace',
            'fields',
            'items',
            'values',
            'symbols',
            'size',
            'logicalType',
            'precision',
            'aliases',
            'default',
          ),
          tie('node'),
        ),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (json) => {
        try {
          parse(json);
        } catch (error) {
          expect(error).toMatchObject({ code: 'avro-schema' });
        }
      }),
      { seed: 4, numRuns: 2000 },
    );
  });
});
