import type { Random } from './random.ts';

/** What can go wrong, each kind with what it means. */
export const FAULT_KINDS = {
  kill: 'kill -9 of a process; it starts again',
  'kill-all': 'kill -9 of every process of Millrace at once',
  stop: 'SIGSTOP of a process for longer than a lease, then SIGCONT',
  roll: 'SIGTERM: the process drains, ends with exit code 0, and starts again',
  'database-kill': 'kill -9 of PostgreSQL; it starts again',
  'database-restart': 'a fast shutdown of PostgreSQL; it starts again',
  'database-cut': 'no network to PostgreSQL: connections break, new ones are refused',
  'database-full': "PostgreSQL's disk is full",
  'store-faults': 'many requests to the object store fail, hang, are torn, reset, or done with the answer lost',
  'store-down': 'every request to the object store fails',
  'store-stale': 'half of the listings lack what was written in the last two seconds',
  'store-full': "the object store's disk is full",
  'disk-full': 'the disk of the embedded state (SQLite) and of the warehouse folder is full',
} as const;
export type FaultKind = keyof typeof FAULT_KINDS;
export const KINDS = Object.keys(FAULT_KINDS) as FaultKind[];

/** Where state and tables lie. */
export type Backend = 'servers' | 'embedded';

export interface Fault {
  kind: FaultKind;
  /** Milliseconds after the round's start. */
  atMs: number;
  durationMs: number;
  /** The process: service/instance. */
  target?: string;
}

const ON_PROCESSES: readonly FaultKind[] = ['kill', 'stop', 'roll'];
export const NEEDS_MOUNT: readonly FaultKind[] = ['database-full', 'store-full', 'disk-full'];
const FIRST_MS = 200;

/** Kinds that this backend can have: SQLite and a folder are no servers. */
export const kindsOf = (backend: Backend, wanted: readonly FaultKind[]): FaultKind[] =>
  wanted.filter((kind) => (backend === 'embedded' ? !/^(database|store)-/.test(kind) : kind !== 'disk-full'));

/** Two to five faults while records flow. Processes are hit more often than the world around them. */
export function planFaults(
  random: Random,
  options: { kinds: readonly FaultKind[]; targets: readonly string[]; flowMs: number; leaseMs: number },
): Fault[] {
  const { kinds, targets, flowMs, leaseMs } = options;
  const weighted = kinds.flatMap((kind) => (kind === 'kill' || kind === 'stop' ? [kind, kind, kind] : [kind]));
  const faults: Fault[] = [];
  for (let count = random.whole(2, 6); count > 0; count--) {
    const kind = random.pick(weighted);
    faults.push({
      kind,
      atMs: random.whole(FIRST_MS, flowMs + 500),
      durationMs: durationOf(kind, random, leaseMs),
      ...(ON_PROCESSES.includes(kind) ? { target: random.pick(targets) } : {}),
    });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function durationOf(kind: FaultKind, random: Random, leaseMs: number): number {
  if (kind === 'stop') return Math.round(leaseMs * (1.3 + random.fraction()));
  if (kind === 'store-faults' || kind === 'store-stale') return random.whole(800, 3_000);
  return /^(kill|roll)/.test(kind) ? 0 : random.whole(300, 1_500);
}

export const describeFault = ({ kind, atMs, durationMs, target }: Fault): string =>
  `${(atMs / 1000).toFixed(1)}s ${kind}${target === undefined ? '' : ` ${target}`}${durationMs === 0 ? '' : ` for ${(durationMs / 1000).toFixed(1)}s`}`;
