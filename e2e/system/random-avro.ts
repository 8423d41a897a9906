import avro from 'avsc';
import fc from 'fast-check';

// Random Avro schemas, and for each random values in the form that avsc encodes (unions wrapped, longs as bigint).

/** A schema, and an arbitrary of its values. */
interface Sample {
  schema: unknown;
  value: fc.Arbitrary<unknown>;
}

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;
const integer = (schema: unknown, min: number, max: number): Sample => ({ schema, value: fc.integer({ min, max }) });
const long = (schema: unknown, min: bigint, max: bigint): Sample => ({ schema, value: fc.bigInt({ min, max }) });
const bytes = (schema: unknown, minLength: number, maxLength: number): Sample => ({
  schema,
  value: fc.uint8Array({ minLength, maxLength }).map((value) => Buffer.from(value)),
});

/** An unscaled integer of at most `precision` digits in two's complement, big endian. */
const decimal = (schema: unknown, precision: number, size?: number): Sample => ({
  schema,
  value: fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n }).map((unscaled) => {
    const length = size ?? Math.floor((unscaled < 0n ? ~unscaled : unscaled).toString(2).length / 8) + 1;
    return Buffer.from(
      BigInt.asUintN(length * 8, unscaled)
        .toString(16)
        .padStart(length * 2, '0'),
      'hex',
    );
  }),
});

// Year 1 to 9999: what every reader's own time type can hold.
const MICROS = [-62_135_596_800_000_000n, 253_402_300_799_999_999n] as const;

/** Names are unique in a schema: named types may not be defined twice. */
function createNames() {
  let last = 0;
  return () => `N${++last}`;
}

type Names = () => string;

function primitive(names: Names): fc.Arbitrary<Sample> {
  return fc.oneof(
    fc.constant<Sample>({ schema: 'boolean', value: fc.boolean() }),
    fc.constant(integer('int', -(2 ** 31), 2 ** 31 - 1)),
    fc.constant(long('long', LONG_MIN, LONG_MAX)),
    fc.constant<Sample>({ schema: 'float', value: fc.float() }),
    fc.constant<Sample>({ schema: 'double', value: fc.double() }),
    fc.constant<Sample>({ schema: 'string', value: fc.string({ unit: 'grapheme', maxLength: 20 }) }),
    fc.constant(bytes('bytes', 0, 30)),
    fc.integer({ min: 1, max: 20 }).map((size) => bytes({ type: 'fixed', name: names(), size }, size, size)),
    fc.constantFrom(['ONLY'], ['A', 'B', 'C']).map((symbols) => ({
      schema: { type: 'enum', name: names(), symbols },
      value: fc.constantFrom(...symbols),
    })),
    fc
      .tuple(fc.integer({ min: 1, max: 38 }), fc.nat(38))
      .map(([precision, scale]) =>
        decimal({ type: 'bytes', logicalType: 'decimal', precision, scale: Math.min(scale, precision) }, precision),
      ),
    fc.integer({ min: 1, max: 18 }).map((precision) => {
      const schema = { type: 'fixed', name: names(), size: 8, logicalType: 'decimal', precision, scale: 1 };
      return decimal(schema, precision, 8);
    }),
    fc.constant<Sample>({ schema: { type: 'string', logicalType: 'uuid' }, value: fc.uuid() }),
    fc.constant(integer({ type: 'int', logicalType: 'date' }, -700_000, 2_900_000)),
    fc.constant(integer({ type: 'int', logicalType: 'time-millis' }, 0, 86_399_999)),
    fc.constant(long({ type: 'long', logicalType: 'time-micros' }, 0n, 86_399_999_999n)),
    fc
      .constantFrom('timestamp-millis', 'local-timestamp-millis')
      .map((logicalType) => long({ type: 'long', logicalType }, MICROS[0] / 1000n, MICROS[1] / 1000n)),
    fc
      .constantFrom('timestamp-micros', 'local-timestamp-micros')
      .map((logicalType) => long({ type: 'long', logicalType }, ...MICROS)),
  );
}

