import { setTimeout as sleep } from 'node:timers/promises';
import { isKind } from '@millrace/base';
import type { TableReport } from '@millrace/cli';
import { TopicState } from '@millrace/proto/metadata_discovery';
import { type Ends, isCaughtUp, reports } from '../system/catch-up.ts';
import { commandLine } from './command-line.ts';
import { type Deployment, LEASE_MS, NAMESPACE } from './deployment.ts';
import { type Fault, planFaults } from './fault-plan.ts';
import { injectAll } from './inject.ts';
import { createRandom } from './random.ts';
import type { Readers } from './readers.ts';
import type { Flowed, World } from './world.ts';

/** What a round was and what came of it. */
export interface RoundResult {
  round: number;
  variant: string;
  faults: Fault[];
  /** Topic → rows that both tables and the log have alike. */
  compared: Record<string, number>;
  /** Milliseconds: the flow with its faults, until all had caught up, until everything was compared. */
  flowMs: number;
  caughtUpMs: number;
  comparedMs: number;
  failure?: string;
}

export interface RoundOptions {
  seed: number;
  round: number;
  faults: readonly Fault[];
  /** Topic → partitions. */
  topics: Record<string, number>;
  timeoutMs: number;
}

const FLOW_MS = 4_000;
const RECORDS = 2_000;
/** Nothing that Millrace waits for by itself, a backoff or a lease, takes as long. */
const STILL_MS = 45_000;

export const faultsOf = (
  seed: number,
  round: number,
  kinds: Parameters<typeof planFaults>[1]['kinds'],
  targets: readonly string[],
): Fault[] => planFaults(createRandom(seed, round, 1), { kinds, targets, flowMs: FLOW_MS, leaseMs: LEASE_MS });

/** Records flow while the faults happen; then everything must catch up, be proved by `verify`, and equal the log. */
export async function runRound(
  world: World,
  deployment: Deployment,
  readers: Readers,
  options: RoundOptions,
): Promise<Omit<RoundResult, 'failure' | 'faults' | 'variant' | 'round'>> {
  const { seed, round, faults, topics, timeoutMs } = options;
  const startedMs = Date.now();
  const names = Object.keys(topics);
  const flowSeed = createRandom(seed, round, 2).whole(0, 2 ** 31);
  const [flowed] = await Promise.all([
    world.flow({ millis: FLOW_MS, records: RECORDS, seed: flowSeed, topics }),
    injectAll(faults, world, deployment),
  ]);
  const flowMs = Date.now() - startedMs;
  const tables = await catchUp(deployment, names, flowed, timeoutMs);
  const caughtUpMs = Date.now() - startedMs - flowMs;
  const compared: Record<string, number> = {};
  // Proved and read at once: maintenance goes on meanwhile.
  await Promise.all([
    (async () => {
      for (const [at, name] of names.entries())
        compared[name] = await readers.compare(name, tables[at]!, deployment.catalogUri, flowed[at]!);
    })(),
    (async () => {
      for (const name of names) await verify(deployment, name);
    })(),
  ]);
  const crashed = deployment.processes.flatMap((one) => one.crashes());
  if (crashed.length > 0) throw new Error(crashed.join('\n'));
  return { compared, flowMs, caughtUpMs, comparedMs: Date.now() - startedMs - flowMs - caughtUpMs };
}

export const verify = ({ dataDir }: Deployment, topic: string): Promise<unknown> =>
  commandLine(dataDir, 'verify', `${NAMESPACE}.${topic}`, '--rows');

/**
 * Waits until the ledger and both formats have everything. A table that stops, everything standing still, and a wait that
 * is too long throw; what `verify` finds is told too.
 */
export async function catchUp(
  deployment: Deployment,
  names: readonly string[],
  flowed: readonly Flowed[],
  timeoutMs: number,
): Promise<TableReport[]> {
  const startedMs = Date.now();
  let last = 'nothing answered';
  let changedMs = startedMs;
  while (Date.now() - startedMs < timeoutMs && Date.now() - changedMs < STILL_MS) {
    let now: string;
    try {
      const all = await reports(deployment.dataDir);
      const tables = names.map((name) => all.get(name));
      const stopped = tables.find((table) => table?.topic?.state === TopicState.SUSPENDED);
      if (stopped !== undefined)
        throw new Error(`${stopped.table.topic} was suspended: ${stopped.topic!.error?.message ?? ''}`);
      if (tables.every((table, at) => isCaughtUp(table, flowed[at]!.ends as Ends))) return tables as TableReport[];
      now = tables.map((table, at) => shown(names[at]!, table, flowed[at]!)).join('\n');
    } catch (error) {
      if (!isKind(error, 'unavailable', 'deadline', 'cancelled')) throw error;
      now = (error as Error).message;
    }
    if (now !== last) changedMs = Date.now();
    last = now;
    await sleep(150);
  }
  const proofs = await Promise.all(names.map((name) => verify(deployment, name).catch((error) => error.message)));
  const how = Date.now() - changedMs < STILL_MS ? 'not caught up' : 'everything stands still, and has not caught up,';
  throw new Error(
    `${how} ${Math.round((Date.now() - startedMs) / 1000)} s after the faults:\n${[last, ...proofs].join('\n')}`,
  );
}

function shown(name: string, report: TableReport | undefined, { ends }: Flowed): string {
  if (report?.topic === undefined) return `${name}: no table yet`;
  const { topic, iceberg, delta } = report;
  const partitions = topic.partitions.map(
    ({ partition, committedOffset }) => `${partition}: ${committedOffset} of ${ends[partition]}`,
  );
  return `${name}: ${partitions.join(', ')}; ${topic.pendingSplits} splits pending; ledger ${topic.ledgerVersion}, Iceberg ${iceberg?.ledgerVersion ?? 'does not answer'}, Delta ${delta?.ledgerVersion ?? 'does not answer'}; ${[topic.error, iceberg?.error, delta?.error].map((error) => error?.message ?? '').join(' ')}`;
}
