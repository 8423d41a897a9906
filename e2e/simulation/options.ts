import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { BREAKS } from '../system/broken-build.ts';
import type { Replay } from './thread.ts';

export interface Options {
  seeds: number;
  seed: number;
  replay: Replay | undefined;
  steps: number | undefined;
  trace: boolean;
  log: string | undefined;
  broken: string | undefined;
  processes: number;
  failures: number;
  help: boolean;
}

export const HELP = `npm run simulate -- [options]

Runs metadata-discovery, parquet-converter, iceberg-rest-catalog, delta-committer and maintenance-scheduler, the product's own
code, under a seeded scheduler with virtual time, in one process a seed: messages and store calls fail, lose their answers,
come late and come twice, processes die, stop, stand still and have wrong clocks. The invariants I1 to I6 of the design are
checked after every step; when faults have ended, everything must become committed, and both tables must hold the source's
records, each once. The same seed gives the same run.

  --seeds N        how many seeds (default 2000)
  --seed S         the first of them (default 1)
  --processes N    processes that run seeds (default ${availableParallelism()}, the cores)
  --failures N     stop after so many failed seeds (default 5)
  --replay WHAT    one run instead: a JSON object {"seed", "faults", "segments"} as a failure prints it, or a file with one
  --steps N        with --replay or --trace: end the run after so many steps
  --trace          runs --seed alone and prints what happens in it
  --log FILE       with --trace or --replay: the services' own log lines
  --broken NAME    a build with one invariant broken, which must be found: ${Object.keys(BREAKS).join(', ')}
  --help

Exit code 1: a seed failed. Its shortest replay is printed; put it into e2e/simulation/regressions.json with what it found.`;

/** The command line; throws an Error that says what is wrong. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seeds: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      processes: { type: 'string', default: String(availableParallelism()) },
      failures: { type: 'string', default: '5' },
      replay: { type: 'string' },
      steps: { type: 'string' },
      trace: { type: 'boolean', default: false },
      log: { type: 'string' },
      broken: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.broken !== undefined && !Object.hasOwn(BREAKS, values.broken)) {
    throw new Error(`--broken ${values.broken} is not known; legal: ${Object.keys(BREAKS).join(', ')}`);
  }
  return {
    seeds: wholeNumber('seeds', values.seeds, 1),
    seed: wholeNumber('seed', values.seed, 0),
    processes: wholeNumber('processes', values.processes, 1),
    failures: wholeNumber('failures', values.failures, 1),
    replay: values.replay === undefined ? undefined : parseReplay(values.replay),
    steps: values.steps === undefined ? undefined : wholeNumber('steps', values.steps, 1),
    trace: values.trace,
    log: values.log,
    broken: values.broken,
    help: values.help,
  };
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least && value <= 2 ** 31) return value;
  throw new Error(`--${name} ${text} is not legal: use a whole number from ${least} to ${2 ** 31}`);
}

function parseReplay(text: string): Replay {
  let replay: Replay;
  try {
    replay = JSON.parse(text.trimStart().startsWith('{') ? text : readFileSync(text, 'utf8')) as Replay;
  } catch (error) {
    throw new Error(`--replay: neither a JSON object nor a file with one: ${(error as Error).message}`);
  }
  if (Number.isSafeInteger(replay?.seed)) return replay;
  throw new Error(
    '--replay: the object must have a "seed", and may have "faults" (list of "kind:number") and "segments"',
  );
}
