import { join } from 'node:path';
import { type CommandResult, runCommand } from '../peers/command.ts';
import { ROOT } from './whole.ts';

/** `npx millrace` on a data folder, whatever its exit code. */
export const millrace = (dataDir: string, ...args: string[]): Promise<CommandResult> =>
  runCommand(process.execPath, [join(ROOT, 'libs', 'cli', 'bin', 'millrace.js'), '--data-dir', dataDir, ...args], {
    anyCode: true,
  });

/** The same with --json, which must end with exit code 0. */
export async function millraceJson<T>(dataDir: string, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await millrace(dataDir, '--json', ...args);
  if (code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`);
  return JSON.parse(stdout) as T;
}
