import { MillraceError } from '@millrace/base';
import { count, deleteObjects, type JobContext } from './job-context.ts';

/** Delta's deletion vectors are the last of the projections' files outside their own folders. */
const FOLDERS = ['data/', '_dead_letters/', '_dv/'];
const PAGE_SIZE = 1_000;

/**
 * The files of a table that was dropped with `purge`, once both formats are gone; nobody else uses its folder, because
 * a table that is made again gets another one. The ledger forgets its files last: until then the job is still to do.
 */
export async function purgeTable(context: JobContext): Promise<string> {
  const { iceberg, delta, ledger, store, name, table, folder, signal, dryRun } = context;
  if (!table.purge) {
    throw new MillraceError(
      'conflict',
      'the table was dropped and its files were to stay: there is nothing to expire',
      {
        code: 'table-dropped',
        retryable: false,
      },
    );
  }
  const shown = await Promise.all([
    iceberg.describeIceberg({ table: name }, { signal }),
    delta.describeDelta({ table: name }, { signal }),
  ]);
  for (const [index, { exists, error }] of shown.entries()) {
    if (!exists && error === undefined) continue;
    throw new MillraceError(
      'unavailable',
      `the ${index === 0 ? 'Iceberg' : 'Delta'} table is not removed yet${error === undefined ? '' : ` (${error.message})`}: its files follow it`,
      { code: 'projection-exists' },
    );
  }
  for (const part of FOLDERS) {
    const keys: string[] = [];
    for await (const { key, sizeBytes } of store.list(folder + part, { signal })) {
      keys.push(key);
      count(context, 'dataFilesDeleted', 1);
      count(context, 'bytesDeleted', sizeBytes);
    }
    if (!dryRun) await deleteObjects(context, keys);
  }
  const request = {
    table: name,
    removedBeforeMs: BigInt(context.nowMs),
    removedByVersion: table.version,
    pageSize: PAGE_SIZE,
  };
  while (!dryRun) {
    const { paths } = await ledger.listRemovedFiles(request, { signal });
    if (paths.length === 0) break;
    // A listing may have lacked some.
    await deleteObjects(
      context,
      paths.map((path) => folder + path),
    );
    await ledger.forgetFiles({ table: name, paths }, { signal });
  }
  return `${dryRun ? 'would delete' : 'deleted'} the dropped table's ${context.counts['dataFilesDeleted'] ?? 0} files`;
}