function record(names: Names, depth: number): fc.Arbitrary<Sample> {
  return fc.array(anyType(names, depth), { minLength: 1, maxLength: 4 }).map((fields) => ({
    schema: { type: 'record', name: names(), fields: fields.map(({ schema }, i) => ({ name: `f${i}`, type: schema })) },
    value: fc.record(Object.fromEntries(fields.map(({ value }, i) => [`f${i}`, value]))),
  }));
}

/** What avsc calls a branch. */
const branchOf = (schema: unknown): string =>
  typeof schema === 'string' ? schema : ((schema as { name?: string }).name ?? (schema as { type: string }).type);

const union = (branches: Sample[], nullable: boolean): Sample => ({
  schema: [...(nullable ? ['null'] : []), ...branches.map(({ schema }) => schema)],
  value: fc.oneof(
    ...(nullable ? [fc.constant<unknown>(null)] : []),
    ...branches.map(({ schema, value }) => value.map((inner) => ({ [branchOf(schema)]: inner }))),
  ),
});

/** Unions can't be nested directly. */
const optional = (sample: Sample): Sample => (Array.isArray(sample.schema) ? sample : union([sample], true));

function anyType(names: Names, depth: number): fc.Arbitrary<Sample> {
  if (depth === 0) return primitive(names);
  const inner = anyType(names, depth - 1);
  return fc.oneof(
    { weight: 4, arbitrary: primitive(names) },
    { weight: 3, arbitrary: inner.map(optional) },
    {
      weight: 2,
      arbitrary: inner.map(({ schema, value }) => ({
        schema: { type: 'array', items: schema },
        value: fc.array(value, { maxLength: 5 }),
      })),
    },
    {
      weight: 1,
      arbitrary: inner.map(({ schema, value }) => ({
        schema: { type: 'map', values: schema },
        value: fc.dictionary(fc.stringMatching(/^[a-zA-Zé0-9 ]{0,8}$/), value, { maxKeys: 4, noNullPrototype: true }),
      })),
    },
    { weight: 2, arbitrary: record(names, depth - 1) },
    // Branches that fastavro's values tell apart.
    {
      weight: 1,
      arbitrary: fc.tuple(record(names, depth - 1), record(names, 0), fc.boolean()).map(([one, other, nullable]) => {
        const text: Sample = { schema: 'string', value: fc.string({ maxLength: 5 }) };
        return union([text, long('long', LONG_MIN, LONG_MAX), one, other], nullable);
      }),
    },
  );
}

/** Longs as bigint: a double would lose digits. */
const LONG = avro.types.LongType.__with({
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

const typeHook = (schema: unknown) =>
  schema === 'long' || (schema as { type?: unknown }).type === 'long' ? LONG : undefined;

/** A record schema and `count` encoded values; the seed decides both. */
export function randomTopic(seed: number, count: number): { schema: unknown; values: Buffer[] } {
  const names = createNames();
  const fields = fc.sample(fc.array(optionally(anyType(names, 3)), { minLength: 3, maxLength: 8 }), {
    seed,
    numRuns: 1,
  })[0]!;
  const schema = {
    type: 'record',
    name: 'Root',
    fields: fields.map(({ schema: type }, i) => ({ name: `c${i}`, type })),
  };
  const type = avro.Type.forSchema(schema as avro.Schema, { wrapUnions: true, typeHook });
  const value = fc.record(Object.fromEntries(fields.map(({ value: inner }, i) => [`c${i}`, inner])));
  return { schema, values: fc.sample(value, { seed, numRuns: count }).map((sample) => type.toBuffer(sample)) };
}

const optionally = (samples: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> =>
  fc.tuple(samples, fc.boolean()).map(([sample, wrap]) => (wrap ? optional(sample) : sample));
