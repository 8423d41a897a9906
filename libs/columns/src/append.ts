import type { MillraceError } from '@millrace/base';
import type { RecordIndex } from '@millrace/kafka-log';
import type { Decoder } from './avro-decoder.ts';
import { reserve, truncate } from './column.ts';
import { checkKafka, fillKafkaColumns, type KafkaPlace } from './kafka-columns.ts';
import type { RowBuilder } from './row-builder.ts';

/** How the records of one run (same writer schemas, next to each other) become rows. */
export interface RunDecoders {
  /** createPlainDecoder('none', …) where the table has no such columns. */
  value: Decoder;
  /** Bytes before the value's own encoding, such as FRAME_BYTES. Default 0. */
  valueSkip?: number;
  key: Decoder;
  keySkip?: number;
  kafka: KafkaPlace;
}

export interface AppendResult {
  /** Rows appended: records [from, from + appended). */
  appended: number;
  /** What is wrong with record from + appended; nothing of it is in the rows. Absent when all were appended. */
  error?: MillraceError;
}

// Records decoded at a time. After a broken one it begins small again: what was decoded behind it is decoded once more.
const FIRST_CHUNK = 16;
const LARGEST_CHUNK = 256;

/**
 * Appends records [from, to) of the index as rows. Stops before the first that can't be decoded and says why; the caller
 * applies its error policy and goes on with the record after it.
 */
export function appendRecords(
  rows: RowBuilder,
  decoders: RunDecoders,
  index: RecordIndex,
  from: number,
  to: number,
): AppendResult {
  rows.source = index.bytes;
  let at = from;
  for (let size = FIRST_CHUNK; at < to; size = Math.min(LARGEST_CHUNK, size * 2)) {
    const end = Math.min(to, at + size);
    const good = appendChunk(rows, decoders, index, at, end);
    at += good;
    if (at < end) return { appended: at - from, error: explain(rows, decoders, index, at) };
  }
  return { appended: to - from };
}

// All or nothing: after a failure the rows are as before, and the records before the broken one are decoded again. So no
// decoder has to remember how to take one row back.
function appendChunk(rows: RowBuilder, decoders: RunDecoders, index: RecordIndex, from: number, to: number): number {
  const marks = rows.domains.map((domain) => domain.length);
  const good = decodeChunk(rows, decoders, index, from, to);
  if (good === to - from) return good;
  rollBack(rows, marks, to - from);
  if (good > 0) appendChunk(rows, decoders, index, from, from + good);
  return good;
}

function decodeChunk(rows: RowBuilder, decoders: RunDecoders, index: RecordIndex, from: number, to: number): number {
  const top = rows.domains[0]!;
  const n = top.length;
  reserve(top, to - from);
  const { value, key, valueSkip = 0, keySkip = 0 } = decoders;
  let good = value.decode(rows, index.valueStarts, index.valueLengths, valueSkip, from, to, n);
  good = Math.min(good, key.decode(rows, index.keyStarts, index.keyLengths, keySkip, from, from + good, n));
  good = Math.min(good, fillKafkaColumns(rows, index, decoders.kafka, from, from + good, n));
  if (good === to - from) top.length = n + good;
  return good;
}

function rollBack(rows: RowBuilder, marks: number[], count: number): void {
  for (const [at, domain] of rows.domains.entries())
    truncate(domain, marks[at]!, at === 0 ? marks[0]! + count : domain.length);
}

function explain(rows: RowBuilder, decoders: RunDecoders, index: RecordIndex, i: number): MillraceError {
  const marks = rows.domains.map((domain) => domain.length);
  const n = marks[0]!;
  reserve(rows.domains[0]!, 1);
  try {
    const { value, key, valueSkip = 0, keySkip = 0 } = decoders;
    if (value.decode(rows, index.valueStarts, index.valueLengths, valueSkip, i, i + 1, n) === 0)
      return value.explain(rows, index.valueStarts[i]!, index.valueLengths[i]!, valueSkip, n);
    if (key.decode(rows, index.keyStarts, index.keyLengths, keySkip, i, i + 1, n) === 0)
      return key.explain(rows, index.keyStarts[i]!, index.keyLengths[i]!, keySkip, n);
    return checkKafka(index, i);
  } finally {
    rollBack(rows, marks, 1);
  }
}
