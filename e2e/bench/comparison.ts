import { readFileSync } from 'node:fs';
import type { Report } from './result.ts';
import { plainTable } from './table.ts';

/** Less is noise. */
const NOTABLE = 0.1;

/** Reads what --json wrote. */
export function readReport(file: string): Report {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  if (!Array.isArray(report.results)) throw new Error(`${file} holds no results of npm run bench -- --json`);
  return report;
}

/**
 * How results have changed: CPU time now over then; where both runs had the same reference, also the ratios to it, which
 * are the better evidence when the machine was busier.
 */
export function renderComparison(now: Report, then: Report): string {
  const before = new Map(then.results.map((result) => [result.name, result]));
  const rows = now.results.flatMap((result) => {
    const old = before.get(result.name);
    if (old === undefined) return [[result.name, '', 'new', '', '']];
    const change = result.cpuSecondsPerMillion / old.cpuSecondsPerMillion;
    const against = Object.entries(result.ratios).flatMap(([to, ratio]) => {
      const oldRatio = old.ratios[to];
      return oldRatio === undefined ? [] : [[to, ratio / oldRatio] as const];
    });
    return [
      [
        result.name,
        `${old.cpuSecondsPerMillion.toFixed(3)} → ${result.cpuSecondsPerMillion.toFixed(3)}`,
        change.toFixed(2),
        mark(change),
        against.map(([to, by]) => `${to} ${by.toFixed(2)}${mark(by) && ` ${mark(by)}`}`).join(', '),
      ],
    ];
  });
  const gone = then.results.filter(({ name }) => !now.results.some((result) => result.name === name));
  return [
    `Compared with ${then.date}, ${then.machine}, Node ${then.node}, load ${then.load}`,
    plainTable(['', 'CPU s / M records', 'now / then', '', 'the ratio to a reference, now / then'], rows),
    ...(gone.length === 0 ? [] : [`not measured now: ${gone.map(({ name }) => name).join(', ')}`]),
  ].join('\n\n');
}

const mark = (change: number): string => (change > 1 + NOTABLE ? '▲' : change < 1 - NOTABLE ? '▼' : '');
