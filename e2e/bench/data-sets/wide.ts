import avsc from 'avsc';
import { AVRO_FRAME, type DataSet, framed, START_MICROS } from './data-set.ts';
import { createRandom, oneOf, type Random } from './random.ts';

const COLUMNS = 200;
const WORDS = ['north', 'south', 'east', 'west', 'Zürich', 'Łódź', 'São Paulo', '東京'];

interface Kind {
  name: string;
  type: unknown;
  value(random: Random, i: number): unknown;
}

/** What the columns hold, in turn. */
const KINDS: Kind[] = [
  { name: 'count', type: 'long', value: (random) => random(1_000_000) },
  { name: 'sequence', type: 'long', value: (_, i) => 1_000_000_000 + i },
  { name: 'small', type: 'int', value: (random) => random(50) },
  { name: 'ratio', type: 'double', value: (random) => random(1_000_000_000) / 7 },
  { name: 'price', type: 'double', value: (random) => random(10_000) / 100 },
  { name: 'flag', type: 'boolean', value: (random) => random(4) === 0 },
  { name: 'word', type: 'string', value: (random) => oneOf(random, WORDS) },
  { name: 'code', type: 'string', value: (random) => `code-${random(20_000)}` },
  { name: 'maybe_count', type: ['null', 'long'], value: (random) => (random(3) === 0 ? null : random(1000)) },
  { name: 'maybe_word', type: ['null', 'string'], value: (random) => (random(10) > 0 ? null : oneOf(random, WORDS)) },
  {
    name: 'at',
    type: { type: 'long', logicalType: 'timestamp-micros' },
    value: (random, i) => START_MICROS + i * 1000 + random(1000),
  },
  { name: 'day', type: { type: 'int', logicalType: 'date' }, value: (random) => 20_000 + random(365) },
  { name: 'single', type: 'float', value: (random) => Math.fround(random(1_000_000) / 3) },
];

const columns = Array.from({ length: COLUMNS }, (_, c) => {
  const kind = KINDS[c % KINDS.length]!;
  return { ...kind, name: `${kind.name}_${c}` };
});
const SCHEMA = { type: 'record', name: 'Wide', fields: columns.map(({ name, type }) => ({ name, type })) };

/** 200 flat columns. */
export const wide: DataSet = {
  name: 'wide',
  what: `${COLUMNS} flat columns, Avro`,
  encoding: 'avro',
  schemaText: JSON.stringify(SCHEMA),
  records: 100_000,
  quickRecords: 50_000,
  batchRecords: 200,
  createRecords() {
    const type = avsc.Type.forSchema(SCHEMA as avsc.Schema, { wrapUnions: false });
    const random = createRandom(7);
    return (i) => {
      const value = type.toBuffer(Object.fromEntries(columns.map(({ name, value }) => [name, value(random, i)])));
      return { timestampMs: START_MICROS / 1000 + i, key: null, value: framed(AVRO_FRAME, value) };
    };
  },
};
