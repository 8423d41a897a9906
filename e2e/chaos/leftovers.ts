import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reports } from '../system/catch-up.ts';
import { liveDataFiles, storedDataFiles } from '../system/live-files.ts';
import { commandLine } from './command-line.ts';
import { type Deployment, NAMESPACE } from './deployment.ts';
import type { World } from './world.ts';

/** Expires and sweeps the table without any grace: then its data files are those of the ledger's newest version, no more and no less. */
export async function expectNoLeftovers(world: World, { dataDir }: Deployment, topic: string): Promise<void> {
  const table = `${NAMESPACE}.${topic}`;
  // Until every file that any version may need is gone, an automatic run may add to what it finds.
  await commandLine(dataDir, 'maintenance', 'policy', table, '--compact-interval', '0s');
  await commandLine(dataDir, 'maintenance', 'run', table, 'expire', '--retention', '0s', '--keep', '1');
  await commandLine(dataDir, 'maintenance', 'run', table, 'sweep', '--grace', '0s');
  const location = (await reports(dataDir)).get(topic)!.table.location;
  const folder = location.startsWith('s3:')
    ? join(world.bucketDir, location.replace(/^s3:\/\/[^/]+\//, '').replace(/\?.*/, ''))
    : fileURLToPath(location);
  const stored = await storedDataFiles(folder);
  const live = await liveDataFiles(dataDir, NAMESPACE, topic);
  const only = (these: string[], others: string[]) => these.filter((name) => !others.includes(name));
  const [left, lost] = [only(stored, live), only(live, stored)];
  if (left.length + lost.length > 0)
    throw new Error(
      `${topic}: after a sweep these files are left over: ${left.join(', ') || 'none'}; lost: ${lost.join(', ') || 'none'}`,
    );
}
