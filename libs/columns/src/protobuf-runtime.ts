import { BROKEN, broken, scratch } from './avro-runtime.ts';
import { BadRecord } from './avro-value.ts';
import type { Column } from './column.ts';
import type { ProtobufInterpreter } from './protobuf-interpret.ts';
import { MAX_DEPTH } from './protobuf-value.ts';

/**
 * What generated Protobuf decoders call. Each reader takes the bytes, a position and the end of the message, writes its
 * value and answers the position after it; what breaks a rule throws BROKEN.
 */

/** Thrown for a record that is legal and rare: the interpreter reads it. */
export const REDO = Symbol('for the interpreter');
export const redo = (): never => {
  throw REDO;
};

/** Has the interpreter read a record; false when it is broken. */
export function interpretOr(
  interpret: ProtobufInterpreter,
  columns: readonly Column[],
  bytes: Uint8Array,
  start: number,
  length: number,
  n: number,
): boolean {
  try {
    interpret(columns, bytes, start, length, n);
    return true;
  } catch (error) {
    if (error instanceof BadRecord) return false;
    throw error;
  }
}

export const isBroken = (error: unknown): boolean => error === BROKEN || error instanceof BadRecord;

/** A varint of up to 64 bits into out[at] (low) and out[at + 1] (high); what a tenth byte has beyond them is dropped. */
export function readVarint(bytes: Uint8Array, p: number, end: number, out: Int32Array, at: number): number {
  // With ten bytes left no read can pass the end.
  const last = end - p >= 10 ? p + 10 : end;
  if (p >= last) broken();
  let b = bytes[p++]!;
  let lo = b & 127;
  let hi = 0;
  if (b > 127) {
    if (p >= last) broken();
    b = bytes[p++]!;
    lo |= (b & 127) << 7;
    if (b > 127) {
      if (p >= last) broken();
      b = bytes[p++]!;
      lo |= (b & 127) << 14;
      if (b > 127) {
        if (p >= last) broken();
        b = bytes[p++]!;
        lo |= (b & 127) << 21;
        if (b > 127) {
          if (p >= last) broken();
          b = bytes[p++]!;
          lo |= (b & 127) << 28;
          hi = (b & 127) >>> 4;
          for (let shift = 3; b > 127; shift += 7) {
            if (p >= last) broken();
            b = bytes[p++]!;
            hi |= (b & 127) << shift;
          }
        }
      }
    }
  }
  out[at] = lo;
  out[at + 1] = hi;
  return p;
}

/** A zigzag varint of up to 64 bits. */
export function readZigzag(bytes: Uint8Array, p: number, end: number, out: Int32Array, at: number): number {
  p = readVarint(bytes, p, end, out, at);
  const lo = out[at]!;
  const hi = out[at + 1]!;
  const sign = -(lo & 1);
  out[at] = ((lo >>> 1) | (hi << 31)) ^ sign;
  out[at + 1] = (hi >>> 1) ^ sign;
  return p;
}

/** The low 32 bits of a varint into scratch[0]. */
export const readVarint32 = (bytes: Uint8Array, p: number, end: number): number =>
  readVarint(bytes, p, end, scratch, 0);

/** A length into scratch[0]: so many bytes are there. */
export function readLength(bytes: Uint8Array, p: number, end: number): number {
  p = readVarint(bytes, p, end, scratch, 0);
  if (scratch[1] !== 0 || scratch[0]! < 0 || scratch[0]! > end - p) broken();
  return p;
}

/** A tag, that is a field number of at most 29 bits and a wire type, into scratch[0]. */
export function readTag(bytes: Uint8Array, p: number, end: number): number {
  p = readVarint(bytes, p, end, scratch, 0);
  if (scratch[1] !== 0) broken();
  return p;
}

/** Passes over a field that has no column. */
export function skipField(bytes: Uint8Array, p: number, end: number, tag: number, depth: number): number {
  if (tag >>> 3 === 0) broken();
  switch (tag & 7) {
    case 0:
      return readVarint(bytes, p, end, scratch, 0);
    case 1:
      if (end - p < 8) broken();
      return p + 8;
    case 2:
      p = readLength(bytes, p, end);
      return p + scratch[0]!;
    case 3:
      return skipGroup(bytes, p, end, tag >>> 3, depth + 1);
    case 5:
      if (end - p < 4) broken();
      return p + 4;
    default:
      return broken();
  }
}

function skipGroup(bytes: Uint8Array, p: number, end: number, group: number, depth: number): number {
  if (depth > MAX_DEPTH) broken();
  for (;;) {
    p = readTag(bytes, p, end);
    const tag = scratch[0]!;
    if ((tag & 7) !== 4) p = skipField(bytes, p, end, tag, depth);
    else if (tag >>> 3 === group) return p;
    else broken();
  }
}

const FEW = 16;

/** Whether rows [from, from + count) of a map's key have one twice. */
export function hasTwice(column: Column, source: Uint8Array, from: number, count: number): boolean {
  const to = from + count;
  if (count > FEW) {
    const seen = new Set<unknown>();
    for (let n = from; n < to; n++) seen.add(keyAt(column, source, n));
    return seen.size < count;
  }
  for (let a = from; a < to; a++) for (let b = a + 1; b < to; b++) if (isSame(column, source, a, b)) return true;
  return false;
}

function isSame(column: Column, source: Uint8Array, a: number, b: number): boolean {
  const { ints, starts, lengths } = column;
  if (column.kind === 'bytes') {
    const length = lengths[a]!;
    if (length !== lengths[b]) return false;
    // Decimals lie in scratch, all of them; strings in the source.
    const from = starts[a]!;
    return from < 0
      ? equalBytes(column.scratch, ~from, ~starts[b]!, length)
      : equalBytes(source, from, starts[b]!, length);
  }
  if (column.kind === 'boolean') return column.flags[a] === column.flags[b];
  if (column.kind === 'int32') return ints[a] === ints[b];
  return ints[2 * a] === ints[2 * b] && ints[2 * a + 1] === ints[2 * b + 1];
}

function equalBytes(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

function keyAt(column: Column, source: Uint8Array, n: number): unknown {
  if (column.kind === 'boolean') return column.flags[n];
  if (column.kind === 'int32') return column.ints[n];
  if (column.kind === 'int64') return `${column.ints[2 * n]} ${column.ints[2 * n + 1]}`;
  const start = column.starts[n]!;
  const [bytes, at] = start < 0 ? [column.scratch, ~start] : [source, start];
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, column.lengths[n]).toString('latin1');
}
