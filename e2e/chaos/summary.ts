import type { ChaosReport } from './chaos.ts';
import { describeFault, FAULT_KINDS, type FaultKind } from './fault-plan.ts';
import type { RoundResult } from './round.ts';

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const rowsOf = ({ compared }: RoundResult) => Object.values(compared).reduce((sum, rows) => sum + rows, 0);

/** One round in a line, after how far the run is. */
export function describeRound(result: RoundResult, done: number, of: number): string {
  const { round, variant, faults, flowMs, caughtUpMs, comparedMs, failure } = result;
  const width = 20;
  const full = Math.round((width * done) / of);
  const bar = `${'█'.repeat(full)}${'░'.repeat(width - full)} ${done}/${of}`;
  const happened = faults.map(describeFault).join(', ');
  const came =
    failure === undefined
      ? `${rowsOf(result)} rows equal; flow ${seconds(flowMs)}, caught up after ${seconds(caughtUpMs)}, compared in ${seconds(comparedMs)}`
      : 'FAILED';
  return `${bar} round ${round} (${variant}): ${happened} → ${came}`;
}

/** Faults by kind, and what it came to. */
export function renderSummary({ seed, rounds, restarts, leaseLosses, requests, leftOut }: ChaosReport): string {
  const counts = new Map<FaultKind, number>();
  for (const { kind } of rounds.flatMap(({ faults }) => faults)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const line = (name: string, value: number | string) => `  ${name.padEnd(36)} ${value}`;
  const { passed = 0, ...failed } = requests;
  const passedRounds = rounds.filter(({ failure }) => failure === undefined).length;
  return [
    `Seed ${seed}: ${passedRounds} of ${rounds.length} rounds passed`,
    ...Object.keys(FAULT_KINDS).map((kind) => {
      const isOut = leftOut.includes(kind as FaultKind);
      return line(kind, isOut ? 'left out' : (counts.get(kind as FaultKind) ?? 0));
    }),
    line('processes started again', restarts),
    line('leases lost to another converter', leaseLosses),
    line('store requests failed', `${Object.values(failed).reduce((sum, n) => sum + n, 0)} of ${passed}`),
    line(
      'rows compared, in each format',
      rounds.reduce((sum, result) => sum + rowsOf(result), 0),
    ),
  ].join('\n');
}
