import {
  CHAR,
  collectNames,
  eachElement,
  eachMember,
  type JsonCursor,
  peek,
  takeString,
  takeWord,
} from './variant-json.ts';
import { type BytesVector, isValid, type StructVector } from './vector.ts';

/** Types of primitive values, as their header names them (VariantEncoding.md, "Encoding types"). */
export const VARIANT = {
  NULL: 0,
  TRUE: 1,
  FALSE: 2,
  INT8: 3,
  INT16: 4,
  INT32: 5,
  INT64: 6,
  DOUBLE: 7,
  DECIMAL4: 8,
  DECIMAL8: 9,
  DECIMAL16: 10,
  DATE: 11,
  TIMESTAMP: 12,
  TIMESTAMP_NTZ: 13,
  FLOAT: 14,
  BINARY: 15,
  STRING: 16,
  TIME: 17,
  TIMESTAMP_NANOS: 18,
  TIMESTAMP_NTZ_NANOS: 19,
  UUID: 20,
};
/** What kind of value it is: its lowest two bits. */
export const BASIC = { PRIMITIVE: 0, SHORT_STRING: 1, OBJECT: 2, ARRAY: 3 };

const LONGEST_SHORT_STRING = 63;

/**
 * Parquet's binary variants (VariantEncoding.md, version 1) of a column of JSON texts: a struct vector of `metadata` and
 * `value`, as the writer takes it. Integers take the fewest bytes, other numbers without an exponent are decimals of up to
 * 38 digits, the rest doubles; of members with one name the last counts. Throws `invalid` (code "variant-json") for a text
 * that is no JSON.
 *
 *     metadata := version 1 | sorted << 4 | offset bytes - 1 << 6   count offset* name*
 *     value    := primitive: type << 2 content  |  short string: length << 2 | 1 bytes
 *               | object: (offset bytes - 1 | id bytes - 1 << 2 | large << 4) << 2 | 2   count id* offset* value*
 *               | array: (offset bytes - 1 | large << 2) << 2 | 3   count offset* value*
 */
export function variantFromJson(texts: BytesVector): StructVector {
  const { length, nullCount, validity, source } = texts;
  const base = { length, nullCount, validity };
  const metadata = columnOf(base);
  const value = columnOf(base);
  const out = new Bytes();
  // The names of most rows are those of the row before: one metadata serves them all.
  const known = new Map<string, { start: number; length: number; ids: Map<string, number> }>();
  for (let i = 0; i < length; i++) {
    if (!isValid(texts, i)) continue;
    const start = texts.starts[i]!;
    const end = start + texts.lengths[i]!;
    const found = new Set<string>();
    collectNames({ bytes: source, at: start, end }, found);
    const names = [...found].sort(byBytes);
    const key = JSON.stringify(names);
    let shared = known.get(key);
    if (shared === undefined) {
      const at = out.length;
      writeMetadata(names, out);
      shared = { start: at, length: out.length - at, ids: new Map(names.map((name, id) => [name, id])) };
      known.set(key, shared);
    }
    metadata.starts[i] = shared.start;
    metadata.lengths[i] = shared.length;
    value.starts[i] = out.length;
    writeValue({ bytes: source, at: start, end }, shared.ids, out);
    value.lengths[i] = out.length - value.starts[i]!;
  }
  metadata.source = value.source = out.bytes;
  return { kind: 'struct', ...base, fields: [metadata, value] };
}

/** One text likewise. */
export function encodeVariant(text: string): { metadata: Uint8Array; value: Uint8Array } {
  const source = Buffer.from(text);
  const { fields } = variantFromJson({
    kind: 'bytes',
    length: 1,
    nullCount: 0,
    validity: undefined,
    source,
    starts: Int32Array.of(0),
    lengths: Int32Array.of(source.length),
  });
  const [metadata, value] = (fields as BytesVector[]).map(({ source, starts, lengths }) =>
    source.slice(starts[0]!, starts[0]! + lengths[0]!),
  );
  return { metadata: metadata!, value: value! };
}

