import { join } from 'node:path';
import { runCommand } from './command.ts';

/** Runs one of python/*.py in the venv `folder`; answers with the JSON that it prints. */
export async function runPython<T>(
  folder: string,
  script: string,
  args: readonly string[],
  timeoutMs?: number,
): Promise<T> {
  const { stdout } = await runCommand(
    join(folder, 'bin', 'python'),
    [join(import.meta.dirname, 'python', script), ...args],
    { env: { PYTHONDONTWRITEBYTECODE: '1' }, ...(timeoutMs === undefined ? {} : { timeoutMs }) },
  );
  return JSON.parse(stdout) as T;
}

export interface OracleOptions {
  logDir: string;
  schemaDir: string;
  topic: string;
  out: string;
  /** By partition: only offsets below. */
  before?: Record<number, number>;
  /** [partition, offset] of records that are left out. */
  without?: [number, number][];
}

export interface OracleResult {
  rows: number;
  /** By partition: up to where every transaction is decided. */
  ends: Record<string, number>;
}

/** What the topic's table must hold, decoded by kafka-python and fastavro, as canonical rows in `out`. */
export const runOracle = (folder: string, options: OracleOptions): Promise<OracleResult> =>
  runPython(folder, 'oracle.py', [
    '--log',
    options.logDir,
    '--schemas',
    options.schemaDir,
    '--topic',
    options.topic,
    '--out',
    options.out,
    ...(options.before === undefined ? [] : ['--before', JSON.stringify(options.before)]),
    ...(options.without === undefined ? [] : ['--without', JSON.stringify(options.without)]),
  ]);
