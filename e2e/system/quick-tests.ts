import { stripVTControlCharacters } from 'node:util';
import { runCommand } from '../peers/command.ts';
import { ROOT } from './whole.ts';

/** Runs quick tests again, in another environment, and answers how many passed. Throws when one fails. */
export async function runQuickTests(paths: readonly string[], env: Record<string, string>): Promise<number> {
  const args = ['vitest', 'run', '--project', 'quick', '--testTimeout', '120000', ...paths];
  const { stdout } = await runCommand('npx', args, { cwd: ROOT, env, timeoutMs: 500_000 });
  const passed = /Tests +(\d+) passed \(\d+\)/.exec(stripVTControlCharacters(stdout));
  if (passed === null) throw new Error(`not every test passed, or none ran:\n${stdout.slice(-3000)}`);
  return Number(passed[1]);
}
