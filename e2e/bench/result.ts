import { arch, cpus, freemem, loadavg, platform, totalmem } from 'node:os';
import type { Round } from './measured/round.ts';
import type { Group, Rounds } from './measurement.ts';

/** One line of the benchmark: medians over the rounds. */
export interface Result {
  name: string;
  records: number;
  cpuSecondsPerMillion: number;
  /** The least and the most of the rounds. */
  range: [number, number];
  megabytesPerCpuSecond: number;
  bytesOut: number | undefined;
  peakRssMegabytes: number | undefined;
  /** Part of the CPU time, 0 to 1. */
  shares?: Record<string, number>;
  /** CPU time a record over that of others in the same rounds (below 1: less); "…/bytes": of what was written. */
  ratios: Record<string, number>;
}

/** What a run of the benchmark found. */
export interface Report {
  date: string;
  machine: string;
  node: string;
  /** Load average when it began. */
  load: number;
  results: Result[];
}

export const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

const perMillion = ({ cpuSeconds, records }: Round): number => (cpuSeconds * 1e6) / records;

/** The results of a group, with the ratios among them: the median of the rounds' own. */
export function resultsOf(group: Group, all: Rounds): Result[] {
  return [...all].map(([name, { rounds, peakRssMegabytes, shares }]) => {
    const each = rounds.map(perMillion);
    const first = rounds[0]!;
    const result: Result = {
      name,
      records: first.records,
      cpuSecondsPerMillion: median(each),
      range: [Math.min(...each), Math.max(...each)],
      megabytesPerCpuSecond: median(rounds.map(({ bytes, cpuSeconds }) => bytes / 1e6 / cpuSeconds)),
      bytesOut: first.bytesOut,
      peakRssMegabytes,
      ratios: ratiosOf(name, group, all),
    };
    if (first.parts !== undefined) result.shares = { ...sharesOf(rounds), ...shares };
    return result;
  });
}

function ratiosOf(name: string, group: Group, all: Rounds): Record<string, number> {
  const ratios: Record<string, number> = {};
  const mine = all.get(name)!.rounds;
  for (const { to, reference } of group.ratios.filter(({ of }) => of === name)) {
    const others = all.get(reference)?.rounds;
    if (others === undefined) continue;
    ratios[to] = median(mine.map((round, i) => perMillion(round) / perMillion(others[i]!)));
    const [written, theirs] = [mine[0]!.bytesOut, others[0]!.bytesOut];
    if (written !== undefined && theirs !== undefined)
      ratios[`${to}/bytes`] = written / mine[0]!.records / (theirs / others[0]!.records);
  }
  return ratios;
}

function sharesOf(rounds: readonly Round[]): Record<string, number> {
  const names = Object.keys(rounds[0]!.parts!);
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map(({ parts, cpuSeconds }) => parts![name]! / cpuSeconds))]),
  );
}

/** What the figures depend on. */
export function describeMachine(): Pick<Report, 'date' | 'machine' | 'node' | 'load'> {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const gigabytes = (bytes: number) => Math.round(bytes / 2 ** 30);
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${model}, ${gigabytes(totalmem())} GB (${gigabytes(freemem())} free), ${platform()} ${arch()}`,
    node: process.version,
    load: Math.round(loadavg()[0]! * 100) / 100,
  };
}