function columnOf(base: Pick<BytesVector, 'length' | 'nullCount' | 'validity'>): BytesVector {
  return {
    kind: 'bytes',
    ...base,
    source: new Uint8Array(0),
    starts: new Int32Array(base.length),
    lengths: new Int32Array(base.length),
  };
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Bytes that grow; what lies behind a position can be moved to make room before it. */
class Bytes {
  bytes: Buffer = Buffer.alloc(4096);
  length = 0;

  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(2 * this.bytes.length, this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  uint(value: number, bytes: number): void {
    this.reserve(bytes);
    this.length = this.bytes.writeUIntLE(value, this.length, bytes);
  }

  text(text: string): void {
    const size = Buffer.byteLength(text);
    this.reserve(size);
    this.length += this.bytes.write(text, this.length);
  }

  /** Writes something before what has been written since `at`. */
  before(at: number, write: () => void): void {
    const end = this.length;
    write();
    const head = Buffer.from(this.bytes.subarray(end, this.length));
    this.bytes.copyWithin(at + head.length, at, end);
    this.bytes.set(head, at);
  }
}

const bytesFor = (most: number): number => (most < 1 << 8 ? 1 : most < 1 << 16 ? 2 : most < 1 << 24 ? 3 : 4);

function writeMetadata(names: string[], out: Bytes): void {
  const sizes = names.map((name) => Buffer.byteLength(name));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const width = bytesFor(Math.max(total, names.length));
  out.uint(1 | (1 << 4) | ((width - 1) << 6), 1);
  out.uint(names.length, width);
  let offset = 0;
  out.uint(0, width);
  for (const size of sizes) out.uint((offset += size), width);
  for (const name of names) out.text(name);
}

/** The text has been checked by collectNames. */
function writeValue(cursor: JsonCursor, ids: Map<string, number>, out: Bytes): void {
  const first = peek(cursor);
  if (first === CHAR.OPEN) writeObject(cursor, ids, out);
  else if (first === CHAR.LIST) {
    const begin = out.length;
    const offsets = [0];
    eachElement(cursor, () => {
      writeValue(cursor, ids, out);
      offsets.push(out.length - begin);
    });
    const width = bytesFor(offsets.at(-1)!);
    const large = offsets.length > 256;
    out.before(begin, () => {
      out.uint((((width - 1) | (large ? 4 : 0)) << 2) | BASIC.ARRAY, 1);
      out.uint(offsets.length - 1, large ? 4 : 1);
      for (const offset of offsets) out.uint(offset, width);
    });
  } else if (first === CHAR.QUOTE) writeString(takeString(cursor), out);
  else writeWord(takeWord(cursor), out);
}

function writeObject(cursor: JsonCursor, ids: Map<string, number>, out: Bytes): void {
  const begin = out.length;
  const places = new Map<number, number>();
  eachMember(cursor, (name) => {
    places.set(ids.get(name)!, out.length - begin);
    writeValue(cursor, ids, out);
  });
  const total = out.length - begin;
  // The names are sorted in the metadata, so ids in order are names in order.
  const fields = [...places].sort(([a], [b]) => a - b);
  const width = bytesFor(total);
  const idWidth = bytesFor(fields.at(-1)?.[0] ?? 0);
  const large = fields.length > 255;
  out.before(begin, () => {
    out.uint((((width - 1) | ((idWidth - 1) << 2) | (large ? 16 : 0)) << 2) | BASIC.OBJECT, 1);
    out.uint(fields.length, large ? 4 : 1);
    for (const [id] of fields) out.uint(id, idWidth);
    for (const [, offset] of fields) out.uint(offset, width);
    out.uint(total, width);
  });
}

function writeString(text: string, out: Bytes): void {
  const size = Buffer.byteLength(text);
  if (size <= LONGEST_SHORT_STRING) out.uint((size << 2) | BASIC.SHORT_STRING, 1);
  else {
    out.uint(VARIANT.STRING << 2, 1);
    out.uint(size, 4);
  }
  out.text(text);
}

const WORDS: Record<string, number> = { null: VARIANT.NULL, true: VARIANT.TRUE, false: VARIANT.FALSE };

function writeWord(word: string, out: Bytes): void {
  const type = WORDS[word];
  if (type !== undefined) {
    out.uint(type << 2, 1);
    return;
  }
  const [, whole = '', fraction = ''] = /^-?(\d+)(?:\.(\d+))?$/.exec(word) ?? [];
  const isExact = whole !== '' && fraction.length <= 38 && `${whole}${fraction}`.replace(/^0+/, '').length <= 38;
  if (!isExact || word === '-0') {
    out.uint(VARIANT.DOUBLE << 2, 1);
    out.reserve(8);
    out.length = out.bytes.writeDoubleLE(Number(word), out.length);
    return;
  }
  const unscaled = BigInt(word.replace('.', ''));
  const bits = (unscaled < 0n ? ~unscaled : unscaled).toString(2).length + 1;
  if (fraction === '' && bits <= 64) {
    const width = unscaled === 0n || bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3;
    out.uint((VARIANT.INT8 + width) << 2, 1);
    writeInteger(unscaled, 1 << width, out);
    return;
  }
  const digits = unscaled.toString().replace('-', '').length;
  const width = Math.max(digits, fraction.length) <= 9 ? 0 : Math.max(digits, fraction.length) <= 18 ? 1 : 2;
  out.uint((VARIANT.DECIMAL4 + width) << 2, 1);
  out.uint(fraction.length, 1);
  writeInteger(unscaled, 4 << width, out);
}

function writeInteger(value: bigint, bytes: number, out: Bytes): void {
  const hex = BigInt.asUintN(8 * bytes, value)
    .toString(16)
    .padStart(2 * bytes, '0');
  out.reserve(bytes);
  out.bytes.set(Buffer.from(hex, 'hex').reverse(), out.length);
  out.length += bytes;
}
