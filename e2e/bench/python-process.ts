import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../peers/command.ts';
import { type MeasuredProcess, startMeasuredProcess } from './measured-process.ts';

/** What python/measured.py measures. */
export interface PythonJob {
  kind: 'pyarrow-write' | 'duckdb-copy' | 'pyarrow-rewrite' | 'duckdb-rewrite' | 'pyarrow-scan' | 'duckdb-scan';
  files: string[];
  out?: string;
  /** Of pyarrow-write: those that our file has, or its own choice. */
  dictionaries?: 'same' | 'default';
  /** What counts as read, when it is not the files. */
  bytes?: number;
}

export const startPythonJob = (python: string, job: PythonJob): Promise<MeasuredProcess> =>
  startMeasuredProcess(python, [join(import.meta.dirname, 'python', 'measured.py'), JSON.stringify(job)]);

const PROBE = 'import duckdb, pyarrow, fastavro, kafka';

/**
 * A Python with pyarrow and DuckDB: the one that was named, or the peers', made ready by e2e/peers/setup.sh. Undefined,
 * and said why, when there is none.
 */
export async function findPython(named: string | undefined, say: (line: string) => void): Promise<string | undefined> {
  if (named !== undefined) {
    await runCommand(named, ['-c', PROBE]);
    return named;
  }
  const setup = join(import.meta.dirname, '..', 'peers', 'setup.sh');
  try {
    await runCommand('python3', ['-c', 'import venv, ensurepip']);
    say('Python with pyarrow and DuckDB: e2e/peers/setup.sh python makes it ready (the first time takes a minute) …');
    const { stdout } = await runCommand(setup, ['python'], { timeoutMs: 580_000 });
    const python = join(stdout.trim().split(' ').slice(1).join(' '), 'bin', 'python');
    if (existsSync(python)) return python;
    say(`no Python with pyarrow and DuckDB (${python} is missing): its ratios are left out`);
  } catch (error) {
    say(`no Python with pyarrow and DuckDB (${(error as Error).message.split('\n')[0]}): its ratios are left out`);
  }
  return undefined;
}
