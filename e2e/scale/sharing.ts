import { setTimeout as sleep } from 'node:timers/promises';
import { createFleet, type Fleet } from './fleet.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { caughtUp, endsOf, NAMESPACE, settingsOf, writeAll } from './run.ts';
import { type Verified, verifyTables } from './verification.ts';
import { planWorkload } from './workload.ts';
import { createLogWriter, writeSchemas } from './write-log.ts';

export interface SharingReport {
  sharing: {
    windowSeconds: number;
    /** Splits that a converter alone finished in the window. */
    one: number;
    /** Splits that each of three finished in a window as long. */
    three: number[];
    /** Splits that the killed one had leased when it died, and how often such a split was then converted by others. */
    takenOver: number;
  };
  verified: Verified;
}

const CONVERTERS = [1, 2, 3].map((i) => `parquet-converter ${i}`);
const WINDOW_MS = 12_000;
/** Each converter runs in one slot of four: three together take no more than three quarters of a core. */
const SLOT_MS = 20;
const SLOTS = 4;
const CONVERTED = '"split converted"';
const LEASE_MS = 4_000;

/**
 * How the work is shared. The machine's two cores can't show three converters at full speed, so each gets the same
 * quarter of a core (SIGSTOP and SIGCONT in turns), one alone as well as each of three: what is compared is what the
 * protocol lets them take. Then one of the three is killed in the middle of its work, and nothing may be missing.
 */
export async function runSharing(
  options: Options,
  root: string,
  python: string,
  progress: Progress,
): Promise<SharingReport> {
  const workload = planWorkload(options);
  const settings = settingsOf(options);
  const fleet = await createFleet({
    root,
    converters: 3,
    database: options.database,
    settings: {
      'metadata-discovery': { ...settings['metadata-discovery'], leaseMs: LEASE_MS, logLevel: 'info' },
      'parquet-converter': { heartbeatMs: 1_000 },
    },
  });
  let slots: { stop(): void } | undefined;
  try {
    const writer = createLogWriter(fleet.logDir);
    await writeSchemas(fleet.schemaDir, workload.topics);
    await writeAll(writer, workload.segments, progress);
    await fleet.start();
    await fleet.stopService('parquet-converter', 1);
    await fleet.stopService('parquet-converter', 2);
    slots = timeSlots(fleet);
    await untilConverting(fleet);

    const one = (await countWindow(fleet, progress, 'One')).get(CONVERTERS[0]!) ?? 0;
    await fleet.startService('parquet-converter', 1);
    await fleet.startService('parquet-converter', 2);
    await sleep(2_000);
    const three = await countWindow(fleet, progress, 'Three');

    const victim = fleet.pids().get(CONVERTERS[2]!)!;
    process.kill(victim, 'SIGKILL');
    const killedMs = Date.now();
    slots.stop();
    await caughtUp(fleet, workload, endsOf(workload.segments), progress, 'Rest');
    const lost = await fleet.logLines('metadata-discovery', 'a lease ran out');
    const takenOver = lost.filter((line) => Date.parse(String(line['time'])) >= killedMs).length;
    const verified = await verifyTables(python, {
      workload,
      root,
      warehouse: `${fleet.warehouseDir}/${NAMESPACE}`,
      catalogUri: fleet.catalogUri,
      poolBytes: writer.poolBytes(),
    });
    return {
      sharing: {
        windowSeconds: WINDOW_MS / 1000,
        one,
        three: CONVERTERS.map((name) => three.get(name) ?? 0),
        takenOver,
      },
      verified,
    };
  } finally {
    slots?.stop();
    await fleet.stop();
  }
}

function timeSlots(fleet: Fleet): { stop(): void } {
  const ids = (): number[] => CONVERTERS.map((name) => fleet.pids().get(name) ?? 0);
  const signal = (pid: number, name: NodeJS.Signals): void => {
    try {
      if (pid !== 0) process.kill(pid, name);
    } catch {
      // It has ended.
    }
  };
  let slot = 0;
  const timer = setInterval(() => {
    slot = (slot + 1) % SLOTS;
    for (const [i, pid] of ids().entries()) signal(pid, i === slot ? 'SIGCONT' : 'SIGSTOP');
  }, SLOT_MS);
  return {
    stop() {
      clearInterval(timer);
      for (const pid of ids()) signal(pid, 'SIGCONT');
    },
  };
}

async function untilConverting(fleet: Fleet): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if ((await fleet.logLines(CONVERTERS[0]!, CONVERTED)).length > 20) return;
    await sleep(100);
  }
  throw new Error('no split was converted within a minute');
}

/** Splits that each converter finished within the window, by the log. */
async function countWindow(fleet: Fleet, progress: Progress, title: string): Promise<Map<string, number>> {
  const fromMs = Date.now();
  progress.start(title, WINDOW_MS / 1000, 's');
  for (let s = 1; s <= WINDOW_MS / 1000; s++) {
    await sleep(1000);
    progress.update(s);
  }
  progress.end();
  const untilMs = Date.now();
  const counts = new Map<string, number>();
  for (const name of CONVERTERS) {
    const lines = await fleet.logLines(name, CONVERTED);
    const times = lines.map((line) => Date.parse(String(line['time'])));
    counts.set(name, times.filter((atMs) => atMs >= fromMs && atMs <= untilMs).length);
  }
  return counts;
}

export function renderSharing({ sharing, verified }: SharingReport): string {
  const { windowSeconds, one, three, takenOver } = sharing;
  const all = three.reduce((sum, count) => sum + count, 0);
  return [
    `splits in ${windowSeconds} s, each converter a quarter of a core: one alone ${one}; three ${three.join(' + ')} = ${all}, ${(all / one).toFixed(2)} times as many`,
    `one of three killed: ${takenOver} leases ran out and were given to the others`,
    `verified: ${verified.rows.toLocaleString('en')} rows in ${verified.tables} tables by delta-rs and PyIceberg; ${verified.sampledRows.toLocaleString('en')} rows in ${verified.sampled} tables by value`,
    ...verified.differences.map((difference) => `DIFFERS  ${difference}`),
  ].join('\n');
}
