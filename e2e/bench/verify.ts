import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runCommand } from '../peers/command.ts';
import { DATA_SETS } from './data-sets/index.ts';
import { expectReadBy, expectReadBySpark, FILE_READERS, makeVerifiable, type VerifiableFile } from './verification.ts';

export interface VerifyOptions {
  /** The Python that decodes independently. */
  python: string;
  recordsOf(dataSet: string): number;
  only: RegExp | undefined;
  say(line: string): void;
}

/** Compares every data set's file in every reader; answers with the number of comparisons that failed. */
export async function verifyDataSets({ python, recordsOf, only, say }: VerifyOptions): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-bench-verify-'));
  // …/bin/python
  const venv = dirname(dirname(python));
  let failed = 0;
  const check = async <T>(what: string, run: () => Promise<T>): Promise<T | undefined> => {
    try {
      const result = await run();
      console.log(`equal    ${what}`);
      return result;
    } catch (error) {
      failed++;
      console.log(`DIFFERS  ${what}: ${(error as Error).message}`);
      return undefined;
    }
  };
  try {
    const files: VerifiableFile[] = [];
    for (const dataSet of DATA_SETS.filter(({ name }) => only?.test(name) ?? true)) {
      const { name } = dataSet;
      const records = recordsOf(name);
      say(`${name}: ${records.toLocaleString('en')} records`);
      const codecs = name === 'orders' ? (['zstd', 'lz4', 'snappy', 'gzip', 'none'] as const) : (['zstd'] as const);
      const made = await check(`${name}: one file whatever the codec of the log (${codecs.join(', ')})`, () =>
        makeVerifiable(venv, dir, dataSet, records, codecs),
      );
      if (made === undefined) continue;
      files.push(made);
      for (const reader of Object.keys(FILE_READERS) as (keyof typeof FILE_READERS)[])
        await check(`${name} in ${reader}, ${records} rows`, () => expectReadBy(reader, venv, made));
    }
    if (files.length > 0) {
      say('Spark: e2e/peers/setup.sh spark makes it ready (the first time takes minutes) …');
      const setup = join(import.meta.dirname, '..', 'peers', 'setup.sh');
      const { stdout } = await runCommand(setup, ['spark'], { timeoutMs: 580_000 });
      const spark = stdout.trim().split(' ').slice(1).join(' ');
      await check(
        `${files.map(({ dataSet }) => dataSet).join(', ')} in Spark’s vectorised reader, and in Iceberg’s`,
        () => expectReadBySpark(spark, files),
      );
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return failed;
}
