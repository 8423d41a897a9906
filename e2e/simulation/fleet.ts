import type { RunningService } from '@millrace/rpc';
import { disconnect, type Network } from './network.ts';
import type { Scenario } from './scenario.ts';
import { type ServiceName, START } from './services.ts';
import type { Process, World } from './world.ts';

/** One replica of a service, over the incarnations of its process. */
interface Replica {
  service: ServiceName;
  name: string;
  process: Process | undefined;
  running: RunningService | undefined;
  /** Its machine's clock, which outlives the process. */
  skewMs: number;
}

/** The services' processes: started, killed, stopped, paused, and started again, as a supervisor does. */
export interface Fleet {
  /** What strikes the fleet in this second. */
  trouble(): void;
  /** All run on, whatever had befallen them. */
  heal(): void;
}

const GUARDING: ReadonlySet<ServiceName> = new Set(['maintenance', 'iceberg']);

export function startFleet(w: World, network: Network, scenario: Scenario): Fleet {
  const replicas: Replica[] = [];
  for (const [service, count] of Object.entries(scenario.replicas) as [ServiceName, number][]) {
    for (let i = 1; i <= count; i++) {
      replicas.push({ service, name: `${service}-${i}`, process: undefined, running: undefined, skewMs: 0 });
    }
  }

  function start(replica: Replica): void {
    const process: Process = { name: replica.name, skewMs: replica.skewMs, alive: true, pausedUntilMs: 0 };
    replica.process = process;
    w.trace?.(`${replica.name} starts`);
    w.runIn(process, () =>
      START[replica.service]().then(
        (running) => {
          replica.running = running;
        },
        (error) => {
          w.trace?.(`${replica.name} could not start: ${error.message}`);
          end(replica, process);
        },
      ),
    );
  }

  function end(replica: Replica, process: Process): void {
    if (replica.process !== process) return;
    process.alive = false;
    replica.process = replica.running = undefined;
    disconnect(network, process);
    w.after(w.between(50, 3_000), undefined, () => start(replica));
  }

  function stop(replica: Replica, process: Process): void {
    const { running } = replica;
    if (running === undefined) return;
    replica.running = undefined;
    w.runIn(process, () =>
      running.stop().then(
        () => end(replica, process),
        () => end(replica, process),
      ),
    );
    w.after(5_000, undefined, () => end(replica, process));
  }

  for (const replica of replicas) w.after(w.between(0, 300), undefined, () => start(replica));

  return {
    trouble() {
      const { faults } = w;
      for (const fault of ['crash', 'stop', 'pause', 'clock-jump'] as const) {
        if (!faults.strikes(fault)) continue;
        const replica = replicas[Math.floor(faults.detail(fault) * replicas.length)]!;
        const { process } = replica;
        if (process === undefined) continue;
        w.trace?.(`${fault} of ${replica.name}`);
        const random = (faults.detail(fault) * 997) % 1;
        if (fault === 'crash') end(replica, process);
        else if (fault === 'stop') stop(replica, process);
        else if (fault === 'pause') process.pausedUntilMs = w.now + 500 + Math.floor(random * 6_000);
        else {
          const limitMs = GUARDING.has(replica.service) ? scenario.guardingClockJumpMs : scenario.clockJumpMs;
          replica.skewMs = process.skewMs = Math.floor((random * 2 - 1) * limitMs);
        }
      }
    },
    heal() {
      for (const { process } of replicas) if (process !== undefined) process.pausedUntilMs = 0;
    },
  };
}
