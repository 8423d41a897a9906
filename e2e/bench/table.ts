import { judgeGoals } from './goals.ts';
import type { Report, Result } from './result.ts';

const digits = (value: number): string =>
  value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3);
const optional = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? '' : text(value);
const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

/** Less is not worth its place in the table. */
const LEAST_SHARE = 0.01;

const HEADINGS = ['', 'CPU s / M records', 'MB / CPU s', 'MB out', 'peak MB', 'times others’ CPU time', 'shares'];

function row(result: Result): string[] {
  const { name, cpuSecondsPerMillion, megabytesPerCpuSecond, bytesOut, peakRssMegabytes, ratios, shares } = result;
  return [
    name,
    digits(cpuSecondsPerMillion),
    megabytesPerCpuSecond === 0 ? '' : digits(megabytesPerCpuSecond),
    optional(bytesOut, (bytes) => (bytes / 1e6).toFixed(1)),
    optional(peakRssMegabytes, (megabytes) => megabytes.toFixed(0)),
    Object.entries(ratios)
      .filter(([to]) => !to.endsWith('/bytes'))
      .map(([to, ratio]) => `${ratio < 0.1 ? ratio.toFixed(3) : ratio.toFixed(2)} ${to}`)
      .join(', '),
    Object.entries(shares ?? {})
      .filter(([, share]) => share >= LEAST_SHARE)
      .map(([part, share]) => `${part} ${percent(share)}`)
      .join(', '),
  ];
}

/** The results and the goals, for people; `markdown` for the README. */
export function renderReport(report: Report, markdown: boolean): string {
  const { date, machine, node, load, results } = report;
  const goals = judgeGoals(results).map(({ what, found, most, reached }) => [
    what,
    digits(found),
    `≤ ${digits(most)}`,
    reached ? 'reached' : 'missed',
  ]);
  const render = markdown ? markdownTable : plainTable;
  const parts = [
    `${date.slice(0, 10)}, ${machine}, Node ${node}, load ${load} at the start`,
    render(HEADINGS, results.map(row)),
    ...(goals.length === 0 ? [] : [render(['goal', 'found', '', ''], goals)]),
  ];
  return parts.join('\n\n');
}

export const markdownTable = (headings: string[], rows: string[][]): string =>
  [headings, headings.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

export function plainTable(headings: string[], rows: string[][]): string {
  const widths = headings.map((_, c) => Math.max(...[headings, ...rows].map((cells) => cells[c]!.length)));
  const isNumber = headings.map((_, c) => rows.every((cells) => /^[\d.]*$/.test(cells[c]!)));
  return [headings, ...rows]
    .map((cells) =>
      cells
        .map((cell, c) => (isNumber[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
