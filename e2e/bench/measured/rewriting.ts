import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openParquet } from '@millrace/parquet';
import { createParquetConverter, parquetConverterConfig } from '@millrace/parquet-converter';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { createClient } from '@millrace/rpc';
import { fileSource } from './file-source.ts';
import { createLaps, type Round } from './round.ts';

export interface RewritingJob {
  kind: 'rewriting';
  /** A table's folder; the files are in its data/. */
  location: string;
}

const TARGET_BYTES = 1 << 30;

/** Small files into one, by a parquet-converter in this process that is asked through gRPC, as maintenance does it. */
export async function createRewriting({ location }: RewritingJob): Promise<() => Promise<Round>> {
  const paths = readdirSync(join(location, 'data')).map((name) => `data/${name}`);
  const files = await Promise.all(
    paths.map(async (path) => {
      const { rowCount } = await openParquet(fileSource(join(location, path)));
      return { path, recordCount: BigInt(rowCount), sizeBytes: BigInt(statSync(join(location, path)).size) };
    }),
  );
  const first = await openParquet(fileSource(join(location, paths[0]!)));
  const tableSchemaJson = first.keyValueMetadata['iceberg.schema']!;
  const service = await createParquetConverter(parquetConverterConfig.parse({ port: 0, concurrency: 0 }));
  const client = createClient(ParquetConverterService, service.address);
  const bytes = files.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
  let round = 0;
  return async () => {
    const laps = createLaps(['rewrite']);
    const answer = await client.rewriteFiles(
      {
        table: { namespace: 'bench', name: 'rewrite' },
        location: pathToFileURL(location).href,
        tableSchemaJson,
        files,
        targetFileBytes: BigInt(TARGET_BYTES),
        rewriteId: `round-${round++}`,
      },
      { timeoutMs: 600_000 },
    );
    laps.lap('rewrite');
    if (answer.files.length !== 1) throw new Error(`the rewrite gave ${answer.files.length} files, not one`);
    const [file] = answer.files;
    rmSync(join(location, file!.path));
    return {
      cpuSeconds: laps.spent.rewrite,
      records: Number(file!.recordCount),
      bytes,
      bytesOut: Number(file!.sizeBytes),
    };
  };
}
