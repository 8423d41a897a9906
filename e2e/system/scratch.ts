import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Whole } from './whole.ts';

/** A data folder for a test, with a place beside it for what the test itself makes. */
export interface Scratch {
  dataDir: string;
  logDir: string;
  schemaDir: string;
  /** Canonical rows and the like. */
  outDir: string;
  remove(): Promise<void>;
}

export async function createScratch(name: string): Promise<Scratch> {
  const root = await mkdtemp(join(tmpdir(), `millrace-${name}-`));
  const dataDir = join(root, 'data');
  const outDir = join(root, 'out');
  const scratch = { dataDir, logDir: join(dataDir, 'log'), schemaDir: join(dataDir, 'schemas'), outDir };
  for (const folder of [scratch.logDir, scratch.schemaDir, outDir]) await mkdir(folder, { recursive: true });
  return {
    ...scratch,
    // What a failure left can be looked at when MILLRACE_KEEP is set.
    remove: async () => {
      if (process.env['MILLRACE_KEEP'] === undefined) await rm(root, { recursive: true, force: true });
      else console.error(`kept ${root}`);
    },
  };
}

/** When the test of this context (vitest's) fails, prints what the whole has said. */
export const reportOnFailure = (
  context: { onTestFailed(listener: () => Promise<void>): void },
  whole: () => Whole | undefined,
): void => context.onTestFailed(async () => console.error((await whole()?.report()) ?? 'nothing was running'));
