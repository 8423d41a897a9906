import { writeFileSync } from 'node:fs';
import { readReport, renderComparison } from './comparison.ts';
import { dataSetOf } from './data-sets/index.ts';
import { defineGroups, narrowGroup } from './groups.ts';
import { runGroup } from './measurement.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { findPython } from './python-process.ts';
import { describeMachine, type Report, resultsOf } from './result.ts';
import { renderReport } from './table.ts';
import { createWorkspace } from './workspace.ts';

const say = (line: string): void => console.error(`${new Date().toTimeString().slice(0, 8)} ${line}`);

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else await measure(options);
} catch (error) {
  console.error(`bench: ${(error as Error).stack ?? error}`);
  process.exitCode = 1;
}

async function measure(options: Options): Promise<void> {
  const then = options.compare === undefined ? undefined : readReport(options.compare);
  const python = await findPython(options.python, say);
  const { quick, only } = options;
  const workspace = createWorkspace({
    recordsOf: (name) => recordsOf(options, name),
    codecsOf: (name) => (quick || name !== 'orders' ? ['zstd'] : ['zstd', 'lz4', 'snappy', 'gzip', 'none']),
    say,
  });
  const report: Report = { ...describeMachine(), results: [] };
  try {
    const groups = defineGroups({ workspace, python, arrowAvro: undefined, quick });
    for (const whole of groups) {
      const group = narrowGroup(whole, (name) => only?.test(name) ?? true);
      if (group === undefined) continue;
      report.results.push(...resultsOf(group, await runGroup(group, options.rounds, say)));
      // What is there so far, should the rest not come to its end.
      if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
    }
  } finally {
    workspace.remove();
  }
  if (report.results.length === 0) throw new Error(`no result matches ${only}`);
  console.log(renderReport(report, options.markdown));
  if (then !== undefined) console.log(`\n${renderComparison(report, then)}`);
}

function recordsOf({ quick, records }: Options, name: string): number {
  const dataSet = dataSetOf(name);
  const own = quick ? dataSet.quickRecords : dataSet.records;
  const orders = dataSetOf('orders');
  if (records === undefined) return own;
  return Math.max(1, Math.round((records * dataSet.records) / orders.records));
}
