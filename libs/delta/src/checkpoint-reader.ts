import { MillraceError } from '@millrace/base';
import type { ObjectStore } from '@millrace/object-store';
import { openParquet, rowsFromBatch } from '@millrace/parquet';
import { type Action, checkAction } from './actions.ts';
import { CHECKPOINT_SCHEMA } from './checkpoint-schema.ts';

/**
 * The actions of one checkpoint file, classic or a part of a multi-part one (protocol, "Checkpoints", V1 spec), in
 * batches. Columns that are not needed to replay (parsed statistics and the like) are not read. `corrupt` names file
 * and row.
 */
export async function* readCheckpoint(store: ObjectStore, key: string): AsyncIterable<Action[]> {
  const size = (await store.head(key))?.sizeBytes;
  if (size === undefined) throw new MillraceError('not-found', `${key} of ${store.uri} is not there`);
  const source = { size, read: (start: number, end: number) => store.get(key, { start, end }) };
  const file = await openParquet(source, { name: key });
  let row = 0;
  for await (const batch of file.readAs(CHECKPOINT_SCHEMA)) {
    const actions: Action[] = [];
    for (const value of rowsFromBatch(batch)) {
      row++;
      try {
        actions.push(checkAction(plain(value)));
      } catch (error) {
        throw new MillraceError('corrupt', `${key}, row ${row}: ${(error as Error).message}`, {
          code: 'delta-checkpoint-corrupt',
          context: { table: store.uri, key, row },
          cause: error,
        });
      }
    }
    yield actions;
  }
}

/** As JSON would have it: objects for maps, numbers where they are exact, no nulls in structs. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (value instanceof Map) return Object.fromEntries(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null)
      .map(([key, field]) => [key, plain(field)]),
  );
}
