import { MillraceError } from '@millrace/base';
import { type ObjectStore, openStore } from '@millrace/object-store';
import { openParquet } from '@millrace/parquet';
import type { PartitionOffsets } from '@millrace/proto/common';
import type { RewriteFilesRequest } from '@millrace/proto/parquet_converter';
import { fromIcebergSchemaJson } from '@millrace/schema';
import type { ParquetConverterConfig } from './config.ts';
import { createDataFiles, type NewDataFile, toDataFile } from './data-files.ts';

const DEFAULT_TARGET_BYTES = 512 << 20;

/**
 * Writes the rows of files, in their order, into files of `targetFileBytes` (0: 512 MB) under one schema. Nothing is
 * committed; after an error nothing is left. A new file's offsets are those of all files that gave it rows.
 *
 * Pages are encoded anew, as many small row groups are to become few large ones, but where a file has the columns of the
 * schema its levels, values and dictionary entries go over as they are. Memory: a row group of a source, as it is stored,
 * a batch of rows, and what the writer holds.
 */
export async function rewriteFiles(
  request: RewriteFilesRequest,
  config: ParquetConverterConfig,
  signal: AbortSignal,
): Promise<NewDataFile[]> {
  const { rewriteId } = request;
  if (!/^[\w.-]{1,100}$/.test(rewriteId)) {
    throw new MillraceError('invalid', `rewrite id ${JSON.stringify(rewriteId)}: use 1 to 100 of A-Z a-z 0-9 _ . -`, {
      code: 'rewrite-id-invalid',
    });
  }
  const schema = fromIcebergSchemaJson(request.tableSchemaJson);
  const store = openStore(request.location);
  const keys: string[] = [];
  const keyOf = (n: number) => (keys[n] = `data/rewrite-${rewriteId}-${n}.parquet`);
  const { rowGroupBytes, rowGroupRows } = config;
  const targetFileBytes = Number(request.targetFileBytes) || DEFAULT_TARGET_BYTES;
  const files = createDataFiles({
    store,
    keyOf,
    targetFileBytes,
    rowGroupBytes,
    rowGroupRows,
    sharedKeys: true,
    signal,
  });
  /** Offsets by the file that their rows went into. */
  const offsets = new Map<string, Set<PartitionOffsets>>();
  try {
    for (const file of request.files) {
      const parquet = await openParquet(await sourceOf(store, file.path, signal), { name: file.path });
      if (BigInt(parquet.rowCount) !== file.recordCount) {
        throw new MillraceError(
          'corrupt',
          `${file.path} has ${parquet.rowCount} rows, the ledger says ${file.recordCount}: it is not the file that was committed`,
          { code: 'file-rows-differ', context: { file: file.path } },
        );
      }
      for await (const batch of parquet.readAs(schema)) {
        await files.append(batch, 0);
        const into = offsets.get(keys.at(-1)!) ?? new Set();
        for (const range of file.offsets) into.add(range);
        offsets.set(keys.at(-1)!, into);
      }
    }
    const written = await files.finish();
    return written.map((file) => toDataFile(file, merged([...(offsets.get(file.key) ?? [])])));
  } catch (error) {
    await files.abort();
    throw error;
  }
}

async function sourceOf(store: ObjectStore, key: string, signal: AbortSignal) {
  const info = await store.head(key, signal);
  if (info === undefined) {
    throw new MillraceError(
      'not-found',
      `${store.uri}/${key} is gone, and the ledger names it: run verify on the table`,
      {
        code: 'data-file-missing',
        context: { file: key },
      },
    );
  }
  return {
    size: info.sizeBytes,
    read: (start: number, end: number) => store.get(key, { start, end }, signal),
  };
}

/** Ranges by partition and start, those that touch joined. */
function merged(ranges: readonly PartitionOffsets[]): { partition: number; startOffset: bigint; endOffset: bigint }[] {
  const sorted = [...ranges].sort((a, b) => a.partition - b.partition || Number(a.startOffset - b.startOffset));
  const joined: { partition: number; startOffset: bigint; endOffset: bigint }[] = [];
  for (const { partition, startOffset, endOffset } of sorted) {
    const last = joined.at(-1);
    if (last === undefined || last.partition !== partition || startOffset > last.endOffset) {
      joined.push({ partition, startOffset, endOffset });
    } else if (endOffset > last.endOffset) last.endOffset = endOffset;
  }
  return joined;
}
