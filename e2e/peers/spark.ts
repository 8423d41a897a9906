import { join } from 'node:path';
import { runCommand } from './command.ts';
import { javaArguments } from './java.ts';

/** Spark on Java 17 reaches into these. */
const OPENED = [
  ...[
    'io',
    'lang',
    'lang.invoke',
    'lang.reflect',
    'net',
    'nio',
    'util',
    'util.concurrent',
    'util.concurrent.atomic',
  ].map((name) => `java.${name}`),
  'sun.nio.ch',
  'sun.nio.cs',
  'sun.security.action',
  'sun.util.calendar',
].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);

/** Writes the canonical rows of Parquet files, as Spark and Iceberg's reader in it read them in batches, to `out`. */
export async function readBySpark(folder: string, files: readonly { file: string; out: string }[]): Promise<void> {
  const pairs = files.flatMap(({ file, out }) => [file, out]);
  const logging = `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'spark', 'log4j2.properties')}`;
  await runCommand('java', [...OPENED, logging, ...javaArguments(folder, 4096, 'ReadSpark', pairs)], {
    timeoutMs: 1_800_000,
  });
}
