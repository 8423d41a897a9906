import type { Result } from './result.ts';

/** Something that must hold of the results; `found` is undefined when it was not measured. */
export interface Goal {
  what: string;
  found(results: ReadonlyMap<string, Result>): number | undefined;
  most: number;
}

const ratio = (name: string, to: string) => (results: ReadonlyMap<string, Result>) => results.get(name)?.ratios[to];

/** Times as fast, said as the most that our share of their time may be. */
const GOALS: Goal[] = [
  {
    what: 'the whole flow, both formats committed: CPU over pyarrow’s mere write',
    found: ratio('flow/orders/zstd', 'pyarrow-write'),
    most: 1.5,
  },
  {
    what: 'orchestration (all but the conversion itself): share of the flow',
    found: (results) => results.get('flow/orders/zstd')?.shares?.['orchestration'],
    most: 0.1,
  },
  {
    what: 'encode: CPU over pyarrow with the same dictionaries',
    found: ratio('encode/orders', 'pyarrow-write'),
    most: 1.05,
  },
  {
    what: 'file size over pyarrow’s with the same dictionaries',
    found: ratio('encode/orders', 'pyarrow-write/bytes'),
    most: 1.02,
  },
  { what: 'Avro decode: CPU over arrow-avro (Rust)', found: ratio('decode/orders/avro', 'arrow-avro'), most: 0.6 },
  {
    what: 'Protobuf decode: CPU over protobuf-es (5 times as fast)',
    found: ratio('decode/orders/protobuf', 'protobuf-es'),
    most: 1 / 5,
  },
  {
    what: 'JSON decode: CPU over JSON.parse into columns (3 times as fast)',
    found: ratio('decode/orders/json', 'JSON.parse'),
    most: 1 / 3,
  },
  {
    what: 'rewrite of 64 files into one: CPU over DuckDB’s COPY',
    found: ratio('rewrite/orders', 'duckdb-copy'),
    most: 1,
  },
  {
    what: 'peak memory of a conversion, the most of all data sets (MB)',
    found: (results) => {
      const peaks = [...results.values()]
        .filter(({ name }) => /^(pipeline|flow)\//.test(name))
        .flatMap(({ peakRssMegabytes }) => peakRssMegabytes ?? []);
      return peaks.length === 0 ? undefined : Math.max(...peaks);
    },
    most: 300,
  },
];

export interface JudgedGoal {
  what: string;
  found: number;
  most: number;
  reached: boolean;
}

/** The goals that the results tell something of. */
export function judgeGoals(results: readonly Result[]): JudgedGoal[] {
  const byName = new Map(results.map((result) => [result.name, result]));
  return GOALS.flatMap(({ what, found, most }) => {
    const value = found(byName);
    return value === undefined ? [] : [{ what, found: value, most, reached: value <= most }];
  });
}
