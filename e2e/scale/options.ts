import { parseArgs } from 'node:util';

export interface Options {
  topics: number;
  partitions: number;
  records: number;
  converters: number;
  /** How long further segments arrive. */
  arrivalSeconds: number;
  commitIntervalMs: number;
  splitBytes: number;
  seed: number;
  database: string | undefined;
  dir: string | undefined;
  json: string | undefined;
  profile: string | undefined;
  sharing: boolean;
  help: boolean;
}

export const HELP = `npm run scale -- [options]

Many topics of tiny records (50 bytes, Avro) in one deployment: the seven services as processes of their own, wired as
npm start -- --separate wires them. Three quarters of the records are in one topic of a hundred (hot), the rest thinly in
all others. Most of the log is there when they start; while they run, the other half of the hot topics arrives in ten
waves, and one segment of every thin topic. Printed: memory of every process
over time, how long a segment takes from being visible to being committed in both formats (thin topics while hot ones have
a backlog), what planning costs, what an idle deployment costs, what a restart takes; at the end every table's count in
both formats, and a sample of tables value by value, by delta-rs, PyIceberg and pyarrow.

  --topics N             default 50
  --partitions N         of each topic, default 4
  --records N            of all topics together, default 10,000 a topic
  --converters N         default 2
  --arrival N            seconds in which the rest of the log arrives, default 120
  --commit-interval N    seconds, default 10
  --split-bytes N        bytes of log in a split, default 1048576: small, so that hot topics have a queue
  --seed N               default 1
  --database URL         PostgreSQL for the services' state (default: SQLite)
  --sharing              instead: 3 converters beside 1, by counts, each with the same quarter of a core; then one of the
                         three is killed
  --dir FOLDER           where everything is written, and kept (default: a temporary folder, removed at the end)
  --json FILE            writes what was found
  --profile FOLDER       CPU profiles of all services, written when they end
  --help

Exit code 1 when a row is missing, twice there or wrong; 2 for a wrong command line. Goals that were missed are printed.`;

/** The command line; throws an Error that says what is wrong. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      topics: { type: 'string', default: '50' },
      partitions: { type: 'string', default: '4' },
      records: { type: 'string' },
      converters: { type: 'string', default: '2' },
      arrival: { type: 'string', default: '120' },
      'commit-interval': { type: 'string', default: '10' },
      'split-bytes': { type: 'string', default: '1048576' },
      seed: { type: 'string', default: '1' },
      database: { type: 'string' },
      sharing: { type: 'boolean', default: false },
      dir: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const topics = wholeNumber('--topics', values.topics);
  const partitions = wholeNumber('--partitions', values.partitions);
  const records = values.records === undefined ? topics * 10_000 : wholeNumber('--records', values.records);
  if (records < topics * partitions * 20)
    throw new Error(`--records ${records}: at least ${topics * partitions * 20}, 20 a partition`);
  return {
    topics,
    partitions,
    records,
    converters: wholeNumber('--converters', values.converters),
    arrivalSeconds: wholeNumber('--arrival', values.arrival),
    commitIntervalMs: wholeNumber('--commit-interval', values['commit-interval']) * 1000,
    splitBytes: wholeNumber('--split-bytes', values['split-bytes']),
    seed: wholeNumber('--seed', values.seed),
    database: values.database,
    sharing: values.sharing,
    dir: values.dir,
    json: values.json,
    profile: values.profile,
    help: values.help,
  };
}

function wholeNumber(flag: string, text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new Error(`${flag} ${text}: write a whole number, 1 or more`);
  return Number(text);
}
