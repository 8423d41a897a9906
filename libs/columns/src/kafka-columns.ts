import type { MillraceError } from '@millrace/base';
import type { RecordIndex } from '@millrace/kafka-log';
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

type Fill = (column: Column, index: RecordIndex, i: number, n: number, place: KafkaPlace) => void;

const TEXTS = ['append', 'delete', 'CreateTime', 'LogAppendTime'];

const FILLS: Record<string, Fill> = {
  partition: (column, _index, _i, n, place) => {
    column.ints[n] = place.partition;
  },
  offset: (column, index, i, n) => setNumber(column, n, index.offsets[i]!),
  timestamp: (column, index, i, n) => {
    const ms = index.timestampsMs[i]!;
    if (ms < 0) return setNull(column, n);
    setNumber(column, n, ms);
    timesThousand(column.ints, 2 * n);
  },
  timestamp_type: (column, index, i, n) =>
    setText(column, n, index.batches[index.batchNumbers[i]!]!.timestampType === 'create-time' ? 2 : 3),
  leader_epoch: (column, index, i, n) => setInt(column, n, index.batches[index.batchNumbers[i]!]!.leaderEpoch),
  headers: (column, index, i, n) => setHeaders(column, index, i, n),
  schema_id: (column, index, i, n, place) =>
    setInt(column, n, index.valueLengths[i]! < 0 ? -1 : (place.schemaId ?? -1)),
  op: (column, index, i, n) => setText(column, n, index.valueLengths[i]! < 0 ? 1 : 0),
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
    let i = 0;
    try {
      for (; i < good; i++) {
        if (fill) fill(column, index, from + i, n + i, place);
        else setNull(column, n + i);
      }
    } catch (error) {
      if (error !== BROKEN) throw error;
      good = i;
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

function setNumber(column: Column, n: number, value: number): void {
  column.ints[2 * n] = value % 4294967296;
  column.ints[2 * n + 1] = Math.floor(value / 4294967296);
}

// Kafka writes -1 for "none".
function setInt(column: Column, n: number, value: number): void {
  if (value < 0) setNull(column, n);
  else column.ints[n] = value;
}

function setText(column: Column, n: number, text: number): void {
  const pairs = constants(column, TEXTS);
  column.starts[n] = pairs[2 * text]!;
  column.lengths[n] = pairs[2 * text + 1]!;
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
