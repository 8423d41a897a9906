import { HELP, type Options, parseOptions } from './options.ts';
import { shrink } from './shrink.ts';
import { becomeSimulator, type Outcome } from './thread.ts';
import { startWorkers, type Workers } from './workers.ts';

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exit(2);
}
if (options.help) console.log(HELP);
else if (options.replay !== undefined || options.trace) await runOne(options);
else await runSeeds(options);

/** In this process, so that it can be looked into with a debugger. */
async function runOne({ replay, seed, steps, trace, log, broken }: Options): Promise<void> {
  const simulate = await becomeSimulator({ broken, log });
  const write = trace ? (line: string) => void process.stdout.write(`${line}\n`) : undefined;
  const outcome = await simulate({ ...(replay ?? { seed }), ...(steps === undefined ? {} : { steps }) }, write);
  console.log(describe(outcome));
  process.exit(outcome.violation === undefined ? 0 : 1);
}

async function runSeeds({ seeds, seed, processes, failures, broken }: Options): Promise<void> {
  const started = performance.now();
  const workers = startWorkers(processes, broken);
  const failed: Outcome[] = [];
  const totals = { done: 0, steps: 0, faults: 0, versions: 0, virtualMs: 0 };
  const bar = progressBar();
  const replays = Array.from({ length: seeds }, (_, i) => ({ seed: seed + i }));
  await workers.runAll(replays, (outcome) => {
    totals.done++;
    totals.steps += outcome.steps;
    totals.faults += outcome.faults.length;
    totals.versions += outcome.versions;
    totals.virtualMs += outcome.virtualMs;
    if (outcome.violation !== undefined) failed.push(outcome);
    const rate = totals.done / ((performance.now() - started) / 1e3);
    const restS = Math.round((seeds - totals.done) / rate);
    bar(
      `${totals.done} of ${seeds} seeds, ${failed.length} failed, ${rate.toFixed(1)}/s, ${restS} s left`,
      totals.done / seeds,
    );
    return failed.length < failures;
  });
  bar('');
  for (const outcome of failed) await report(workers, outcome, bar);
  workers.stop();
  const { done, steps, faults, versions, virtualMs } = totals;
  console.log(
    `seeds ${seed} to ${seed + done - 1}: ${done - failed.length} passed, ${failed.length} failed; ${steps} steps, ${faults} faults, ${versions} ledger versions, ${Math.round(virtualMs / 3_600_000)} virtual hours, ${Math.round((performance.now() - started) / 1e3)} s`,
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
}

async function report(workers: Workers, outcome: Outcome, bar: (text: string) => void): Promise<void> {
  console.log(`\nseed ${outcome.replay.seed} failed: ${describe(outcome)}`);
  const shortest = await shrink(outcome, workers.run, (best, runs) =>
    bar(`looking for a shorter replay: ${best.faults.length} faults, ${best.steps} steps after ${runs} runs`),
  );
  bar('');
  console.log(
    `shortest replay: ${describe(shortest)}\n  npm run simulate -- --trace --replay '${JSON.stringify(shortest.replay)}'`,
  );
}

function describe({ violation, steps, virtualMs, faults, versions }: Outcome): string {
  return `${violation?.message ?? 'passed'} (${steps} steps, ${virtualMs} virtual ms, ${versions} ledger versions, ${faults.length} faults)`;
}

/** A line that is written anew; into a file or a pipe a line now and then. */
function progressBar(): (text: string, share?: number) => void {
  const isLive = process.stderr.isTTY;
  let toldMs = performance.now();
  return (text, share) => {
    if (isLive) {
      const cells = share === undefined ? '' : `[${'#'.repeat(Math.round(share * 30)).padEnd(30, '.')}] `;
      process.stderr.write(`\r\x1b[K${cells}${text}`);
    } else if (text !== '' && performance.now() - toldMs > 20_000) {
      toldMs = performance.now();
      process.stderr.write(`${text}\n`);
    }
  };
}
