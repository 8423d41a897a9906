import { MillraceError } from '@millrace/base';
import type { ObjectStore } from '@millrace/object-store';
import { world } from './world.ts';

// Data files of the simulation: the offsets of their records, by partition, in the order of their rows. So what a table
// shows can be compared with its source exactly, and cheaply.

/** Rows of a file, in their order: [partition, offset]. */
export type Rows = [number, number][];

export const encodeRows = (rows: Rows): Uint8Array => Buffer.from(rows.map(([p, o]) => `${p}:${o}\n`).join(''));

export const decodeRows = (bytes: Uint8Array): Rows =>
  Buffer.from(bytes)
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(':').map(Number) as [number, number]);

interface Range {
  partition: number;
  startOffset: bigint;
  endOffset: bigint;
}

interface DataFile {
  path: string;
  sizeBytes: bigint;
  recordCount: bigint;
  schemaId: number;
  offsets: Range[];
}

interface Split {
  splitId: string;
  location: string;
  partition: number;
  startOffset: bigint;
  endOffset: bigint;
}

const ROWS_A_FILE = 12;

/** In the place of parquet-converter's convertSplit: the same names, the same order of writes, tokens instead of Parquet. */
export const convertWith =
  (deps: {
    openStore: (uri: string) => ObjectStore;
    recordsOf: (partition: number, from: number, to: number) => number[];
  }) =>
  async (
    lease: { split?: Split; epoch: bigint },
    _deps: unknown,
    signal: AbortSignal,
    onEncoded: () => void,
    attempt: number,
  ) => {
    const split = lease.split!;
    const name = `${split.splitId}-${lease.epoch}${attempt === 1 ? '' : `-${attempt}`}`;
    const store = deps.openStore(split.location);
    const offsets = deps.recordsOf(split.partition, Number(split.startOffset), Number(split.endOffset));
    const keys: string[] = [];
    const files: DataFile[] = [];
    const discard = async () => {
      for (const key of keys) await store.delete(key);
    };
    try {
      for (let at = 0; at < offsets.length; at += ROWS_A_FILE) {
        const part = offsets.slice(at, at + ROWS_A_FILE);
        const next = offsets[at + ROWS_A_FILE];
        const path = `data/${name}-${keys.length}.parquet`;
        keys.push(path);
        const bytes = encodeRows(part.map((offset) => [split.partition, offset]));
        // Decoding and encoding take their time, in which leases can end.
        await world().wait(world().between(10, 1_500));
        await write(store, path, bytes, false, signal);
        const startOffset = at === 0 ? split.startOffset : BigInt(part[0]!);
        const endOffset = next === undefined ? split.endOffset : BigInt(next);
        files.push(dataFile(path, bytes, part.length, [{ partition: split.partition, startOffset, endOffset }]));
      }
      onEncoded();
      signal.throwIfAborted();
      return { completion: { files }, summary: { rows: offsets.length, files: files.length }, discard };
    } catch (error) {
      await discard();
      throw error;
    }
  };

async function write(store: ObjectStore, key: string, bytes: Uint8Array, ifAbsent: boolean, signal: AbortSignal) {
  const writer = await store.writer(key, { ifAbsent, signal });
  await writer.write(bytes);
  await writer.complete();
}

const dataFile = (path: string, bytes: Uint8Array, rows: number, offsets: Range[]): DataFile => ({
  path,
  sizeBytes: BigInt(bytes.length),
  recordCount: BigInt(rows),
  schemaId: 0,
  offsets,
});

/** In the place of parquet-converter's rewriteFiles. */
export const rewriteWith =
  (openStore: (uri: string) => ObjectStore) =>
  async (
    request: { rewriteId: string; location: string; files: DataFile[]; targetFileBytes: bigint },
    _config: unknown,
    signal: AbortSignal,
  ): Promise<DataFile[]> => {
    const store = openStore(request.location);
    const written: string[] = [];
    const files: DataFile[] = [];
    let rows: Rows = [];
    let offsets: Range[] = [];
    const end = async () => {
      if (rows.length === 0) return;
      const path = `data/rewrite-${request.rewriteId}-${written.length}.parquet`;
      const bytes = encodeRows(rows);
      await world().wait(world().between(10, 1_500));
      await write(store, path, bytes, true, signal);
      written.push(path);
      files.push(dataFile(path, bytes, rows.length, offsets));
      [rows, offsets] = [[], []];
    };
    try {
      for (const file of request.files) {
        const found = decodeRows(await store.get(file.path, undefined, signal));
        if (BigInt(found.length) !== file.recordCount) {
          throw new MillraceError('corrupt', `${file.path} has ${found.length} rows, not ${file.recordCount}`);
        }
        rows.push(...found);
        offsets.push(...file.offsets);
        if (encodeRows(rows).length >= Number(request.targetFileBytes)) await end();
      }
      await end();
      return files;
    } catch (error) {
      for (const path of written) await store.delete(path);
      throw error;
    }
  };
