import type { MillraceError } from '@millrace/base';
import type { IndexedBatch, RecordIndex } from '@millrace/kafka-log';
import type { StructType } from '@millrace/schema';
import { undecodable } from './avro-decoder.ts';
import { BROKEN, checkUtf8, readInt, scratch, timesThousand } from './avro-runtime.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, constants, reserve, setNull } from './column.ts';
import type { RowBuilder } from './row-builder.ts';

/** What the records of a run have in common. */
export interface KafkaPlace {
  partition: number;
  /** Id of the value's writer schema; absent = none. */
  schemaId?: number | undefined;
}

/** Fills rows n, n + 1, … of one column for records [from, to); may throw BROKEN, and then `filled` says how far it came. */
type Fill = (column: Column, index: RecordIndex, from: number, to: number, n: number, place: KafkaPlace) => void;

const TEXTS = ['append', 'delete', 'CreateTime', 'LogAppendTime'];

/** Records that a fill which threw BROKEN had finished. */
let filled = 0;

// A loop a column, over typed arrays: a call a value would cost more than the value.
const FILLS: Record<string, Fill> = {
  partition: (column, _index, from, to, n, place) => {
    column.ints.fill(place.partition, n, n + to - from);
  },
  offset: ({ ints }, { offsets }, from, to, n) => {
    for (let i = from, at = 2 * n; i < to; i++, at += 2) {
      const offset = offsets[i]!;
      const high = Math.floor(offset / 4294967296);
      ints[at] = offset - high * 4294967296;
      ints[at + 1] = high;
    }
  },
  timestamp: fillTimestamps,
  timestamp_type: (column, index, from, to, n) => {
    const pairs = constants(column, TEXTS);
    fillByBatch(index, from, to, n, ({ timestampType }, first, end) =>
      fillText(column, pairs, timestampType === 'create-time' ? 2 : 3, first, end),
    );
  },
  leader_epoch: (column, index, from, to, n) => {
    fillByBatch(index, from, to, n, ({ leaderEpoch }, first, end) => {
      // Kafka writes -1 for "none".
      if (leaderEpoch >= 0) column.ints.fill(leaderEpoch, first, end);
      else for (let row = first; row < end; row++) setNull(column, row);
    });
  },
  headers: (column, index, from, to, n) => {
    for (filled = 0; filled < to - from; filled++) setHeaders(column, index, from + filled, n + filled);
  },
  schema_id: (column, { valueLengths }, from, to, n, place) => {
    const id = place.schemaId ?? -1;
    if (id >= 0) column.ints.fill(id, n, n + to - from);
    for (let i = from; i < to; i++) if (id < 0 || valueLengths[i]! < 0) setNull(column, n + i - from);
  },
  op: (column, { valueLengths }, from, to, n) => {
    const pairs = constants(column, TEXTS);
    fillText(column, pairs, 0, n, n + to - from);
    for (let i = from; i < to; i++)
      if (valueLengths[i]! < 0) fillText(column, pairs, 1, n + i - from, n + i - from + 1);
  },
};

/**
 * Fills the `_kafka` column for records [from, to) in rows n, n + 1, …, for which room is there. Answers how many: fewer
 * than asked when the next one has a header name that is not UTF-8, or a timestamp beyond 64 bits of microseconds.
 */
export function fillKafkaColumns(
  rows: RowBuilder,
  index: RecordIndex,
  place: KafkaPlace,
  from: number,
  to: number,
  n: number,
): number {
  const at = rows.schema.fields.findIndex((field) => field.source === 'kafka');
  if (at < 0) return to - from;
  const parts = rows.schema.fields[at]!.type as StructType;
  let good = to - from;
  for (const [child, field] of parts.fields.entries()) {
    const fill = FILLS[field.name];
    const column = rows.columns[at]!.children[child]!;
    try {
      if (fill) fill(column, index, from, from + good, n, place);
      else for (let row = n; row < n + good; row++) setNull(column, row);
    } catch (error) {
      if (error !== BROKEN) throw error;
      good = filled;
    }
  }
  return good;
}

/** Why fillKafkaColumns stopped at record i. */
export function checkKafka(index: RecordIndex, i: number): MillraceError {
  const headers = index.timestampsMs[i]! <= MAX_MS;
  const error = new BadRecord(
    headers
      ? 'the name of a header is not valid UTF-8'
      : `the timestamp ${index.timestampsMs[i]} ms is too far away for microseconds`,
  );
  return undecodable('record', error.within(headers ? 'headers' : 'timestamp'));
}

const MAX_MS = 2 ** 63 / 1000;

/** Milliseconds that are exact as a number of microseconds. */
const EXACT_MS = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

function fillTimestamps(column: Column, { timestampsMs }: RecordIndex, from: number, to: number, n: number): void {
  const { ints } = column;
  for (let i = from, row = n; i < to; i++, row++) {
    const ms = timestampsMs[i]!;
    if (ms < 0) {
      setNull(column, row);
      continue;
    }
    const number = ms <= EXACT_MS ? ms * 1000 : ms;
    const high = Math.floor(number / 4294967296);
    ints[2 * row] = number - high * 4294967296;
    ints[2 * row + 1] = high;
    if (ms <= EXACT_MS) continue;
    filled = i - from;
    timesThousand(ints, 2 * row);
  }
}

/** Calls `fill` with rows [first, end) for each stretch of records of one batch. */
function fillByBatch(
  { batches, batchNumbers }: RecordIndex,
  from: number,
  to: number,
  n: number,
  fill: (batch: IndexedBatch, first: number, end: number) => void,
): void {
  for (let i = from; i < to; ) {
    const batch = batchNumbers[i]!;
    const first = i;
    while (i < to && batchNumbers[i] === batch) i++;
    fill(batches[batch]!, n + first - from, n + i - from);
  }
}

function fillText({ starts, lengths }: Column, pairs: Int32Array, text: number, first: number, end: number): void {
  starts.fill(pairs[2 * text]!, first, end);
  lengths.fill(pairs[2 * text + 1]!, first, end);
}

// Header (Kafka documentation, "Record Header"): keyLength varint | key | valueLength varint | value; -1 = null. The
// record index has checked that they lie inside their record.
function setHeaders(column: Column, index: RecordIndex, i: number, n: number): void {
  const count = index.headerCounts[i]!;
  const domain = column.childDomain!;
  reserve(domain, count);
  const first = domain.length;
  domain.length += count;
  column.lengths[n] = count;
  const [key, value] = column.children[0]!.children as [Column, Column];
  const { bytes, byteLength } = index;
  let p = index.headerStarts[i]!;
  for (let at = first; at < first + count; at++) {
    p = setPart(key, bytes, p, byteLength, at);
    if (key.lengths[at]! > 0) checkUtf8(bytes, key.starts[at]!, key.starts[at]! + key.lengths[at]!);
    p = setPart(value, bytes, p, byteLength, at);
  }
}

function setPart(column: Column, bytes: Uint8Array, p: number, end: number, at: number): number {
  p = readInt(bytes, p, end, scratch, 0);
  const length = scratch[0]!;
  if (length < 0) {
    setNull(column, at);
    return p;
  }
  column.starts[at] = p;
  column.lengths[at] = length;
  return p + length;
}
