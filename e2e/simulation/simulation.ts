import { loadSnapshot } from '@millrace/delta';
import { setLogFile, setLogLevel } from '@millrace/telemetry';
import { databaseAt, emptyDatabases, rowsOf, simulatedDialect } from './database.ts';
import { faultGate } from './faults.ts';
import { startFleet } from './fleet.ts';
import { realSetImmediate } from './globals.ts';
import { type Invariants, watchInvariants } from './invariants.ts';
import { createClient, implement, type Network, serve } from './network.ts';
import { createOperator, type Operator } from './operator.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import type { Replacements } from './seams.ts';
import { LOCATION, SWEEP_GRACE_MS } from './services.ts';
import { createSource, recordsBetween, type Source } from './source.ts';
import { createObjects, type Objects, simulatedStore } from './store.ts';
import { convertWith, decodeRows, rewriteWith } from './tokens.ts';
import { setWorld, World } from './world.ts';

/** A run to repeat: of a seed alone, or of a seed with only some of its faults and segments. */
export interface Replay {
  seed: number;
  faults?: readonly string[];
  segments?: number;
  /** Ends after so many steps. */
  steps?: number;
}

export interface Outcome {
  replay: Replay;
  steps: number;
  virtualMs: number;
  versions: number;
  segments: number;
  /** What struck. */
  faults: string[];
  /** Equal for equal runs. */
  digest: number;
  violation?: { invariant: string; message: string };
}

const QUIET_MS = 120_000;
const STEPS_MAX = 300_000;

let network: Network = new Map();
let objects: Objects = createObjects({ put: () => {}, delete: () => {} });
let source: Source;

const openStore = (uri: string) => simulatedStore(objects, uri);

/** What takes the place of sockets, disks and Parquet (seams.ts). */
export const replacements: Replacements = {
  createClient: () => (service: never, address: string, options: object) =>
    createClient(network, service, address, options),
  implement: () => implement,
  serve: () => (options: never) => serve(network, options),
  openStore: () => openStore,
  sqliteDialect: (real) => (path: string) => simulatedDialect(path, real as never),
  startRest: () => async () => ({ uri: 'http://127.0.0.1:8181', stop: async () => {} }),
  convertSplit: () => convertWith({ openStore, recordsOf: (...range) => recordsBetween(source, ...range) }),
  rewriteFiles: () => rewriteWith(openStore),
};

const settle = (): Promise<void> => new Promise((resolve) => realSetImmediate(resolve));

