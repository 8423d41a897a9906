import type { Outcome, Replay } from './simulation.ts';

/** Runs to spend on making one failure shorter. */
const RUNS_MAX = 150;

/**
 * The shortest replay that still breaks the same invariant: first fewer faults (halves, quarters … single ones left out),
 * then fewer segments; of equal ones that with fewer steps.
 */
export async function shrink(
  failed: Outcome,
  run: (replay: Replay) => Promise<Outcome>,
  onProgress: (best: Outcome, runs: number) => void = () => {},
): Promise<Outcome> {
  const invariant = failed.violation!.invariant;
  let best = failed;
  let runs = 0;
  const shorter = async (replay: Replay): Promise<boolean> => {
    if (runs >= RUNS_MAX) return false;
    const outcome = await run(replay);
    onProgress(best, ++runs);
    if (outcome.violation?.invariant !== invariant) return false;
    // Faults that did not strike are not named again.
    best = { ...outcome, replay: { ...replay, faults: outcome.faults } };
    return true;
  };
  const { seed } = failed.replay;
  if (!(await shorter({ ...failed.replay, faults: failed.faults }))) return failed;
  for (let size = Math.ceil(best.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.faults.length; ) {
      const faults = best.faults.filter((_, i) => i < at || i >= at + size);
      if (!(await shorter({ ...best.replay, faults }))) at += size;
    }
  }
  for (let segments = 1; segments < best.segments; segments++) {
    if (await shorter({ seed, faults: best.faults, segments })) break;
  }
  return best;
}
