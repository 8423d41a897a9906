import type { ObjectStore } from '@millrace/object-store';
import { createParquetWriter, vectorsFromRows } from '@millrace/parquet';
import type { Action } from './actions.ts';
import { CHECKPOINT_SCHEMA } from './checkpoint-schema.ts';
import { parseInterval } from './duration.ts';
import { stringifyJson } from './json.ts';
import { checkpointKey, LAST_CHECKPOINT_KEY, lastCheckpoint } from './log-segment.ts';
import { checkWritable } from './protocol.ts';
import type { Snapshot } from './snapshot.ts';

/** Rows of a batch: each carries a file's statistics, so this bounds a batch to a few MB. */
const BATCH_ROWS = 2_000;
/** The protocol's default of `delta.deletedFileRetentionDuration`. */
const RETENTION_MS = 7 * 86_400_000;

/**
 * Writes the snapshot as a classic checkpoint (protocol, "Checkpoints", V1 spec: one Parquet file) and then
 * `_last_checkpoint`. Tombstones older than `delta.deletedFileRetentionDuration` are dropped from it, and from the
 * snapshot. Nobody may advance the snapshot meanwhile. Two writers of the same version write the same content.
 */
export async function writeCheckpoint(store: ObjectStore, snapshot: Snapshot, now: number): Promise<void> {
  const { version, protocol, metadata, files, tombstones, transactions } = snapshot;
  checkWritable(protocol, metadata, store.uri);
  const retentionMs = parseInterval(metadata.configuration['delta.deletedFileRetentionDuration']) ?? RETENTION_MS;
  for (const [path, { deletionTimestamp = 0 }] of tombstones) {
    if (deletionTimestamp <= now - retentionMs) tombstones.delete(path);
  }
  const out = await store.writer(checkpointKey(version));
  let size = 0;
  try {
    const writer = createParquetWriter({
      schema: CHECKPOINT_SCHEMA,
      sink: (bytes) => out.write(bytes),
      options: { fieldIds: false },
    });
    let rows: Action[] = [];
    const flush = async () => {
      await writer.append(vectorsFromRows(CHECKPOINT_SCHEMA, rows as Record<string, unknown>[]));
      size += rows.length;
      rows = [];
    };
    const all = function* (): Iterable<Action> {
      yield { protocol };
      yield { metaData: metadata };
      for (const txn of transactions.values()) yield { txn };
      for (const remove of tombstones.values()) yield { remove: { ...remove, dataChange: false } };
      for (const add of files.values()) yield { add: { ...add, dataChange: false } };
    };
    for (const row of all()) if (rows.push(row) === BATCH_ROWS) await flush();
    await flush();
    await writer.finish();
    await out.complete();
  } catch (error) {
    await out.abort();
    throw error;
  }
  snapshot.checkpointVersion = version;
  // The pointer never goes back: another writer may have made a newer checkpoint meanwhile.
  if (((await lastCheckpoint(store))?.version ?? -1) > version) return;
  const hint = { version, size, sizeInBytes: out.bytesWritten, numOfAddFiles: files.size };
  await store.put(LAST_CHECKPOINT_KEY, Buffer.from(stringifyJson(hint)));
}
