import { mkdir } from 'node:fs/promises';
import { runCommand } from '../peers/command.ts';

/** A disk of its own for a folder, which can be full. */
export interface SmallDisk {
  folder: string;
  /** From now on not a byte more goes onto it. */
  fill(): Promise<void>;
  empty(): Promise<void>;
  unmount(): Promise<void>;
}

const SIZE = '768m';

/** Mounts a tmpfs at the folder. Throws where this user may not mount. */
export async function mountSmallDisk(folder: string): Promise<SmallDisk> {
  await mkdir(folder, { recursive: true });
  const options = `size=${SIZE},mode=0755`;
  await runCommand('mount', ['-t', 'tmpfs', '-o', options, 'millrace-chaos', folder]);
  return {
    folder,
    async fill() {
      // As large as what it holds; more may come in between, and then that is the size.
      for (let tries = 0; ; tries++) {
        const { stdout } = await runCommand('df', ['--output=used', '-B1', folder]);
        // A size of 0 would be none.
        const usedBytes = Math.max(Number(stdout.trim().split('\n').at(-1)), 4_096);
        const { code } = await runCommand('mount', ['-o', `remount,size=${usedBytes}`, folder], { anyCode: true });
        if (code === 0) return;
        if (tries === 20) throw new Error(`${folder} could not be filled`);
      }
    },
    empty: async () => void (await runCommand('mount', ['-o', `remount,size=${SIZE}`, folder])),
    unmount: async () => void (await runCommand('umount', ['-l', folder])),
  };
}
