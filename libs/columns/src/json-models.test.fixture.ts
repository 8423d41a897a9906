import fc from 'fast-check';
import { anySample, type JsonModel, LEAVES, leafModel, strings } from './json-samples.test.fixture.ts';

export type JsonShape = { kind: string; scale: number; parts: JsonShape[] };

export const jsonShapes: fc.Arbitrary<JsonShape> = fc.letrec<{ shape: JsonShape; object: JsonShape }>((tie) => ({
  shape: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constantFrom(...LEAVES), scale: fc.nat(12), parts: fc.constant<JsonShape[]>([]) }),
    tie('object'),
    fc.record({
      kind: fc.constantFrom('array', 'map', 'nullable', 'ref'),
      scale: fc.nat(1),
      parts: fc.tuple(tie('shape')),
    }),
    fc.record({
      kind: fc.constant('union'),
      scale: fc.nat(1),
      parts: fc.array(tie('object'), { minLength: 2, maxLength: 3 }),
    }),
  ),
  object: fc.record({
    kind: fc.constant('object'),
    scale: fc.nat(3),
    parts: fc.array(tie('shape'), { minLength: 1, maxLength: 6 }),
  }),
})).object;

const spaces = fc.constantFrom('', '', '', ' ', '\n\t ', '\r');
const join = (open: string, parts: string[], close: string, gaps: string[]): string =>
  open + gaps[0] + parts.join(`${gaps[1]},${gaps[2]}`) + gaps[3] + close;
const gaps = fc.array(spaces, { minLength: 4, maxLength: 4 });

export function jsonModelOf(shape: JsonShape, definitions: Record<string, unknown>): JsonModel {
  const parts = shape.parts.map((part) => jsonModelOf(part, definitions));
  const [first] = parts;
  switch (shape.kind) {
    case 'object':
      return objectModel(parts, shape.scale);
    case 'array':
      return {
        absent: null,
        schema: { type: 'array', items: orText(first!.schema) },
        sample: fc.tuple(fc.array(first!.sample, { maxLength: 5 }), gaps).map(([items, around]) => ({
          text: join(
            '[',
            items.map(({ text }) => text),
            ']',
            around,
          ),
          expected: items.map(({ expected }) => expected),
        })),
      };
    case 'map':
      return {
        absent: null,
        schema: { type: 'object', additionalProperties: orText(first!.schema) },
        sample: fc
          .tuple(fc.uniqueArray(fc.tuple(strings, first!.sample), { maxLength: 4, selector: ([key]) => key }), gaps)
          .map(([entries, around]) => ({
            text: join(
              '{',
              entries.map(([key, { text }]) => `${JSON.stringify(key)}${around[1]}:${text}`),
              '}',
              around,
            ),
            expected: entries.map(([key, { expected }]) => [key, expected]),
          })),
      };
    case 'nullable':
      return {
        absent: null,
        schema:
          shape.scale === 0
            ? { oneOf: [{ type: 'null' }, first!.schema] }
            : { anyOf: [first!.schema, { type: 'null' }] },
        sample: fc.oneof(fc.constant({ text: 'null', expected: null }), first!.sample),
      };
    case 'ref': {
      const name = `D${Object.keys(definitions).length}`;
      definitions[name] = first!.schema;
      return { ...first!, schema: { $ref: `#/$defs/${name}`, description: 'elsewhere' } };
    }
    case 'union':
      return unionModel(parts, shape.scale === 0);
    default:
      return leafModel(shape.kind, shape.scale);
  }
}

// An item that may be anything would make the whole array JSON text: several types say the same of an item alone.
const orText = (schema: unknown): unknown =>
  Object.keys(schema as object).length === 0
    ? { type: ['string', 'number', 'boolean', 'object', 'array', 'null'] }
    : schema;

const named = (parts: JsonModel[]) => parts.map((model, i) => ({ name: i === 1 ? `f${i} "é\\` : `f${i}`, model }));

function objectModel(parts: JsonModel[], mode: number): JsonModel {
  const fields = named(parts);
  const properties = Object.fromEntries(fields.map(({ name, model }) => [name, model.schema]));
  const half = Math.ceil(fields.length / 2);
  const split = (from: number, to?: number) => ({
    properties: Object.fromEntries(Object.entries(properties).slice(from, to)),
  });
  return {
    absent: null,
    schema:
      mode === 0 && half < fields.length
        ? { type: 'object', allOf: [split(0, half), split(half)] }
        : { type: 'object', properties },
    sample: fc
      .tuple(
        fc.tuple(...fields.map(({ model }) => fc.option(model.sample, { freq: 6 }))),
        fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
        gaps,
        fc.option(anySample, { freq: 4 }),
      )
      .map(([samples, order, around, extra]) => {
        const entries = fields.map(({ name }, i) => ({
          name,
          sample: samples[i]!,
          key: order[0]! % 3 === 0 ? order[i % 8]! : i,
        }));
        const texts = entries
          .filter(({ sample }) => sample !== null)
          .sort((a, b) => a.key - b.key)
          .map(({ name, sample }) => `${JSON.stringify(name)}${around[2]}:${around[1]}${sample.text}`);
        if (extra) texts.splice(order[1]! % (texts.length + 1), 0, `"f" :${extra.text}`);
        return {
          text: join('{', texts, '}', around),
          expected: Object.fromEntries(
            entries.map(({ name, sample }, i) => [name, sample === null ? fields[i]!.model.absent : sample.expected]),
          ),
        };
      }),
  };
}

function unionModel(parts: JsonModel[], byConstant: boolean): JsonModel {
  const branches = parts.map((model, i) => ({ name: `B${i}`, mark: byConstant ? 'kind' : `is${i}`, model }));
  return {
    absent: null,
    schema: {
      oneOf: branches.map(({ name, mark, model }) => ({
        title: name,
        required: [mark],
        allOf: [
          model.schema,
          { type: 'object', properties: { [mark]: byConstant ? { const: name } : { type: 'string' } } },
        ],
      })),
    },
    sample: fc.oneof(
      ...branches.map(({ name, mark, model }) =>
        model.sample.map(({ text, expected }) => {
          const inside = text.slice(1, -1);
          return {
            text: `{${inside}${inside.trim() === '' ? '' : ','}"${mark}":"${name}"}`,
            expected: Object.fromEntries(
              branches.map((other) => [
                other.name,
                other.name === name ? { ...(expected as object), [mark]: name } : null,
              ]),
            ),
          };
        }),
      ),
    ),
  };
}
