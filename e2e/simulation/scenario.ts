import { seededRandom } from '@millrace/actor';
import { FAULTS, type Fault } from './faults.ts';
import type { ServiceName } from './services.ts';

/** What happens in the run of a seed, beside chance at its steps. */
export interface Scenario {
  rates: Record<Fault, number>;
  replicas: Record<ServiceName, number>;
  partitions: number;
  /** When which partition's segment is rolled, in ms from the start. */
  segments: { atMs: number; partition: number }[];
  /** When the topic's formats become Delta alone, Iceberg alone, both. */
  formats: { atMs: number; iceberg: boolean; delta: boolean }[];
  /** When faults end. */
  faultsMs: number;
  /** What clocks are set wrong by, at the most: of services whose clocks guard no file, and of the others. */
  clockJumpMs: number;
  guardingClockJumpMs: number;
  /** Ends with a sweep of what is left. */
  sweeps: boolean;
}

/** Rates at which a seed that has this fault at all has it, per occasion (crash and below: per second). */
const RATES: Record<Fault, number> = {
  'store-error': 0.04,
  'store-lost-answer': 0.03,
  'store-late-write': 0.02,
  'store-repeated-write': 0.03,
  'store-stale-list': 0.1,
  'request-lost': 0.04,
  'answer-lost': 0.04,
  'message-late': 0.02,
  'message-repeated': 0.04,
  'stream-cut': 0.03,
  'database-error': 0.01,
  'database-lost-answer': 0.02,
  crash: 0.3,
  stop: 0.1,
  pause: 0.2,
  'clock-jump': 0.15,
};

const FAULTY_MS = 9_000;

/** Each seed has some kinds of faults and not others: what one hides, another seed shows. */
export function scenarioOf(seed: number, segmentLimit = Number.POSITIVE_INFINITY): Scenario {
  const random = seededRandom(seed ^ 0x5eed);
  const between = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const share = random() < 0.05 ? 0 : 0.2 + 0.6 * random();
  const rates = Object.fromEntries(
    FAULTS.map((fault) => [fault, random() < share ? RATES[fault] * (0.3 + 1.7 * random()) : 0]),
  ) as Record<Fault, number>;
  const partitions = between(1, 3);
  const segments = Array.from({ length: between(4, 14) }, () => ({
    atMs: Math.floor(random() ** 1.5 * FAULTY_MS),
    partition: between(0, partitions - 1),
  }));
  const formats: Scenario['formats'] = [];
  if (random() < 0.25) {
    const off = between(1_500, FAULTY_MS - 3_000);
    const iceberg = random() < 0.5;
    formats.push({ atMs: off, iceberg, delta: !iceberg });
    formats.push({ atMs: off + between(200, 5_000), iceberg: true, delta: true });
  }
  return {
    rates,
    replicas: {
      discovery: between(1, 2),
      converter: between(1, 3),
      iceberg: between(1, 2),
      delta: between(1, 2),
      maintenance: between(1, 2),
    },
    partitions,
    segments: segments.sort((a, b) => a.atMs - b.atMs).slice(0, segmentLimit),
    formats,
    faultsMs: FAULTY_MS,
    clockJumpMs: random() < 0.2 ? 60_000 : 2_000,
    guardingClockJumpMs: 2_000,
    sweeps: random() < 0.2,
  };
}
