import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsOf } from '../bench/process-cpu.ts';
import { createFleet, type Fleet } from './fleet.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { caughtUp, endsOf, NAMESPACE, settingsOf, writeAll } from './run.ts';
import { type Verified, verifyTables } from './verification.ts';
import { planWorkload } from './workload.ts';
import { createLogWriter, writeSchemas } from './write-log.ts';

/** What a converter did in a window. */
interface Done {
  splits: number;
  cpuSeconds: number;
}

export interface SharingReport {
  sharing: {
    windowSeconds: number;
    /** A converter alone. */
    one: Done;
    /** Each of three, in a window as long. */
    three: Done[];
    /** Splits of three over those of one, as if all had had the same CPU time. */
    times: number;
    /** Leases of the one that was killed that ran out, for others to take. */
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
/** Until what runs is compiled. */
const WARM_UP_MS = 8_000;
const WARM_SPLITS = 50;

/**
 * How the work is shared. The machine's two cores can't show three converters at full speed, so each gets the same
 * quarter of a core (SIGSTOP and SIGCONT in turns), one alone as well as each of three, and what else runs on the machine
 * is taken out by the CPU time that each really had: what is compared is what they take. Then one of the three is killed
 * in the middle of its work, and nothing may be missing.
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

    const [one] = (await window(fleet, progress, 'One')) as [Done];
    await fleet.startService('parquet-converter', 1);
    await fleet.startService('parquet-converter', 2);
    await sleep(WARM_UP_MS);
    const three = await window(fleet, progress, 'Three');

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
        three,
        times: three.reduce((sum, done) => sum + rateOf(done), 0) / rateOf(one),
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
  for (let tries = 0; tries < 1_200; tries++) {
    if ((await fleet.logLines(CONVERTERS[0]!, CONVERTED)).length > WARM_SPLITS) return;
    await sleep(100);
  }
  throw new Error('hardly a split was converted in two minutes');
}

const rateOf = ({ splits, cpuSeconds }: Done): number => splits / cpuSeconds;

/** What each converter that runs has finished within the window, by its log, and the CPU time it took. */
async function window(fleet: Fleet, progress: Progress, title: string): Promise<Done[]> {
  const pids = CONVERTERS.map((name) => fleet.pids().get(name)).filter((pid) => pid !== undefined);
  const fromMs = Date.now();
  const before = cpuSecondsOf(pids);
  progress.start(title, WINDOW_MS / 1000, 's');
  for (let s = 1; s <= WINDOW_MS / 1000; s++) {
    await sleep(1000);
    progress.update(s);
  }
  progress.end();
  const untilMs = Date.now();
  const after = cpuSecondsOf(pids);
  return Promise.all(
    pids.map(async (pid, i) => {
      const lines = await fleet.logLines(CONVERTERS[i]!, CONVERTED);
      const times = lines.map((line) => Date.parse(String(line['time'])));
      return {
        splits: times.filter((atMs) => atMs >= fromMs && atMs <= untilMs).length,
        cpuSeconds: after.get(pid)! - before.get(pid)!,
      };
    }),
  );
}

export function renderSharing({ sharing, verified }: SharingReport): string {
  const { windowSeconds, one, three, times, takenOver } = sharing;
  const told = ({ splits, cpuSeconds }: Done) => `${splits} (${cpuSeconds.toFixed(2)} CPU s)`;
  return [
    `splits in ${windowSeconds} s, each converter a quarter of a core: one alone ${told(one)}; three ${three.map(told).join(' + ')}: in the same CPU time each, ${times.toFixed(2)} times as many`,
    `one of three killed: ${takenOver} leases ran out and were given to the others`,
    `verified: ${verified.rows.toLocaleString('en')} rows in ${verified.tables} tables by delta-rs and PyIceberg; ${verified.sampledRows.toLocaleString('en')} rows in ${verified.sampled} tables by value`,
    ...verified.differences.map((difference) => `DIFFERS  ${difference}`),
  ].join('\n');
}
