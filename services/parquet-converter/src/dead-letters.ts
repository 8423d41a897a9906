import type { ObjectStore, ObjectWriter } from '@millrace/object-store';
import { createParquetWriter, type ParquetWriter, type Row, vectorsFromRows } from '@millrace/parquet';
import type { ColumnType, Field, TableSchema } from '@millrace/schema';

/** A record (or a whole batch) that is not in the table, with what is needed to find and replay it. */
export interface DeadLetter {
  topic: string;
  partition: number;
  offset: number;
  /** Inclusive; more than `offset` for a batch that could not be read at all. */
  lastOffset: number;
  /** Milliseconds; -1 = none. */
  timestampMs: number;
  code: string;
  reason: string;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: { key: string; value: Uint8Array | null }[];
  segment: string;
  /** Of the batch in the segment. */
  bytePosition: number;
}

const field = (id: number, name: string, type: ColumnType, required: boolean): Field => ({ id, name, type, required });
const HEADER: ColumnType = {
  kind: 'struct',
  fields: [field(14, 'key', { kind: 'string' }, true), field(15, 'value', { kind: 'binary' }, false)],
};

/** The columns of a dead-letter file; ids never change. */
const DEAD_LETTER_SCHEMA: TableSchema = {
  schemaId: 0,
  lastColumnId: 15,
  fields: [
    field(1, 'topic', { kind: 'string' }, true),
    field(2, 'partition', { kind: 'int' }, true),
    field(3, 'offset', { kind: 'long' }, true),
    field(4, 'last_offset', { kind: 'long' }, true),
    field(5, 'timestamp', { kind: 'timestamp', adjusted: true }, false),
    field(6, 'code', { kind: 'string' }, true),
    field(7, 'reason', { kind: 'string' }, true),
    field(8, 'key', { kind: 'binary' }, false),
    field(9, 'value', { kind: 'binary' }, false),
    field(10, 'headers', { kind: 'list', elementId: 13, element: HEADER, elementRequired: true }, true),
    field(11, 'segment', { kind: 'string' }, true),
    field(12, 'byte_position', { kind: 'long' }, true),
  ],
};

export interface DeadLetters {
  add(letter: DeadLetter): Promise<void>;
  /** undefined when there were none. */
  finish(): Promise<{ path: string; sizeBytes: bigint; recordCount: bigint } | undefined>;
  abort(): Promise<void>;
}

const FLUSH_ROWS = 1_000;
const FLUSH_BYTES = 4 << 20;

/** Dead letters of one split in one Parquet file, written as they come: a split of nothing but broken records fits memory. */
export function createDeadLetters(store: ObjectStore, key: string): DeadLetters {
  let rows: Row[] = [];
  let rowBytes = 0;
  let file: { object: ObjectWriter; parquet: ParquetWriter } | undefined;

  async function flush(): Promise<NonNullable<typeof file>> {
    if (file === undefined) {
      const object = await store.writer(key);
      const parquet = createParquetWriter({ schema: DEAD_LETTER_SCHEMA, sink: (bytes) => object.write(bytes) });
      file = { object, parquet };
    }
    await file.parquet.append(vectorsFromRows(DEAD_LETTER_SCHEMA, rows));
    rows = [];
    rowBytes = 0;
    return file;
  }

  return {
    async add(letter) {
      const { timestampMs, lastOffset, bytePosition, offset, headers, ...row } = letter;
      rows.push({
        ...row,
        offset: BigInt(offset),
        last_offset: BigInt(lastOffset),
        timestamp: timestampMs < 0 ? null : BigInt(timestampMs) * 1000n,
        headers: headers.map((header) => ({ key: header.key, value: header.value?.slice() ?? null })),
        byte_position: BigInt(bytePosition),
        key: letter.key?.slice() ?? null,
        value: letter.value?.slice() ?? null,
      });
      rowBytes += (letter.key?.length ?? 0) + (letter.value?.length ?? 0);
      if (rows.length >= FLUSH_ROWS || rowBytes >= FLUSH_BYTES) await flush();
    },
    async finish() {
      if (file === undefined && rows.length === 0) return undefined;
      const { object, parquet } = await flush();
      const stats = await parquet.finish();
      await object.complete();
      file = undefined;
      return { path: key, sizeBytes: BigInt(stats.sizeBytes), recordCount: BigInt(stats.recordCount) };
    },
    async abort() {
      await file?.object.abort();
      await store.delete(key);
    },
  };
}
