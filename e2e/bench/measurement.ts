import type { Round } from './measured/round.ts';
import type { MeasuredProcess } from './measured-process.ts';

/** One process that is measured; a round of it may give several results. */
export interface Measurement {
  start(): Promise<MeasuredProcess>;
  results: ResultSource[];
}

export interface ResultSource {
  name: string;
  /** What of the round counts; all of it by default. */
  part?: string;
  /** Whether the parts of a round are shares of this result. */
  shared?: boolean;
}

/** Of a result: its CPU time a record over that of another, by name. Below 1 ours is faster. */
export interface Ratio {
  of: string;
  to: string;
  reference: string;
}

/** What is measured together, round by round in turn, so that noise on the machine meets all of it. */
export interface Group {
  measurements: Measurement[];
  ratios: Ratio[];
}

/** The rounds of a result, in their order. */
export type Rounds = Map<
  string,
  { rounds: Round[]; peakRssMegabytes: number | undefined; shares?: Record<string, number> }
>;

/** Until then a runtime still compiles what it has seen to be hot. */
const WARM_UP_CPU_SECONDS = 3;
const WARM_UP_ROUNDS = { least: 2, most: 8 };

/** Runs a group: each process makes ready and warms up, then rounds in turn. */
export async function runGroup(group: Group, rounds: number, say: (line: string) => void): Promise<Rounds> {
  const running: { measurement: Measurement; process: MeasuredProcess }[] = [];
  const results: Rounds = new Map();
  try {
    for (const measurement of group.measurements) {
      const names = measurement.results.map(({ name }) => name).join(', ');
      say(`${names}: warming up`);
      const process = await measurement.start();
      running.push({ measurement, process });
      await warmUp(process);
      for (const { name } of measurement.results) results.set(name, { rounds: [], peakRssMegabytes: undefined });
    }
    for (let n = 0; n < rounds; n++) {
      // Every other round the other way round: what comes after whom should not matter, but may.
      for (const { measurement, process } of n % 2 === 0 ? running : running.toReversed()) {
        say(`${measurement.results.map(({ name }) => name).join(', ')}: round ${n + 1} of ${rounds}`);
        const round = await process.round();
        for (const source of measurement.results) results.get(source.name)!.rounds.push(partOf(round, source));
      }
    }
    for (const { measurement, process } of running) {
      const peak = process.peakRssMegabytes();
      const shares = await process.shares?.();
      for (const { name } of measurement.results)
        Object.assign(results.get(name)!, { peakRssMegabytes: peak, ...(shares === undefined ? {} : { shares }) });
    }
  } finally {
    for (const { process } of running) await process.end();
  }
  return results;
}

async function warmUp(process: MeasuredProcess): Promise<void> {
  let spent = 0;
  for (let n = 0; n < WARM_UP_ROUNDS.most; n++) {
    if (n >= WARM_UP_ROUNDS.least && spent >= WARM_UP_CPU_SECONDS) return;
    spent += (await process.round()).cpuSeconds;
  }
}

function partOf(round: Round, { part, shared }: ResultSource): Round {
  const { parts, bytesOut, ...base } = round;
  if (part !== undefined) {
    const out = part === 'encode' && bytesOut !== undefined ? { bytesOut } : {};
    return { ...base, cpuSeconds: parts?.[part] ?? Number.NaN, ...out };
  }
  return shared ? round : { ...base, ...(bytesOut === undefined ? {} : { bytesOut }) };
}
