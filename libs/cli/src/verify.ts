/** Offsets [start, end) by partition. */
export type Positions = Map<number, [start: bigint, end: bigint]>;

/** One commit of a history: where each partition stands after it. */
export interface Step {
  label: string;
  ledgerVersion: bigint;
  positions: Positions;
  /** What the commit says it added, where it says so. */
  added?: Positions;
}

/** What one witness (the ledger, the Iceberg table, the Delta table) says of a table. */
export interface Evidence {
  source: string;
  /** Oldest first, from the oldest that is kept. */
  steps: Step[];
  /** Live files of the newest step: path relative to the table's location → rows. */
  files: Map<string, bigint>;
  /** The ledger version that `files` belongs to. */
  filesVersion: bigint;
  /** The history does not begin with the table's first commit. */
  truncated: boolean;
}

export interface Finding {
  source: string;
  problem: string;
}

/**
 * I1 on one history: every step goes on exactly where the one before it ended. No partition vanishes, no start moves, no
 * end goes back, what a step adds begins at the end before it and ends at its own end, ledger versions rise.
 */
export function checkHistory({ source, steps }: Evidence): Finding[] {
  const findings: Finding[] = [];
  const say = (problem: string) => findings.push({ source, problem });
  for (const [i, step] of steps.entries()) {
    for (const [partition, [start, end]] of step.positions) {
      if (end < start) say(`${step.label}: partition ${partition} ends at ${end}, before its start ${start}`);
    }
    const before = steps[i - 1];
    if (before === undefined) continue;
    if (step.ledgerVersion < before.ledgerVersion) {
      say(
        `${step.label} carries ledger version ${step.ledgerVersion}, after ${before.ledgerVersion} in ${before.label}`,
      );
    }
    for (const [partition, [start, end]] of before.positions) {
      const now = step.positions.get(partition);
      if (now === undefined) say(`${step.label}: partition ${partition} has vanished`);
      else if (now[0] !== start)
        say(`${step.label}: partition ${partition} starts at ${now[0]}, before it did at ${start}`);
      else if (now[1] < end) say(`${step.label}: partition ${partition} went back from ${end} to ${now[1]}`);
      const added = step.added?.get(partition) ?? [end, end];
      if (step.added === undefined || now === undefined || restates(step)) continue;
      if (added[0] > end) say(`${step.label}: gap in partition ${partition}: [${end}, ${added[0]}) is in no version`);
      if (added[0] < end) say(`${step.label}: overlap in partition ${partition}: [${added[0]}, ${end}) is there twice`);
      if (added[1] !== now[1])
        say(`${step.label}: partition ${partition} ends at ${now[1]}, what it adds at ${added[1]}`);
    }
  }
  return findings;
}

/** A commit of the whole state, as when a format is switched on again: it adds all that it shows. */
const restates = ({ positions, added }: Step): boolean =>
  [...positions].every(([partition, range]) => rangeText(added?.get(partition)) === rangeText(range));

/** A projection against the ledger: the same positions at each ledger version that both know, and the same files. */
export function compareEvidence(ledger: Evidence, other: Evidence): Finding[] {
  const findings: Finding[] = [];
  const say = (problem: string) => findings.push({ source: other.source, problem });
  const known = new Map(ledger.steps.map((step) => [step.ledgerVersion, step]));
  for (const step of other.steps) {
    const same = known.get(step.ledgerVersion);
    if (same === undefined) continue;
    for (const partition of new Set([...same.positions.keys(), ...step.positions.keys()])) {
      const [a, b] = [same.positions.get(partition), step.positions.get(partition)].map(rangeText);
      if (a !== b)
        say(
          `${step.label}: partition ${partition} is ${b}, the ${ledger.source} says ${a} at version ${step.ledgerVersion}`,
        );
    }
  }
  if (ledger.filesVersion === other.filesVersion) findings.push(...compareFiles(ledger, other));
  return findings;
}

function compareFiles(ledger: Evidence, other: Evidence): Finding[] {
  const findings: Finding[] = [];
  for (const [path, rows] of ledger.files) {
    const found = other.files.get(path);
    if (found === undefined)
      findings.push({ source: other.source, problem: `file ${path} of the ${ledger.source} is missing` });
    else if (found !== rows) {
      findings.push({
        source: other.source,
        problem: `file ${path} has ${found} rows, the ${ledger.source} says ${rows}`,
      });
    }
  }
  for (const path of other.files.keys()) {
    if (!ledger.files.has(path))
      findings.push({ source: other.source, problem: `file ${path} is not in the ${ledger.source}` });
  }
  return findings;
}

const rangeText = (range: [bigint, bigint] | undefined): string =>
  range === undefined ? 'absent' : `[${range[0]}, ${range[1]})`;

export const rowsOf = (evidence: Evidence): bigint =>
  [...evidence.files.values()].reduce((sum, rows) => sum + rows, 0n);

export const spanOf = (positions: Positions): bigint =>
  [...positions.values()].reduce((sum, [start, end]) => sum + end - start, 0n);

/** `millrace.positions` and `millrace.offsets` of a snapshot's summary or a Delta commitInfo: {"<partition>": [start, end]}. */
export function parsePositions(text: string): Positions {
  const value = JSON.parse(text) as Record<string, [number | string, number | string]>;
  return new Map(
    Object.entries(value).map(([partition, [start, end]]) => [Number(partition), [BigInt(start), BigInt(end)]]),
  );
}
