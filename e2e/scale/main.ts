import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setLogLevel } from '@millrace/telemetry';
import { findPython } from '../bench/python-process.ts';
import { describeMachine } from '../bench/result.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { createProgress } from './progress.ts';
import { renderScale } from './report.ts';
import { runScale } from './run.ts';
import { renderSharing, runSharing } from './sharing.ts';

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error(`scale: ${(error as Error).message}; npm run scale -- --help`);
  process.exit(2);
}
if (options.help) {
  console.log(HELP);
  process.exit(0);
}
setLogLevel('silent');
const root = options.dir === undefined ? mkdtempSync(join(tmpdir(), 'millrace-scale-')) : resolve(options.dir);
// Processes end with this one: their channel to it closes.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.once('exit', () => {
  if (options.dir === undefined) rmSync(root, { recursive: true, force: true });
});

try {
  const python = await findPython(undefined, console.error);
  if (python === undefined)
    throw new Error('the tables are verified by a Python with pyarrow, deltalake and pyiceberg');
  const found = options.sharing
    ? await runSharing(options, root, python, createProgress())
    : await runScale(options, root, python, createProgress());
  const machine = describeMachine();
  console.log(
    `\n${machine.date.slice(0, 10)}, ${machine.machine}, Node ${machine.node}, load ${machine.load} at the end\n`,
  );
  console.log('sharing' in found ? renderSharing(found) : renderScale(found));
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ ...machine, ...found }, null, 2));
  process.exitCode = found.verified.differences.length > 0 ? 1 : 0;
} catch (error) {
  console.error(`scale: ${(error as Error).stack ?? error}`);
  process.exitCode = 1;
}
process.exit();
