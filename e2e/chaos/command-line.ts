import { runCommandLine } from '@millrace/cli';

/** A millrace command in this process, which loads it once; throws what it said unless it ends with exit code 0. */
export async function commandLine(dataDir: string, ...words: string[]): Promise<string> {
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const code = await runCommandLine(['--data-dir', dataDir, ...words], say, say);
  if (code !== 0) throw new Error(`millrace ${words.join(' ')} ended with ${code}\n${said.join('\n')}`);
  return said.join('\n');
}
