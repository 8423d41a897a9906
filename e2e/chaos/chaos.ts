import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { SkippableTest } from '../peers/peers.ts';
import { type Deployment, describeVariant, startDeployment, type Variant } from './deployment.ts';
import { type FaultKind, KINDS, kindsOf, NEEDS_MOUNT } from './fault-plan.ts';
import { expectNoLeftovers } from './leftovers.ts';
import type { Options } from './options.ts';
import { createRandom } from './random.ts';
import { type Readers, startReaders } from './readers.ts';
import { faultsOf, type RoundResult, runRound } from './round.ts';
import { startWorld, type World } from './world.ts';

export type ChaosOptions = Omit<Options, 'help'> & {
  onRound?: (result: RoundResult) => void;
  say: (line: string) => void;
};

export interface ChaosReport {
  seed: number;
  rounds: RoundResult[];
  /** How often a process was started again. */
  restarts: number;
  /** How often a converter was told that its lease had gone to another. */
  leaseLosses: number;
  /** What became of requests to the object store. */
  requests: Record<string, number>;
  /** Kinds of faults that this machine does not allow. */
  leftOut: FaultKind[];
  /** Kept of a failed run. */
  folder?: string;
}

/** Starts the world, runs the rounds until one fails, and leaves nothing behind unless a failed run is to be kept. */
export async function runChaos(options: ChaosOptions, context: SkippableTest): Promise<ChaosReport> {
  const world = await startWorld(context, options.seed);
  const interrupt = () => void world.stop({ keep: false }).finally(() => process.exit(130));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  let report: ChaosReport | undefined;
  try {
    report = await runRounds(world, options);
    return report;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    const keep = options.keep && report?.rounds.at(-1)?.failure !== undefined;
    if (keep) report!.folder = world.root;
    await world.stop({ keep });
  }
}

/** Runs the rounds until one fails. */
export async function runRounds(world: World, options: ChaosOptions): Promise<ChaosReport> {
  const { seed, from, rounds, together, say } = options;
  const report: ChaosReport = { seed, rounds: [], restarts: 0, leaseLosses: 0, requests: {}, leftOut: [] };
  try {
    const wanted = options.only ?? KINDS;
    report.leftOut = world.disks === undefined ? wanted.filter((kind) => NEEDS_MOUNT.includes(kind)) : [];
    if (report.leftOut.length > 0) leaveOut(report.leftOut, world.whyNoDisks, options.only !== undefined, say);
    const kinds = wanted.filter((kind) => !report.leftOut.includes(kind));
    for (let round = from; round < from + rounds; ) {
      const end = Math.min(from + rounds, (Math.floor(round / together) + 1) * together);
      await runTogether(world, report, { ...options, kinds, round, end });
      if (report.rounds.at(-1)?.failure !== undefined) break;
      round = end;
    }
    report.requests = world.storeProxy.counts();
    report.leaseLosses = await countLeaseLosses(world);
  } finally {
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return report;
}

const brokenBuild = (name: string | undefined): Record<string, string> =>
  name === undefined
    ? {}
    : {
        NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, '../system/broken-build.ts')).href}`,
        MILLRACE_BROKEN_BUILD: name,
      };

/** Faults need no apology where nobody may mount, but somebody must notice. */
function leaveOut(kinds: FaultKind[], why: string, asked: boolean, say: (line: string) => void): void {
  const said = `no disk can be filled here, so ${kinds.join(', ')} can't be: ${why}`;
  if (asked || process.env['CI'] === 'true' || process.env['MILLRACE_REQUIRE_PEERS'] === '1') throw new Error(said);
  say(`LEFT OUT: ${said}`);
}

/** How the deployment of this round's row looks. */
export function variantOf(seed: number, round: number, together: number): Variant {
  const row = Math.floor(round / together);
  return {
    backend: row % 3 === 2 ? 'embedded' : 'servers',
    replicas: row % 3 === 1 ? 2 : 1,
    throughReader: createRandom(seed, row, 3).fraction() < 0.4,
  };
}

/** The rounds of one deployment, from its start to its end. */
async function runTogether(
  world: World,
  report: ChaosReport,
  options: ChaosOptions & { kinds: readonly FaultKind[]; round: number; end: number },
): Promise<void> {
  const { seed, together, kinds, end } = options;
  const variant = variantOf(seed, options.round, together);
  const name = `d${Math.floor(options.round / together)}`;
  const long = `${name}_long`;
  const topics = [long];
  let deployment: Deployment | undefined;
  let readers: Readers | undefined;
  for (let round = options.round; round < end; round++) {
    const result: RoundResult = {
      ...{ round, variant: describeVariant(variant), faults: [], compared: {} },
      ...{ flowMs: 0, caughtUpMs: 0, comparedMs: 0 },
    };
    try {
      deployment ??= await startDeployment(world, name, variant, brokenBuild(options.broken));
      readers ??= startReaders(world, name);
      const targets = deployment.processes.map(({ id }) => id);
      result.faults = faultsOf(seed, round, kindsOf(variant.backend, kinds), targets);
      // A table that has grown through all rounds, and one that begins under fire.
      const fresh = `${name}_round${round}`;
      topics.push(fresh);
      const done = await runRound(world, deployment, readers, {
        ...{ seed, round, faults: result.faults, timeoutMs: options.timeoutMs },
        topics: { [long]: 2, [fresh]: 1 },
      });
      Object.assign(result, done);
      if (round === end - 1) await endDeployment(world, deployment, readers, topics, long);
    } catch (error) {
      result.failure = (error as Error).stack ?? String(error);
    }
    report.rounds.push(result);
    options.onRound?.(result);
    if (result.failure === undefined) continue;
    await readers?.stop();
    await deployment?.stop();
    break;
  }
  report.restarts += (deployment?.processes ?? []).reduce((sum, one) => sum + one.starts() - 1, 0);
}

/** Nothing may be left over, everybody drains; then the next deployment finds the world as the first one did. */
async function endDeployment(
  world: World,
  deployment: Deployment,
  readers: Readers,
  topics: readonly string[],
  long: string,
): Promise<void> {
  await expectNoLeftovers(world, deployment, long);
  await readers.stop();
  const undrained = await deployment.stop();
  if (undrained.length > 0) throw new Error(undrained.join('\n'));
  await world.forget(topics);
}

async function countLeaseLosses({ root }: World): Promise<number> {
  const folder = join(root, 'logs');
  let losses = 0;
  for (const name of await readdir(folder)) {
    if (!name.includes('parquet-converter')) continue;
    losses += (await readFile(join(folder, name), 'utf8')).split('the lease went to another converter').length - 1;
  }
  return losses;
}
