import fc from 'fast-check';

/** A value as a test makes it: its JSON text, and what the table must show for it. */
export interface Sample {
  text: string;
  expected: unknown;
}

/** A JSON Schema and values of it. */
export interface JsonModel {
  schema: unknown;
  sample: fc.Arbitrary<Sample>;
  /** What is shown for a property that is left out. */
  absent: unknown;
}

export const LEAVES = [
  'boolean',
  'integer',
  'number',
  'decimal',
  'string',
  'date-time',
  'date',
  'time',
  'base64',
  'uuid',
  'any',
  'enum',
];

/** A string as JSON, escaped in one of the ways that there are. */
const quoted = (text: string): fc.Arbitrary<string> =>
  fc.array(fc.nat(7), { minLength: 1, maxLength: 7 }).map((how) => {
    const hex = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    const parts = [...text].map((character, i) => {
      if (how[i % how.length] === 0) return [...character.split('')].map(hex).join('');
      if (how[i % how.length] === 1 && character === '/') return '\\/';
      return JSON.stringify(character).slice(1, -1);
    });
    return `"${parts.join('')}"`;
  });

// Not fast-check's own units: those make a table of all of Unicode first.
const character = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'abc"\\/\n é€😀') },
  { weight: 1, arbitrary: fc.nat(0x10ffff - 0x800).map((i) => String.fromCodePoint(i < 0xd800 ? i : i + 0x800)) },
);
export const strings = fc.string({ unit: character, maxLength: 20 });
const stringSample = (text: fc.Arbitrary<string>): fc.Arbitrary<Sample> =>
  text.chain((expected) => quoted(expected).map((text) => ({ text, expected })));

const integers = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }),
);

const integerSample: fc.Arbitrary<Sample> = fc.tuple(integers, fc.nat(5)).map(([value, how]) => {
  const digits = String(value);
  const zeros = /0*$/.exec(digits)![0].length;
  const spellings = [digits, digits, `${digits}.0`, `${digits}.000e0`, value === 0n ? '0E-1' : `${digits}0E-1`];
  const short = zeros > 0 && value !== 0n ? `${digits.slice(0, -zeros)}e+${zeros}` : digits;
  return { text: spellings[how] ?? short, expected: value };
});

function decimalSample(scale: number): fc.Arbitrary<Sample> {
  const most = 10n ** 38n - 1n;
  const unscaled = fc.oneof(fc.bigInt({ min: -most, max: most }), fc.bigInt({ min: -99_999n, max: 99_999n }));
  return fc.tuple(unscaled, fc.nat(3)).map(([value, how]) => {
    const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
    const whole = digits.slice(0, digits.length - scale);
    const plain = `${value < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(-scale)}`}`;
    const spellings = [plain, scale === 0 ? plain : `${plain}00`, `${value}e-${scale}`];
    return { text: spellings[how] ?? plain, expected: value };
  });
}

const two = (value: number): string => String(value).padStart(2, '0');

const clockSample = fc.record({
  hours: fc.nat(23),
  minutes: fc.nat(59),
  seconds: fc.nat(59),
  fraction: fc.option(fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 6 })),
  zeros: fc.nat(4),
  offset: fc.option(fc.integer({ min: -1439, max: 1439 })),
});

function clockText(clock: {
  hours: number;
  minutes: number;
  seconds: number;
  fraction: string | null;
  zeros: number;
  offset: number | null;
}) {
  const { hours, minutes, seconds, fraction, zeros, offset } = clock;
  const away = Math.abs(offset ?? 0);
  const zone = offset === null ? 'Z' : `${offset < 0 ? '-' : '+'}${two(Math.floor(away / 60))}:${two(away % 60)}`;
  const point = fraction === null ? '' : `.${fraction}${'0'.repeat(fraction.length === 6 ? zeros : 0)}`;
  const micros = BigInt((hours * 60 + minutes - (offset ?? 0)) * 60 + seconds) * 1_000_000n;
  return {
    text: `${two(hours)}:${two(minutes)}:${two(seconds)}${point}${zone}`,
    micros: micros + BigInt((fraction ?? '').padEnd(6, '0')),
  };
}

// Date is the oracle: setUTCFullYear takes the years below 100 as they are.
const days = fc
  .tuple(fc.integer({ min: 0, max: 9999 }), fc.nat(11), fc.integer({ min: 1, max: 28 }))
  .map(([year, month, day]) => ({
    text: `${String(year).padStart(4, '0')}-${two(month + 1)}-${two(day)}`,
    days: new Date(0).setUTCFullYear(year, month, day) / 86_400_000,
  }));

export const anySample: fc.Arbitrary<Sample> = fc
  .json({ maxDepth: 3, stringUnit: character })
  .map((text) => ({ text, expected: text === 'null' ? null : text }));

/** The model of a type without parts. */
export function leafModel(kind: string, scale: number): JsonModel {
  const model = (schema: unknown, sample: fc.Arbitrary<Sample>): JsonModel => ({ schema, sample, absent: null });
  const format = { type: 'string', format: kind };
  switch (kind) {
    case 'boolean':
      return model(
        { type: kind },
        fc.boolean().map((expected) => ({ text: String(expected), expected })),
      );
    case 'integer':
      return model({ type: kind }, integerSample);
    case 'number':
      return model(
        { type: kind },
        fc
          .oneof(
            fc.double({ noNaN: true, noDefaultInfinity: true }),
            fc.integer().map((value) => value / 100),
          )
          .map((expected) => ({ text: Object.is(expected, -0) ? '-0.0' : String(expected), expected })),
      );
    case 'decimal':
      return model({ type: 'number', multipleOf: Number(`1e-${scale}`) }, decimalSample(scale));
    case 'string':
      return model({ type: kind }, stringSample(strings));
    case 'enum':
      return model({ enum: ['A', 'Bb', 'ç"'] }, stringSample(fc.constantFrom('A', 'Bb', 'ç"')));
    case 'date-time':
      return model(
        format,
        fc.tuple(days, clockSample, fc.constantFrom('T', 't', ' ')).map(([day, clock, letter]) => {
          const { text, micros } = clockText(clock);
          return { text: `"${day.text}${letter}${text}"`, expected: BigInt(day.days) * 86_400_000_000n + micros };
        }),
      );
    case 'date':
      return model(
        format,
        days.map(({ text, days }) => ({ text: `"${text}"`, expected: days })),
      );
    case 'time':
      return model(
        format,
        clockSample.map((clock) => {
          const { text, micros } = clockText(clock);
          return { text: `"${text}"`, expected: ((micros % 86_400_000_000n) + 86_400_000_000n) % 86_400_000_000n };
        }),
      );
    case 'base64':
      return model(
        { type: 'string', contentEncoding: 'base64' },
        fc
          .tuple(fc.uint8Array({ maxLength: 30 }), fc.constantFrom<BufferEncoding>('base64', 'base64url'))
          .map(([bytes, how]) => ({ text: `"${Buffer.from(bytes).toString(how)}"`, expected: Buffer.from(bytes) })),
      );
    case 'uuid':
      return model(
        format,
        fc.uuid().map((expected) => ({ text: `"${expected}"`, expected })),
      );
    default:
      return model({}, anySample);
  }
}
