import { plainTable } from '../bench/table.ts';
import type { Spread } from './fairness.ts';
import type { Phase, ScaleReport } from './run.ts';

export interface Goal {
  what: string;
  found: number;
  most: number;
  unit: string;
}

const LEAST_MEMORY_SLOPE_MEGABYTES = 10;

/** What we ask of a deployment of this size. */
export function goalsOf(report: ScaleReport): Goal[] {
  const memory = Object.values(report.memory);
  return [
    { what: 'planning, CPU per topic and look', found: report.idle.cpuMsPerTopicLook, most: 1, unit: 'ms' },
    { what: 'idle deployment, share of a core', found: report.idle.shareOfCore * 100, most: 10, unit: '%' },
    {
      what: 'thin topics, p99 from visible to committed in both formats',
      found: report.arrivals.thin.p99,
      most: (3 * report.options.commitIntervalMs) / 1000,
      unit: 's',
    },
    {
      what: 'memory of the largest process, peak',
      found: Math.max(...memory.map(({ peak }) => peak)),
      most: 400,
      unit: 'MB',
    },
    {
      what: 'memory of the fastest growing process',
      found: Math.max(...memory.map(({ slope }) => slope)),
      most: LEAST_MEMORY_SLOPE_MEGABYTES,
      unit: 'MB/min',
    },
  ];
}

const digits = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2));
const spreadRow = ({ count, median, p90, p99, max }: Spread) => [
  String(count),
  ...[median, p90, p99, max].map((value) => digits(value)),
];

export function renderScale(report: ScaleReport): string {
  const { options, catchUp, arrivals, drain, idle, restart, memory, commits, cpuMsPerCommit, verified } = report;
  const phases: [string, Phase][] = [
    ['catch-up', catchUp],
    ['arrivals', arrivals],
    ['drain', drain],
    ['idle', idle],
  ];
  const services = Object.keys(memory);
  return [
    `${report.topics} topics (${report.hotTopics} hot) × ${options.partitions} partitions, ${options.records.toLocaleString('en')} records in ${report.segments} segments, ${options.converters} converters, commit interval ${options.commitIntervalMs / 1000} s, seed ${options.seed}, ${options.database === undefined ? 'SQLite' : 'PostgreSQL'}`,
    plainTable(
      ['seconds from visible to committed in both formats', 'segments', 'median', 'p90', 'p99', 'max'],
      [
        [`catch-up (${catchUp.records.toLocaleString('en')} records at once)`, ...spreadRow(catchUp.spread)],
        ['arrivals, thin topics', ...spreadRow(arrivals.thin)],
        ['arrivals, hot topics', ...spreadRow(arrivals.hot)],
      ],
    ),
    `thin topics: Jain's index of their speeds ${arrivals.jain.toFixed(3)}, slowest over median ${digits(arrivals.thin.max / arrivals.thin.median)}${arrivals.lateWrites > 0 ? `; ${arrivals.lateWrites} segments were written late, the machine was busy` : ''}`,
    plainTable(
      [
        '',
        ...phases.map(([name, { seconds }]) => `${name}, CPU s of ${seconds.toFixed(0)} s`),
        'peak MB',
        'then MB',
        'MB/min',
      ],
      services.map((name) => [
        name,
        ...phases.map(([, { cpu }]) => digits(cpu[name] ?? 0)),
        ...[memory[name]!.peak, memory[name]!.last, memory[name]!.slope].map(digits),
      ]),
    ),
    [
      `planning: ${idle.cpuMsPerTopicLook.toFixed(4)} ms of CPU per topic and look (all of metadata-discovery, idle; ${idle.looks} looks, ${digits(idle.lookMs.median)} ms each)`,
      `idle deployment: ${(idle.shareOfCore * 100).toFixed(1)} % of a core`,
      `commits: ${commits} versions; CPU ms for each: ${Object.entries(cpuMsPerCommit)
        .map(([name, ms]) => `${name} ${digits(ms)}`)
        .join(', ')}`,
      `start: ${digits(report.startSeconds)} s until all answer; metadata-discovery again: ${digits(restart.discoverySeconds)} s until it has looked at everything (${digits(restart.cpuSeconds)} CPU s)`,
      `verified in ${verified.seconds.toFixed(0)} s: ${verified.rows.toLocaleString('en')} rows in ${verified.tables} tables by delta-rs and PyIceberg; ${verified.sampledRows.toLocaleString('en')} rows in ${verified.sampled} tables by value`,
      ...verified.differences.map((difference) => `DIFFERS  ${difference}`),
    ].join('\n'),
    plainTable(
      ['goal', 'found', '', ''],
      goalsOf(report).map(({ what, found, most, unit }) => [
        what,
        `${digits(found)} ${unit}`,
        `≤ ${digits(most)}`,
        found <= most ? 'reached' : 'missed',
      ]),
    ),
  ].join('\n\n');
}
