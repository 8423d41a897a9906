import { afterAll, beforeAll, expect, test } from 'vitest';
import { DATA_SETS } from './bench/data-sets/index.ts';
import { expectReadBy, expectReadBySpark, makeVerifiable, type VerifiableFile } from './bench/verification.ts';
import { requirePeers } from './peers/peers.ts';
import { createScratch, type Scratch } from './system/scratch.ts';

// Some thousand rows of what the benchmark measures, so that its figures are of files that are right.
const ROWS: Record<string, number> = { wide: 1000, large: 12 };
const EVERY_CODEC = ['zstd', 'lz4', 'snappy', 'gzip', 'none'] as const;
let scratch: Scratch;
const files: VerifiableFile[] = [];

beforeAll(async () => {
  scratch = await createScratch('data-sets');
});
afterAll(() => scratch.remove());

test.for(DATA_SETS.map(({ name, what }, i) => ({ name, what, i })))(
  '$name ($what): pyarrow and DuckDB read what an independent decoding gives',
  async ({ name, i }, context) => {
    const { python } = await requirePeers(context, 'python');
    const codecs = name === 'orders' ? EVERY_CODEC : (['zstd'] as const);
    const file = await makeVerifiable(python, scratch.outDir, DATA_SETS[i]!, ROWS[name] ?? 5000, codecs);
    files.push(file);
    await expectReadBy('pyarrow', python, file);
    await expectReadBy('DuckDB', python, file);
  },
);

test('Spark’s vectorised reader, and Iceberg’s, read the same', async (context) => {
  const { spark } = await requirePeers(context, 'spark');
  expect(files.length).toBe(DATA_SETS.length);
  await expectReadBySpark(spark, files);
});
