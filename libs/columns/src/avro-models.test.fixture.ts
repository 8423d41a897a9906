import { createRequire } from 'node:module';
import fc from 'fast-check';

// avsc is CommonJS and its types do not tell of registries of own long types.
// biome-ignore lint/suspicious/noExplicitAny: see above
const avsc: any = createRequire(import.meta.url)('avsc');

/** A schema as a test makes it: its JSON, values as avsc takes them, and what the table must show for each. */
export interface Model {
  avro: unknown;
  /** How avsc wraps a value of it in a union. */
  branch: string;
  value: fc.Arbitrary<unknown>;
  expected(value: never): unknown;
  /** No column. */
  none?: boolean;
}

/** A schema's shape before its types have names. */
export type Shape = { kind: string; a?: number; b?: number; parts?: Shape[] };

const LEAVES = [
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
  'enum',
  'fixed',
  'decimal',
  'fixed-decimal',
  'uuid',
  'uuid-fixed',
  'date',
  'time-millis',
  'time-micros',
  'timestamp-millis',
  'timestamp-micros',
  'timestamp-nanos',
  'local-timestamp-millis',
  'local-timestamp-micros',
  'duration',
];

const leaf = fc.record({ kind: fc.constantFrom(...LEAVES), a: fc.integer({ min: 1, max: 38 }), b: fc.nat(38) });

export const shapes: fc.Arbitrary<Shape> = fc.letrec<{ shape: Shape; record: Shape }>((tie) => ({
  shape: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    tie('record'),
    fc.record({ kind: fc.constantFrom('array', 'map', 'nullable'), parts: fc.tuple(tie('shape')) }),
    fc.record({ kind: fc.constant('union'), parts: fc.array(tie('shape'), { minLength: 1, maxLength: 4 }) }),
  ),
  record: fc.record({ kind: fc.constant('record'), parts: fc.array(tie('shape'), { minLength: 1, maxLength: 6 }) }),
})).record;

const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const bytes = (length: object) => fc.uint8Array(length).map((value) => Buffer.from(value));
const asIs = (value: unknown) => value;
const micros = (value: bigint) => value * 1000n;

/** The model of a shape; `next` makes its names. */
export function modelOf(shape: Shape, next: () => number): Model {
  const { kind, a = 1, b = 0, parts = [] } = shape;
  const simple = (
    avro: unknown,
    branch: string,
    value: fc.Arbitrary<unknown>,
    expected: (value: never) => unknown = asIs,
  ): Model => ({ avro, branch, value, expected });
  const logical = (base: string, more: object = {}) => ({ type: base, logicalType: kind, ...more });
  switch (kind) {
    case 'null':
      return { ...simple('null', 'null', fc.constant(null)), none: true };
    case 'boolean':
      return simple('boolean', 'boolean', fc.boolean());
    case 'int':
      return simple('int', 'int', fc.integer());
    case 'long':
      return simple('long', 'long', long);
    case 'float':
      return simple('float', 'float', fc.float());
    case 'double':
      return simple('double', 'double', fc.double());
    case 'bytes':
      return simple('bytes', 'bytes', bytes({ maxLength: 40 }));
    case 'string':
      return simple('string', 'string', fc.string({ unit: 'binary', maxLength: 40 }));
    case 'enum': {
      const symbols = Array.from({ length: 1 + (a % 5) }, (_, i) => `S${i}`);
      const name = `E${next()}`;
      return simple({ type: 'enum', name, symbols }, name, fc.constantFrom(...symbols));
    }
    case 'fixed': {
      const name = `F${next()}`;
      return simple({ type: 'fixed', name, size: a }, name, bytes({ minLength: a, maxLength: a }));
    }
    case 'decimal':
    case 'fixed-decimal':
      return decimalModel(a, Math.min(a, b), kind === 'decimal' ? undefined : `D${next()}`);
    case 'uuid':
      return simple(logical('string'), 'string', fc.uuid());
    case 'uuid-fixed': {
      const name = `U${next()}`;
      const hex = (value: Buffer) => value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
      return simple(
        { type: 'fixed', name, size: 16, logicalType: 'uuid' },
        name,
        bytes({ minLength: 16, maxLength: 16 }),
        hex,
      );
    }
    case 'date':
      return simple(logical('int'), 'int', fc.integer());
    case 'time-millis':
      return simple(logical('int'), 'int', fc.integer(), (value: number) => BigInt(value) * 1000n);
    case 'timestamp-millis':
    case 'local-timestamp-millis':
      return simple(logical('long'), 'long', fc.bigInt({ min: -(2n ** 63n) / 1000n, max: 2n ** 63n / 1000n }), micros);
    case 'duration': {
      const name = `P${next()}`;
      const parts = (value: Buffer) => ({
        months: BigInt(value.readUInt32LE(0)),
        days: BigInt(value.readUInt32LE(4)),
        millis: BigInt(value.readUInt32LE(8)),
      });
      return simple(
        { type: 'fixed', name, size: 12, logicalType: 'duration' },
        name,
        bytes({ minLength: 12, maxLength: 12 }),
        parts,
      );
    }
    case 'record':
      return recordModel(
        `R${next()}`,
        parts.map((part) => modelOf(part, next)),
      );
    case 'array': {
      const item = modelOf(parts[0]!, next);
      const list = (value: never[]) => (item.none ? JSON.stringify(value) : value.map((one) => item.expected(one)));
      return simple({ type: 'array', items: item.avro }, 'array', fc.array(item.value, { maxLength: 5 }), list);
    }
    case 'map': {
      const item = modelOf(parts[0]!, next);
      const map = (value: Record<string, never>) =>
        item.none ? JSON.stringify(value) : Object.entries(value).map(([key, one]) => [key, item.expected(one)]);
      const keys = fc.string({ unit: 'grapheme', maxLength: 5 }).filter((key) => key !== '__proto__');
      return simple(
        { type: 'map', values: item.avro },
        'map',
        fc.dictionary(keys, item.value, { maxKeys: 4, noNullPrototype: true }),
        map,
      );
    }
    case 'nullable':
      return unionModel([modelOf({ kind: 'null' }, next), modelOf(parts[0]!, next)]);
    case 'union':
      return unionModel(parts.map((part) => modelOf(part, next)));
    default:
      return simple(logical('long'), 'long', long);
  }
}

