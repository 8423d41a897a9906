import { parseArgs } from 'node:util';
import { BREAKS } from '../system/broken-build.ts';
import { FAULT_KINDS, type FaultKind, KINDS } from './fault-plan.ts';

export interface Options {
  rounds: number;
  seed: number;
  /** The first round's number: a round's faults follow from it and the seed. */
  from: number;
  only: FaultKind[] | undefined;
  /** Rounds that one deployment lives. */
  together: number;
  timeoutMs: number;
  /** Name of a broken build. */
  broken: string | undefined;
  json: string | undefined;
  keep: boolean;
  help: boolean;
}

export const HELP = `npm run chaos -- [options]

The seven services as processes of their own on a real PostgreSQL, a real S3 server and a real Kafka broker with tiered
storage (now and then on SQLite and a folder, or two replicas of each), while a Java producer's interleaved transactions
flow, are committed, aborted and cut off, and maintenance compacts, expires and sweeps every few seconds. In each round
two to five faults happen at moments that the seed decides; then everything must catch up, "millrace verify --rows" must
pass, and the Iceberg table (PyIceberg) and the Delta table (delta-rs) must equal, value by value, what kafka-python and
fastavro find in the log. Every few rounds the deployment is drained (exit codes 0), nothing may be left over in the
warehouse, and the next one begins.

  --rounds N      how many (default 10)
  --seed S        decides the faults and the records (default: the time)
  --from N        the first round's number (default 0): --from 7 --rounds 1 repeats round 7 of the seed
  --only KINDS    only these faults, comma-separated
  --together N    rounds that one deployment lives (default 5)
  --timeout S     seconds within which everything must catch up after a round's faults (default 180); 45 seconds in
                  which nothing moves is too long anyway
  --broken NAME   the services run with an invariant broken, which must be caught: ${Object.keys(BREAKS).join(', ')}
  --json FILE     writes each round's faults, times, rows and failure
  --keep          keeps the folder of a failed run: logs, state, tables, the log
  --help

Faults:
${KINDS.map((kind) => `  ${kind.padEnd(17)} ${FAULT_KINDS[kind]}`).join('\n')}

A full disk needs the right to mount a tmpfs (root). Where it is missing these faults are left out, and said so; where
nothing may be skipped (CI, MILLRACE_REQUIRE_PEERS=1) the run fails.
Exit codes: 0 every round passed, 1 one failed, 2 wrong usage. The first failing round ends the run and prints the command that repeats it.`;

/** The command line; throws an Error that says what is wrong. */
export function parseOptions(argv: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...{ rounds: text, seed: text, from: text, only: text, together: text, timeout: text, broken: text, json: text },
      ...{ keep: flag, help: flag },
    },
  });
  if (values.broken !== undefined && !Object.hasOwn(BREAKS, values.broken))
    throw new Error(`--broken ${values.broken}: write one of ${Object.keys(BREAKS).join(', ')}`);
  return {
    rounds: wholeNumber('--rounds', values.rounds, 1) ?? 10,
    seed: wholeNumber('--seed', values.seed, 0) ?? Date.now() % 1_000_000,
    from: wholeNumber('--from', values.from, 0) ?? 0,
    only: values.only?.split(',').map(faultKind),
    together: wholeNumber('--together', values.together, 1) ?? 5,
    timeoutMs: 1_000 * (wholeNumber('--timeout', values.timeout, 1) ?? 180),
    broken: values.broken,
    ...{ json: values.json, keep: values.keep, help: values.help },
  };
}

function faultKind(text: string): FaultKind {
  if (!KINDS.includes(text as FaultKind)) throw new Error(`--only ${text}: write some of ${KINDS.join(', ')}`);
  return text as FaultKind;
}

function wholeNumber(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text) || Number(text) < least)
    throw new Error(`${name} ${text}: write a whole number, ${least} or more`);
  return Number(text);
}
