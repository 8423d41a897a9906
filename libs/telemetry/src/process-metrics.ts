import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { observe } from './metrics.ts';

/** Each look wakes the process, for some 15 µs of CPU time. */
const DELAY_RESOLUTION_MS = 100;

/** The process itself: CPU, memory, and how long the event loop keeps others waiting. The answer ends it. */
export function observeProcess(): () => void {
  // What the timer itself waits is part of each sample.
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - DELAY_RESOLUTION_MS / 1e3) || 0;
  let busySince = performance.eventLoopUtilization();
  const end = observe(
    [
      'process.cpu.time',
      'process.memory.usage',
      'process.uptime',
      'v8js.memory.heap.used',
      'nodejs.eventloop.delay.mean',
      'nodejs.eventloop.delay.p99',
      'nodejs.eventloop.delay.max',
      'nodejs.eventloop.utilization',
    ],
    (report) => {
      const cpu = process.cpuUsage();
      report('process.cpu.time', cpu.user / 1e6, { 'cpu.mode': 'user' });
      report('process.cpu.time', cpu.system / 1e6, { 'cpu.mode': 'system' });
      const { rss, heapUsed } = process.memoryUsage();
      report('process.memory.usage', rss);
      report('process.uptime', process.uptime());
      report('v8js.memory.heap.used', heapUsed);
      report('nodejs.eventloop.delay.mean', seconds(delay.mean));
      report('nodejs.eventloop.delay.p99', seconds(delay.percentile(99)));
      report('nodejs.eventloop.delay.max', seconds(delay.max));
      delay.reset();
      const now = performance.eventLoopUtilization();
      report('nodejs.eventloop.utilization', performance.eventLoopUtilization(now, busySince).utilization);
      busySince = now;
    },
  );
  return () => {
    end();
    delay.disable();
  };
}
