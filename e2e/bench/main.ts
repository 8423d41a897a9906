import { writeFileSync } from 'node:fs';
import { buildArrowAvro } from './arrow-avro.ts';
import { readReport, renderComparison } from './comparison.ts';
import { dataSetOf } from './data-sets/index.ts';
import { profilePipeline } from './flame.ts';
import { defineGroups, narrowGroup } from './groups.ts';
import { runGroup } from './measurement.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { findPython } from './python-process.ts';
import { describeMachine, type Report, resultsOf } from './result.ts';
import { renderReport } from './table.ts';
import { verifyDataSets } from './verify.ts';
import { createWorkspace, type Workspace } from './workspace.ts';

const say = (line: string): void => console.error(`${new Date().toTimeString().slice(0, 8)} ${line}`);

// What runs and lies about is ended and removed by who made it, on exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${(error as Error).message}; npm run bench -- --help`);
  process.exit(2);
}
try {
  if (options.help) console.log(HELP);
  else if (options.verify) await verify();
  else if (options.flame !== undefined) await inWorkspace((workspace) => flame(workspace, options.flame!));
  else await inWorkspace(measure);
} catch (error) {
  console.error(`bench: ${(error as Error).stack ?? error}`);
  process.exitCode = 1;
}

async function inWorkspace(run: (workspace: Workspace) => Promise<void>): Promise<void> {
  const { quick } = options;
  const workspace = createWorkspace({
    recordsOf,
    flowRecordsOf: (name) =>
      (options.records === undefined ? dataSetOf(name).flowRecords : undefined) ?? recordsOf(name),
    codecsOf: (name) => (quick || name !== 'orders' ? ['zstd'] : ['zstd', 'lz4', 'snappy', 'gzip', 'none']),
    say,
  });
  try {
    await run(workspace);
  } finally {
    workspace.remove();
  }
}

async function measure(workspace: Workspace): Promise<void> {
  const { quick, only, rounds, json, markdown } = options;
  const then = options.compare === undefined ? undefined : readReport(options.compare);
  const python = await findPython(options.python, say);
  const arrowAvro = options.rust ? await buildArrowAvro(say) : undefined;
  const report: Report = { ...describeMachine(), results: [] };
  for (const whole of defineGroups({ workspace, python, arrowAvro, quick })) {
    const group = narrowGroup(whole, (name) => only?.test(name) ?? true);
    if (group === undefined) continue;
    report.results.push(...resultsOf(group, await runGroup(group, rounds, say)));
    // What is there so far, should the rest not come to its end.
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  }
  if (report.results.length === 0) throw new Error(`no result matches ${only}`);
  console.log(renderReport(report, markdown));
  if (then !== undefined) console.log(`\n${renderComparison(report, then)}`);
}

async function verify(): Promise<void> {
  const python = await findPython(options.python, say);
  if (python === undefined) throw new Error('--verify needs a Python with pyarrow: name one with --python');
  const failed = await verifyDataSets({ python, recordsOf, only: options.only, say });
  console.log(failed === 0 ? 'all equal' : `${failed} differ`);
  if (failed > 0) process.exitCode = 1;
}

async function flame(workspace: Workspace, out: string): Promise<void> {
  const files = await profilePipeline(workspace, 'orders', out);
  console.log(files.join('\n'));
}

function recordsOf(name: string): number {
  const { quick, records, verify: isCheck } = options;
  const dataSet = dataSetOf(name);
  if (records === undefined) return quick || isCheck ? dataSet.quickRecords : dataSet.records;
  return Math.max(1, Math.round((records * dataSet.records) / dataSetOf('orders').records));
}
