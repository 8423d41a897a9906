import { afterAll, expect, test } from 'vitest';
import { type ChaosOptions, type ChaosReport, runRounds } from './chaos/chaos.ts';
import { parseOptions } from './chaos/options.ts';
import { describeRound, renderSummary } from './chaos/summary.ts';
import { startWorld, type World } from './chaos/world.ts';

// MILLRACE_SEED repeats a run's faults (not their timing).
const SEED = process.env['MILLRACE_SEED'] ?? String(Date.now() % 1_000_000);
let world: World | undefined;
afterAll(() => world?.stop({ keep: process.env['MILLRACE_KEEP'] !== undefined }));

async function chaos(context: Parameters<typeof startWorld>[0], ...words: string[]): Promise<ChaosReport> {
  world ??= await startWorld(context, Number(SEED));
  const options: ChaosOptions = { ...parseOptions(['--seed', SEED, ...words]), say: console.log };
  let done = 0;
  options.onRound = (result) => console.log(describeRound(result, ++done, options.rounds));
  return runRounds(world, options);
}

test(`10 rounds of faults while transactional records flow: both tables are the log (seed ${SEED})`, async (context) => {
  const report = await chaos(context, '--rounds', '10', '--together', '4');
  console.log(renderSummary(report));
  const last = report.rounds.at(-1)!;
  expect(
    last.failure,
    `round ${last.round}; again: npm run chaos -- --seed ${SEED} --from ${last.round} --rounds 1 --together 4 --keep`,
  ).toBeUndefined();
  expect(report.rounds).toHaveLength(10);
  const compared = report.rounds.flatMap((round) => Object.values(round.compared));
  expect(compared).toHaveLength(20);
  for (const rows of compared) expect(rows).toBeGreaterThan(100);
});

test(`a build whose Delta commits forget their ledger version (I3) is caught (seed ${SEED})`, async (context) => {
  // Rounds of their own numbers, so that nothing has the name of what was there before.
  const words = ['--broken', 'delta-forgets-version', '--only', 'kill,kill-all', '--from', '36', '--rounds', '2'];
  const report = await chaos(context, ...words, '--together', '2');
  expect(report.rounds.at(-1)!.failure).toMatch(/shows ledger version \d+, so \d+ can't follow|should not be there/);
});
