import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { reports } from '../system/catch-up.ts';
import { liveDataFiles, storedDataFiles } from '../system/live-files.ts';
import { commandLine } from './command-line.ts';
import { type Deployment, NAMESPACE } from './deployment.ts';
import type { World } from './world.ts';

/** Expires and sweeps the table without any grace: then its data files are those of the ledger's newest version, no more and no less. */
export async function expectNoLeftovers(world: World, { dataDir }: Deployment, topic: string): Promise<void> {
  const table = `${NAMESPACE}.${topic}`;
  const off = ['--compact-interval', '0s', '--expire-interval', '0s', '--sweep-interval', '0s'];
  await commandLine(dataDir, 'maintenance', 'policy', table, ...off);
  const location = (await reports(dataDir)).get(topic)!.table.location;
  const folder = location.startsWith('s3:')
    ? join(world.bucketDir, location.replace(/^s3:\/\/[^/]+\//, '').replace(/\?.*/, ''))
    : fileURLToPath(location);
  const only = (these: string[], others: string[]) => these.filter((name) => !others.includes(name));
  // What a projection shows while it follows the last compaction stays until the next expiry.
  for (let tries = 1; ; tries++) {
    await runAlone(dataDir, table, 'expire', '--retention', '0s', '--keep', '1');
    await runAlone(dataDir, table, 'sweep', '--grace', '0s');
    const stored = await storedDataFiles(folder);
    const live = await liveDataFiles(dataDir, NAMESPACE, topic);
    const [left, lost] = [only(stored, live), only(live, stored)];
    if (left.length + lost.length === 0) return;
    if (lost.length > 0 || tries === 5)
      throw new Error(
        `${topic}: after a sweep these files are left over: ${left.join(', ') || 'none'}; lost: ${lost.join(', ') || 'none'}`,
      );
    await sleep(1_000);
  }
}

/** A job that began by itself ends first. */
async function runAlone(dataDir: string, table: string, ...words: string[]): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await commandLine(dataDir, 'maintenance', 'run', table, ...words);
      return;
    } catch (error) {
      if (tries === 60 || !/a job of .* is running/.test(String(error))) throw error;
      await sleep(500);
    }
  }
}
