import { readFileSync } from 'node:fs';
import { cpuSecondsOf } from '../bench/process-cpu.ts';
import type { Fleet } from './fleet.ts';

interface Sample {
  atMs: number;
  megabytes: Map<string, number>;
}

export interface MemoryReport {
  peak: number;
  /** Where it stood at the end of the window. */
  last: number;
  /** Megabytes a minute: least squares over the window. */
  slope: number;
}

export interface Sampling {
  /** CPU seconds of every process that lives, by service. */
  cpu(): Map<string, number>;
  /** By service, over the samples between two times. */
  memory(fromMs: number, untilMs: number): Map<string, MemoryReport>;
  stop(): void;
}

const EVERY_MS = 1_000;

/** Looks at every process of the fleet once a second, from /proc: the services are not asked. */
export function startSampling(fleet: Fleet): Sampling {
  const samples: Sample[] = [];
  const timer = setInterval(() => {
    const megabytes = new Map<string, number>();
    for (const [name, pid] of fleet.pids()) {
      const resident = residentMegabytes(pid);
      if (resident !== undefined) megabytes.set(name, resident);
    }
    samples.push({ atMs: Date.now(), megabytes });
  }, EVERY_MS);
  return {
    cpu() {
      const seconds = cpuSecondsOf([...fleet.pids().values()]);
      return new Map([...fleet.pids()].map(([name, pid]) => [name, seconds.get(pid) ?? 0]));
    },
    memory(fromMs, untilMs) {
      const names = new Set(samples.flatMap(({ megabytes }) => [...megabytes.keys()]));
      const report = new Map<string, MemoryReport>();
      for (const name of names) {
        const all = samples.flatMap(({ atMs, megabytes }) => {
          const value = megabytes.get(name);
          return value === undefined ? [] : [{ x: atMs / 60_000, y: value }];
        });
        const window = all.filter(({ x }) => x >= fromMs / 60_000 && x <= untilMs / 60_000);
        if (window.length === 0) continue;
        report.set(name, {
          peak: Math.max(...all.map(({ y }) => y)),
          last: window.at(-1)!.y,
          slope: slopeOf(window),
        });
      }
      return report;
    },
    stop: () => clearInterval(timer),
  };
}

function residentMegabytes(pid: number): number | undefined {
  try {
    const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1000;
  } catch {
    return undefined;
  }
}

/** Of the line that fits best. */
export function slopeOf(points: readonly { x: number; y: number }[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n;
  let over = 0;
  let under = 0;
  for (const { x, y } of points) {
    over += (x - meanX) * (y - meanY);
    under += (x - meanX) ** 2;
  }
  return under === 0 ? 0 : over / under;
}
