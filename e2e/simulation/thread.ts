// Must come before the product is imported: what it is made of (broken builds), and where its outside is replaced.
import { breakBuild } from '../system/broken-build.ts';
import { openSeams, type Replacements } from './seams.ts';

export type { Outcome, Replay } from './simulation.ts';

/** Makes this process one that simulates. Once; nothing of the product may have been imported before. */
export async function becomeSimulator(options: { broken?: string | undefined; log?: string | undefined } = {}) {
  if (options.broken !== undefined) breakBuild(options.broken);
  const late: Replacements = {};
  openSeams(late);
  const simulation = await import('./simulation.ts');
  Object.assign(late, simulation.replacements);
  const { virtualizeGlobals } = await import('./globals.ts');
  simulation.logTo(options.log);
  virtualizeGlobals();
  // The first run makes the databases' tables, which takes steps that no later run has.
  await simulation.simulate({ seed: 0, faults: [] });
  return simulation.simulate;
}
