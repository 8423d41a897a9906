import { setTimeout as sleep } from 'node:timers/promises';
import { FAULTS, HANGS, type Fault as StoreFault } from '../system/fault-proxy.ts';
import type { Deployment } from './deployment.ts';
import type { Fault, FaultKind } from './fault-plan.ts';
import type { SmallDisk } from './small-disk.ts';
import type { World } from './world.ts';

/** Share of requests that fail while the store is unwell. */
const FAILING_SHARE = 0.3;

/** Does what a fault says and undoes it; resolves when it is over. Throws what must not be: a drain that did not end well. */
export async function inject(fault: Fault, world: World, { processes }: Deployment): Promise<void> {
  const { durationMs } = fault;
  const target = processes.find(({ id }) => id === fault.target);
  const full = async (disk: SmallDisk | undefined) => {
    await disk!.fill();
    await sleep(durationMs);
    await disk!.empty();
  };
  const failing = async (share: number, faults: readonly StoreFault[]) => {
    world.storeProxy.failing(share, faults);
    await sleep(durationMs);
    world.storeProxy.failing(0);
  };
  const doing: Record<FaultKind, () => Promise<void>> = {
    kill: async () => target!.signal('SIGKILL'),
    'kill-all': async () => {
      for (const one of processes) one.signal('SIGKILL');
    },
    async stop() {
      target!.signal('SIGSTOP');
      await sleep(durationMs);
      target!.signal('SIGCONT');
    },
    async roll() {
      const how = await target!.drain();
      // Whoever was killed or stopped meanwhile by another fault is excused.
      if (how !== 0 && how !== 'SIGKILL') throw new Error(`${target!.id} ended with ${how} when it was drained`);
    },
    async 'database-kill'() {
      await world.postgres.kill();
      await sleep(durationMs);
      await world.postgres.start();
    },
    async 'database-restart'() {
      await world.postgres.stop();
      await sleep(durationMs);
      await world.postgres.start();
    },
    async 'database-cut'() {
      await world.databaseProxy.refuse();
      await sleep(durationMs);
      await world.databaseProxy.accept();
    },
    async 'database-full'() {
      await full(world.disks?.database);
      // Without room for its log PostgreSQL ends itself.
      await world.postgres.start();
    },
    'store-faults': () => failing(FAILING_SHARE, [...FAULTS, ...HANGS]),
    'store-down': () => failing(1, FAULTS),
    async 'store-stale'() {
      world.storeProxy.stale(0.5, 2_000);
      await sleep(durationMs);
      world.storeProxy.stale(0, 0);
    },
    'store-full': () => full(world.disks?.store),
    'disk-full': () => full(world.disks?.embedded),
  };
  await doing[fault.kind]();
}

/** Runs the faults at their times; those of one thing follow each other, so that the end of one does not undo another. */
export async function injectAll(faults: readonly Fault[], world: World, deployment: Deployment): Promise<void> {
  const turns = new Map<string, Promise<void>>();
  const running = faults.map(async (fault) => {
    await sleep(fault.atMs);
    const what = fault.target ?? fault.kind.replace(/-.*/, '');
    const turn = (turns.get(what) ?? Promise.resolve()).then(() => inject(fault, world, deployment));
    turns.set(
      what,
      turn.catch(() => {}),
    );
    await turn;
  });
  const failed = (await Promise.allSettled(running)).find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
