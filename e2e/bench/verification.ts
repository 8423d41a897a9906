import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectSameRows } from '../peers/canonical-rows.ts';
import { runOracle, runPython } from '../peers/python.ts';
import { readBySpark } from '../peers/spark.ts';
import { type DataSet, SCHEMA_ID, schemaFile } from './data-sets/data-set.ts';
import { orderDescriptors } from './data-sets/orders-protobuf.ts';
import { writeTopicLog } from './data-sets/topic-log.ts';
import { createConversion } from './measured/conversion.ts';

/** A data set's file, and what an independent decoding of its segments says that it holds (canonical rows). */
export interface VerifiableFile {
  dataSet: string;
  file: string;
  expected: string;
}

/**
 * Makes a data set's segments with every codec that is asked for and converts each; the files must be the same to the
 * byte. Then kafka-python with fastavro, Google's protobuf or json decode the segments.
 */
export async function makeVerifiable(
  python: string,
  dir: string,
  dataSet: DataSet,
  records: number,
  codecs: readonly ('zstd' | 'lz4' | 'snappy' | 'gzip' | 'none')[] = ['zstd'],
): Promise<VerifiableFile> {
  const { name } = dataSet;
  const log = await writeTopicLog(join(dir, 'logs'), dataSet, records, codecs);
  let sha256: string | undefined;
  const file = join(dir, `${name}.parquet`);
  for (const codec of codecs) {
    await createConversion({ kind: 'conversion', dataSet: name, folder: log.folders[codec]!, out: file })();
    const found = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    if (found !== (sha256 ??= found)) throw new Error(`${name}: the segments in ${codec} give another file`);
  }
  const schemas = join(dir, 'schemas', `${name}-value`);
  await mkdir(schemas, { recursive: true });
  await writeFile(join(schemas, schemaFile(dataSet)), dataSet.schemaText);
  if (dataSet.encoding === 'protobuf') await writeFile(join(schemas, `1-${SCHEMA_ID}.binpb`), orderDescriptors());
  const expected = join(dir, `${name}.expected.jsonl`);
  const { rows } = await runOracle(python, {
    logDir: join(dir, 'logs', codecs[0]!),
    schemaDir: join(dir, 'schemas'),
    topic: name,
    out: expected,
  });
  if (rows !== records) throw new Error(`${name}: the independent decoding finds ${rows} of ${records} records`);
  return { dataSet: name, file, expected };
}

/** Readers of single files; Spark takes all in one start. */
export const FILE_READERS = {
  pyarrow: (python: string, file: string, out: string) => runPython(python, 'read_pyarrow.py', [file, out], 1_800_000),
  DuckDB: (python: string, file: string, out: string) =>
    runPython(python, 'read_duckdb.py', ['parquet', file, out], 1_800_000),
};

/** Throws at the first value in which a reader differs. */
export async function expectReadBy(
  reader: keyof typeof FILE_READERS,
  python: string,
  { dataSet, file, expected }: VerifiableFile,
): Promise<void> {
  const found = `${file}.${reader}.jsonl`;
  await FILE_READERS[reader](python, file, found);
  await expectSameRows(`${dataSet} read by ${reader}`, expected, found);
  await rm(found);
}

/** The same for Spark's vectorised reader, and Iceberg's where columns are flat. */
export async function expectReadBySpark(spark: string, files: readonly VerifiableFile[]): Promise<void> {
  const found = files.map(({ file }) => ({ file, out: `${file}.Spark.jsonl` }));
  await readBySpark(spark, found);
  for (const [i, { dataSet, expected }] of files.entries()) {
    await expectSameRows(`${dataSet} read by Spark`, expected, found[i]!.out);
    await rm(found[i]!.out);
  }
}