/** Runs one seed. `trace` is told what happens. */
export async function simulate(replay: Replay, trace?: (line: string) => void): Promise<Outcome> {
  const scenario = scenarioOf(replay.seed, replay.segments);
  const w = new World(replay.seed, faultGate(replay.seed, scenario.rates, replay.faults));
  if (trace !== undefined) w.trace = (line) => trace(`${String(w.elapsedMs).padStart(6)} ms  ${line}`);
  setWorld(w);
  await emptyDatabases();
  network = new Map();
  objects = createObjects({ put: () => {}, delete: () => {} });
  source = createSource(objects, scenario.partitions);
  const invariants = watchInvariants(objects, source, scenario.clockJumpMs + scenario.guardingClockJumpMs);
  const defect = (error: unknown) =>
    w.violate('defect', error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.on('unhandledRejection', defect);
  try {
    await run(w, scenario, invariants, replay.steps ?? STEPS_MAX);
  } catch (error) {
    defect(error);
  } finally {
    process.off('unhandledRejection', defect);
  }
  const { violation } = w;
  return {
    replay,
    steps: w.steps,
    virtualMs: w.elapsedMs,
    versions: invariants.ledger.version,
    segments: scenario.segments.length,
    faults: w.faults.struck,
    digest: w.digest,
    ...(violation === undefined ? {} : { violation: { invariant: violation.invariant, message: violation.message } }),
  };
}

async function run(w: World, scenario: Scenario, invariants: Invariants, stepsMax: number): Promise<void> {
  const startMs = w.now;
  const advance = async (untilMs: number, done: () => boolean = () => false): Promise<boolean> => {
    while (w.violation === undefined && !done()) {
      if (!w.step(untilMs)) return done();
      await settle();
      await invariants.check();
      if (w.steps >= stepsMax)
        return w.violate(stepsMax === STEPS_MAX ? 'liveness' : 'end', `${stepsMax} steps`) as never;
    }
    return w.violation === undefined;
  };
  const fleet = startFleet(w, network, scenario);
  const operator = createOperator(w);
  operator.setPolicy();
  for (const { atMs, partition } of scenario.segments) w.after(atMs, undefined, () => source.roll(partition));
  for (const { atMs, ...formats } of scenario.formats) w.after(atMs, undefined, () => operator.setFormats(formats));
  for (let atMs = 500; atMs < scenario.faultsMs; atMs += 1_000) w.after(atMs, undefined, () => fleet.trouble());
  await advance(startMs + scenario.faultsMs);
  w.faults.active = false;
  fleet.heal();
  w.trace?.('faults end');
  const { ledger, delta, iceberg } = invariants;
  let resumed = false;
  // Whatever came late: in the end both are wanted.
  if (scenario.formats.length > 0) w.after(8_000, undefined, () => operator.setFormats({ iceberg: true, delta: true }));
  const isDone = () => {
    const version = ledger.version;
    return allCommitted(invariants, source) && delta.ledgerVersion === version && iceberg.ledgerVersion === version;
  };
  for (let atMs = 0; w.violation === undefined && !isDone(); atMs += 2_000) {
    if (atMs > QUIET_MS) return w.violate('liveness', await whatWaits(invariants, source));
    await advance(w.now + 2_000, isDone);
    if (!resumed && (await isSuspended())) {
      resumed = true;
      operator.resume();
    }
  }
  w.trace?.(`everything is committed: ledger version ${ledger.version}`);
  if (w.violation === undefined) await compareTables(w, invariants, advance);
  if (w.violation === undefined && scenario.sweeps) await sweepOrphans(w, operator, advance);
}

type Advance = (untilMs: number, done?: () => boolean) => Promise<boolean>;

const allCommitted = ({ ledger }: Invariants, { ends }: Source): boolean => {
  const wanted = ends.flatMap((end, partition) => (end > 0 ? [`${partition}:0:${end}`] : []));
  return ledger.version > 0 && ledger.positions.get(ledger.version) === wanted.sort().join(' ');
};

async function isSuspended(): Promise<boolean> {
  const database = await databaseAt('ledger');
  const [row] = database === undefined ? [] : await rowsOf<{ state: number }>(database, 'select state from topics');
  return row?.state === 3;
}

async function whatWaits({ ledger, delta, iceberg }: Invariants, { ends }: Source): Promise<string> {
  const database = await databaseAt('ledger');
  const splits = await rowsOf<{ state: string; n: number }>(
    database!,
    'select state, count(*) as n from splits group by state',
  );
  return `${QUIET_MS / 1_000} s after the last fault the log ends at ${ends}, the ledger (version ${ledger.version}) has ${ledger.positions.get(ledger.version)}, Delta shows version ${delta.ledgerVersion}, Iceberg ${iceberg.ledgerVersion}; splits: ${splits.map(({ state, n }) => `${n} ${state}`).join(', ')}`;
}

/** Both tables, read afresh from what is stored, against the source: every record once. */
async function compareTables(w: World, { ledger, delta, iceberg }: Invariants, advance: Advance): Promise<void> {
  const wanted = source.records
    .flatMap((offsets, partition) => offsets.map((offset) => `${partition},${offset}`))
    .sort();
  const rowsOfFiles = (paths: Iterable<string>) =>
    [...paths].flatMap((path) => decodeRows(objects.current.get(`${LOCATION}/${path}`)!.bytes).map(String)).sort();
  const compare = (format: string, paths: Iterable<string>) => {
    const found = rowsOfFiles(paths);
    if (found.join(' ') !== wanted.join(' '))
      w.violate('I1', `${format} shows ${found.length} records, the source has ${wanted.length}`);
  };
  compare('the ledger', ledger.live.get(ledger.version)!);
  compare('Iceberg', iceberg.live());
  compare('Delta', delta.live());
  // The same once more as a reader does it, with the checkpoint.
  let read: { version: number; files: Map<string, unknown> } | undefined;
  let failure: unknown;
  loadSnapshot(openStore(LOCATION)).then(
    (snapshot) => (read = snapshot),
    (error) => (failure = error),
  );
  await advance(w.now + 10_000, () => read !== undefined || failure !== undefined);
  if (failure !== undefined) throw failure;
  if (read !== undefined && read.version >= delta.version) compare('Delta, as it is read', read.files.keys());
}

/** I2: after the grace nothing is left that nobody claims. */
async function sweepOrphans(w: World, operator: Operator, advance: Advance): Promise<void> {
  w.now += SWEEP_GRACE_MS + 5_000;
  let swept = false;
  void operator.sweep().then(() => {
    swept = true;
  });
  await advance(w.now + 60_000, () => swept);
  if (w.violation !== undefined) return;
  if (!swept) return w.violate('liveness', 'no sweep succeeds');
  const database = await databaseAt('ledger');
  const rows = await rowsOf<{ path: string }>(database!, 'select path from files where forgotten = 0');
  const known = new Set(rows.map(({ path }) => `${LOCATION}/${path}`));
  const young = w.now - SWEEP_GRACE_MS;
  for (const [uri, { modifiedMs }] of objects.current) {
    if (uri.startsWith(`${LOCATION}/data/`) && modifiedMs < young && !known.has(uri)) {
      w.violate('I2', `${uri} is an orphan, and the sweep has left it`);
    }
  }
}

/** Silences the services; with a path, their log goes there. */
export function logTo(path: string | undefined): void {
  if (path === undefined) setLogLevel('silent');
  else setLogFile(path);
}
