import type { ProtobufEnum, ProtobufMessage } from '@millrace/schema';
import { broken, scratch } from './avro-runtime.ts';
import { type Column, constants, setBytes, takeScratch } from './column.ts';
import { protobufJson } from './protobuf-json.ts';
import { readTag, readVarint, skipField } from './protobuf-runtime.ts';
import { dateValue, decimalOfBytes, decimalOfText, timestampValue, timeValue } from './protobuf-special.ts';
import type { ProtobufPlan } from './protobuf-step.ts';
import { readMessage } from './protobuf-value.ts';
import { storeValue } from './store.ts';

// What generated Protobuf decoders call to put values into columns that are more than their bytes: names of enums, unsigned
// numbers, and the well-known messages that are one column.

/** The column's [~start, length] pairs of an enum's names, and where each number's is among them. */
export interface EnumNames {
  pairs: Int32Array;
  /** Index of the name of number i, plus one; 0: no name. For small numbers. */
  small: Int32Array;
  all: ReadonlyMap<number, number>;
}

const SMALL = 256;
const namesOf = new WeakMap<ProtobufEnum, { texts: string[]; small: Int32Array; all: Map<number, number> }>();

export function enumNames(type: ProtobufEnum, column: Column): EnumNames {
  let names = namesOf.get(type);
  if (!names) {
    names = { texts: [], small: new Int32Array(SMALL), all: new Map() };
    for (const { name, number } of type.values) {
      if (names.all.has(number)) continue;
      names.all.set(number, names.texts.push(name) - 1);
      if (number >= 0 && number < SMALL) names.small[number] = names.texts.length;
    }
    namesOf.set(type, names);
  }
  return { pairs: constants(column, names.texts), small: names.small, all: names.all };
}

/** The name of an enum's number in row n; the digits of a number that has none. */
export function putEnum({ pairs, all }: EnumNames, number: number, column: Column, n: number): void {
  const at = all.get(number);
  if (at === undefined) {
    setBytes(column, n, Buffer.from(String(number)));
    return;
  }
  column.starts[n] = pairs[2 * at]!;
  column.lengths[n] = pairs[2 * at + 1]!;
}

/** An unsigned 64-bit number as decimal(20, 0): nine bytes, big endian. */
export function putUnsigned(column: Column, n: number, lo: number, hi: number): void {
  const start = takeScratch(column, 9);
  const out = column.scratch;
  out[start] = 0;
  out[start + 1] = hi >>> 24;
  out[start + 2] = hi >>> 16;
  out[start + 3] = hi >>> 8;
  out[start + 4] = hi;
  out[start + 5] = lo >>> 24;
  out[start + 6] = lo >>> 16;
  out[start + 7] = lo >>> 8;
  out[start + 8] = lo;
  column.starts[n] = ~start;
  column.lengths[n] = 9;
}

const parts = new Int32Array(8);

// The varint fields 1 to 4 of a message as low and high halves, 0 where there is none.
function readParts(bytes: Uint8Array, p: number, end: number, depth: number): void {
  parts.fill(0);
  while (p < end) {
    let tag = bytes[p++]!;
    if (tag > 127) {
      p = readTag(bytes, p - 1, end);
      tag = scratch[0]!;
    }
    if ((tag & 7) !== 0 || tag > 32 || tag < 8) p = skipField(bytes, p, end, tag, depth);
    else p = readVarint(bytes, p, end, parts, (tag >> 2) - 2);
  }
}

const TWO_22 = 4_194_304;
const TWO_41 = 2_199_023_255_552;

/** google.protobuf.Timestamp in bytes [p, end) into out[at], out[at + 1]. */
export function putTimestamp(
  bytes: Uint8Array,
  p: number,
  end: number,
  depth: number,
  plan: ProtobufPlan,
  out: Int32Array,
  at: number,
): void {
  readParts(bytes, p, end, depth);
  const nanos = parts[2]!;
  const seconds = parts[1]! * 4_294_967_296 + (parts[0]! >>> 0);
  const micros = Math.floor(nanos / 1000);
  if (
    plan.nanos === 'long' ||
    nanos < 0 ||
    nanos > 999_999_999 ||
    micros * 1000 !== nanos ||
    Math.abs(seconds) > TWO_41 * 4
  ) {
    const whole = (BigInt(parts[1]!) << 32n) | BigInt(parts[0]! >>> 0);
    const value = timestampValue(whole, nanos, plan.nanos);
    out[at] = Number(BigInt.asIntN(32, value));
    out[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
    return;
  }
  // seconds * 10^6 + micros in two steps that a double holds exactly: 22 bits below, the others above.
  const above = Math.floor(seconds / TWO_22);
  const below = (seconds - above * TWO_22) * 1_000_000 + micros;
  const carry = Math.floor(below / TWO_22);
  const high = above * 1_000_000 + carry;
  if (high >= TWO_41 || high < -TWO_41) broken();
  out[at] = ((high % 1024) * TWO_22) | (below - carry * TWO_22);
  out[at + 1] = Math.floor(high / 1024);
}

/** google.type.Date or TimeOfDay in bytes [p, end). */
export function putDate(
  bytes: Uint8Array,
  p: number,
  end: number,
  depth: number,
  _plan: ProtobufPlan,
  column: Column,
  n: number,
): void {
  readParts(bytes, p, end, depth);
  storeValue(column, n, dateValue([parts[0]!, parts[2]!, parts[4]!]));
}

export function putTime(
  bytes: Uint8Array,
  p: number,
  end: number,
  depth: number,
  plan: ProtobufPlan,
  column: Column,
  n: number,
): void {
  readParts(bytes, p, end, depth);
  storeValue(column, n, timeValue([parts[0]!, parts[2]!, parts[4]!, parts[6]!], plan.nanos));
}

/** google.type.Decimal or confluent.type.Decimal in bytes [p, end). */
export function putDecimal(
  bytes: Uint8Array,
  p: number,
  end: number,
  depth: number,
  message: ProtobufMessage,
  column: Column,
  n: number,
): void {
  const value = readMessage(message, { bytes, at: p, end }, new Map(), 0, depth);
  const { precision, scale } = column.type as { precision: number; scale: number };
  const [first, , third] = message.fields.map((field) => value.get(field));
  storeValue(
    column,
    n,
    message.fields.length === 1
      ? decimalOfText((first ?? '') as string, precision, scale)
      : decimalOfBytes((first ?? new Uint8Array(0)) as Uint8Array, (third ?? 0) as number, precision, scale),
  );
}

const encoder = new TextEncoder();

/** A message in bytes [p, end) as JSON text. */
export function putJson(
  bytes: Uint8Array,
  p: number,
  end: number,
  depth: number,
  message: ProtobufMessage,
  plan: ProtobufPlan,
  column: Column,
  n: number,
): void {
  const json = protobufJson(message, readMessage(message, { bytes, at: p, end }, new Map(), 0, depth), plan.types);
  const start = takeScratch(column, json.length * 3);
  const { written } = encoder.encodeInto(json, column.scratch.subarray(start));
  column.scratchLength = start + written;
  column.starts[n] = ~start;
  column.lengths[n] = written;
}
