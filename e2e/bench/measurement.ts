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
export type Rounds = Map<string, { rounds: Round[]; peakRssMegabytes: number | undefined }>;

const WARM_UP_ROUNDS = 2;

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
      for (let n = 0; n < WARM_UP_ROUNDS; n++) await process.round();
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
      for (const { name } of measurement.results) results.get(name)!.peakRssMegabytes = peak;
    }
  } finally {
    for (const { process } of running) await process.end();
  }
  return results;
}

function partOf(round: Round, { part, shared }: ResultSource): Round {
  const { parts, bytesOut, ...base } = round;
  if (part !== undefined) {
    const out = part === 'encode' && bytesOut !== undefined ? { bytesOut } : {};
    return { ...base, cpuSeconds: parts?.[part] ?? Number.NaN, ...out };
  }
  return shared ? round : { ...base, ...(bytesOut === undefined ? {} : { bytesOut }) };
}
