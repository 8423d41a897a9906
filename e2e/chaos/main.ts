import { runChaos } from './chaos.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import type { RoundResult } from './round.ts';
import { describeRound, renderSummary } from './summary.ts';

const say = (line: string): void => console.error(`${new Date().toTimeString().slice(0, 8)} ${line}`);

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error(`chaos: ${(error as Error).message}; npm run chaos -- --help`);
  process.exit(2);
}
if (options.help) {
  console.log(HELP);
  process.exit(0);
}
const { seed, from, rounds } = options;
say(`seed ${seed}, rounds ${from} to ${from + rounds - 1}; the broker, PostgreSQL and the S3 server start`);
try {
  let done = 0;
  const onRound = (result: RoundResult) => say(describeRound(result, ++done, rounds));
  const report = await runChaos(
    { ...options, onRound, say },
    {
      skip(reason) {
        throw new Error(reason);
      },
    },
  );
  console.log(renderSummary(report));
  const last = report.rounds.at(-1)!;
  if (last.failure !== undefined) {
    // The flags that decide what happens go with the seed.
    const isTold = (word: string | undefined) => /^--(only|together|timeout|broken)(=|$)/.test(word ?? '');
    const also = process.argv
      .slice(2)
      .filter((word, at, all) => isTold(word) || (/^--[a-z]+$/.test(all[at - 1] ?? '') && isTold(all[at - 1])));
    console.log(`\nRound ${last.round} failed:\n${last.failure}\n`);
    console.log(`Again: npm run chaos -- --seed ${seed} --from ${last.round} --rounds 1 --keep ${also.join(' ')}`);
    console.log(report.folder === undefined ? '--keep keeps its logs and tables.' : `Kept: ${report.folder}`);
    process.exitCode = 1;
  }
} catch (error) {
  console.error(`chaos: ${(error as Error).stack ?? error}`);
  process.exitCode = 1;
}
process.exit();
