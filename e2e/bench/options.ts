import { parseArgs } from 'node:util';

export interface Options {
  quick: boolean;
  only: RegExp | undefined;
  records: number | undefined;
  rounds: number;
  json: string | undefined;
  compare: string | undefined;
  flame: string | undefined;
  python: string | undefined;
  rust: boolean;
  verify: boolean;
  markdown: boolean;
  help: boolean;
}

export const HELP = `npm run bench -- [options]

Generates seeded data sets as Kafka segments and measures each stage of Millrace and the whole flow beside what others
need for the same work, in the same run: CPU seconds per million records, MB a CPU second, memory, bytes. Each is measured
in a process of its own, warmed up; what is compared runs in turn, and ratios are medians of the rounds' own.

  --quick            fewer records, zstd alone, the whole flow of orders alone: under 10 minutes
  --only PATTERN     only results whose name matches (regular expression), with what they are compared with:
                     --only flow, --only '^decode/', --only rewrite
  --records N        so many orders instead of a million (the flow: a split's worth, 2.2 million); the other data sets in proportion
  --rounds N         measured rounds (default 5, quick 3)
  --json FILE        writes the results: {date, machine, node, load, results: [{name, cpuSecondsPerMillion, …}]}
  --compare FILE     shows changes against such a file; more than 10 % are marked. Ratios to the same reference say more
                     than seconds when the machine is another or busy
  --markdown         the table as Markdown, for the README
  --flame FILE       profiles the pipeline instead: FILE.cpuprofile (speedscope, DevTools) and FILE.svg
  --verify           compares every data set's file, value by value, in pyarrow, DuckDB and Spark with independent
                     decodings, instead of measuring; exit code 1 when one differs
  --python PATH      a Python with pyarrow, duckdb, fastavro, kafka-python (default: the peers', set up when missing)
  --rust             also Rust's arrow-avro, built with cargo (the first time takes minutes)
  --help

Ratios are ours over theirs: 0.5 is half the CPU time, 2 twice.`;

/** The command line; throws an Error that says what is wrong. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      records: { type: 'string' },
      rounds: { type: 'string' },
      json: { type: 'string' },
      compare: { type: 'string' },
      flame: { type: 'string' },
      python: { type: 'string' },
      rust: { type: 'boolean', default: false },
      verify: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    ...values,
    json: values.json,
    compare: values.compare,
    flame: values.flame,
    python: values.python,
    only: values.only === undefined ? undefined : new RegExp(values.only),
    records: values.records === undefined ? undefined : wholeNumber('--records', values.records),
    rounds: values.rounds === undefined ? (values.quick ? 3 : 5) : wholeNumber('--rounds', values.rounds),
  };
}

function wholeNumber(flag: string, text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new Error(`${flag} ${text}: write a whole number, 1 or more`);
  return Number(text);
}
