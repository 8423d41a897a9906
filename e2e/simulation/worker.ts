import { becomeSimulator, type Outcome, type Replay } from './thread.ts';

// One of the processes that simulate: a replay in, its outcome back.
const simulate = await becomeSimulator({ broken: process.env['MILLRACE_SIMULATED_BREAK'] });

process.on('message', async (replay: Replay) => {
  process.send!(await simulate(replay));
});
process.on('disconnect', () => process.exit());
process.send!('ready');

export type { Outcome };