function decimalModel(precision: number, scale: number, fixed: string | undefined): Model {
  const most = 10n ** BigInt(precision) - 1n;
  const least = Math.ceil((precision * Math.log2(10) + 1) / 8);
  const extra = fixed ? 2 : 0;
  const encode = ({ unscaled, pad }: { unscaled: bigint; pad: number }) => {
    let length = fixed ? least + extra : 1;
    while (BigInt.asIntN(8 * length, unscaled) !== unscaled) length++;
    if (!fixed) length += pad;
    return Buffer.from(
      BigInt.asUintN(8 * length, unscaled)
        .toString(16)
        .padStart(2 * length, '0'),
      'hex',
    );
  };
  const value = fc.record({ unscaled: fc.bigInt({ min: -most, max: most }), pad: fc.nat(2) }).map(encode);
  const logical = { logicalType: 'decimal', precision, scale };
  return {
    avro: fixed ? { type: 'fixed', name: fixed, size: least + extra, ...logical } : { type: 'bytes', ...logical },
    branch: fixed ?? 'bytes',
    value,
    expected: (bytes: Buffer) => BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`)),
  };
}

function recordModel(name: string, fields: Model[]): Model {
  const named = fields.map((model, at) => ({ name: `f${at}`, model }));
  const none = named.every(({ model }) => model.none);
  return {
    avro: { type: 'record', name, fields: named.map(({ name: field, model }) => ({ name: field, type: model.avro })) },
    branch: name,
    value: fc.record(Object.fromEntries(named.map(({ name: field, model }) => [field, model.value])), {
      noNullPrototype: true,
    }),
    expected: (value: Record<string, never>) =>
      none
        ? JSON.stringify(value)
        : Object.fromEntries(
            named
              .filter(({ model }) => !model.none)
              .map(({ name: field, model }) => [field, model.expected(value[field]!)]),
          ),
  };
}

function unionModel(all: Model[]): Model {
  // A union has each type once, and no union.
  const seen = new Set<string>();
  const models = all.filter((model) => model.branch !== 'union' && !seen.has(model.branch) && seen.add(model.branch));
  if (models.length === 0) return all[0]!;
  const others = models.filter((model) => model.branch !== 'null');
  const wrap = (model: Model) =>
    model.value.map((value) => (model.branch === 'null' ? null : { [model.branch]: value }));
  return {
    avro: models.map((model) => model.avro),
    branch: 'union',
    value: fc.oneof(...models.map(wrap)),
    none: others.length === 0,
    expected: (value: Record<string, never> | null) => {
      if (value === null) return null;
      const [branch, inner] = Object.entries(value)[0]!;
      const model = others.find((other) => other.branch === branch)!;
      if (others.length === 1) return model.expected(inner);
      return Object.fromEntries(others.map((other) => [other.branch, other === model ? model.expected(inner) : null]));
    },
  };
}

/** avsc's type of a schema, longs as bigint. */
export function avscType(schema: unknown): { toBuffer(value: unknown): Buffer; fromBuffer(bytes: Buffer): unknown } {
  const longs = avsc.types.LongType.__with({
    fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigInt64LE(value);
      return buffer;
    },
    fromJSON: BigInt,
    toJSON: Number,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  });
  const typeHook = (part: unknown) =>
    part === 'long' || (part as { type?: unknown })?.type === 'long' ? longs : undefined;
  return avsc.Type.forSchema(schema, { typeHook, wrapUnions: true });
}
