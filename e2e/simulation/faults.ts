/** What can go wrong, each with a rate of its own. */
export const FAULTS = [
  'store-error',
  'store-lost-answer',
  'store-late-write',
  'store-repeated-write',
  'store-stale-list',
  'request-lost',
  'answer-lost',
  'message-late',
  'message-repeated',
  'stream-cut',
  'database-error',
  'database-lost-answer',
  'crash',
  'stop',
  'pause',
  'clock-jump',
] as const;

export type Fault = (typeof FAULTS)[number];

/**
 * Decides about each occasion for a fault. The dice of an occasion depend on the seed, the fault and the occasion's number
 * alone, so a fault that is taken out of a replay leaves the others as they were.
 */
export interface FaultGate {
  /** False once faults have ended. */
  active: boolean;
  rates: Record<Fault, number>;
  /** Whether it happens now. Counts as an occasion. */
  strikes(fault: Fault): boolean;
  /** A reproducible number in [0, 1) for the details of the newest fault of this kind. */
  detail(fault: Fault): number;
  /** "store-error:17": what has struck, in order. */
  readonly struck: string[];
}

/** `only`: the faults of a replay; others do not strike. */
export function faultGate(seed: number, rates: Record<Fault, number>, only?: readonly string[]): FaultGate {
  const occasions = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;
  const allowed = only === undefined ? undefined : new Set(only);
  const struck: string[] = [];
  const gate: FaultGate = {
    active: true,
    rates,
    struck,
    strikes(fault) {
      const occasion = occasions[fault]++;
      if (!gate.active || dice(seed, FAULTS.indexOf(fault), occasion) >= rates[fault]) return false;
      const name = `${fault}:${occasion}`;
      if (allowed !== undefined && !allowed.has(name)) return false;
      struck.push(name);
      return true;
    },
    detail: (fault) => dice(seed + 0x51ed, FAULTS.indexOf(fault) + 64, occasions[fault]),
  };
  return gate;
}

function dice(seed: number, a: number, b: number): number {
  let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(a + 1, 0xc2b2ae35) ^ Math.imul(b + 1, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4_294_967_296;
}
