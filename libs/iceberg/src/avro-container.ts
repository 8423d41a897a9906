import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { MillraceError } from '@millrace/base';
import avsc from 'avsc';

/**
 * Avro object container files (Avro 1.12 specification, "Object Container Files"):
 *
 *   file   = "Obj" 0x01, metadata map<bytes> ("avro.schema", "avro.codec", …), sync marker (16), block*
 *   block  = record count (long), byte length (long), records in the codec, sync marker (16)
 *   map    = { count (long, not 0), { key (long length, bytes), value (long length, bytes) } × count }, 0
 *   long   = zig-zag, then base-128, low group first
 *
 * The schema is written as the given text, so that attributes such as Iceberg's field ids stay in it.
 */
const MAGIC = Buffer.from([0x4f, 0x62, 0x6a, 0x01]);
const SYNC_BYTES = 16;
const BLOCK_RECORDS = 4_000;
/** No block of a manifest comes near this; a length beyond it is a broken file. */
const MAX_BLOCK_BYTES = 512 * 1024 * 1024;

/**
 * Longs that stay below 2^53 and are many: counts, sizes, positions and sequence numbers, by their field or element ids in
 * manifests and manifest lists. They are numbers, several times faster than bigint.
 */
const SMALL_LONGS = new Set([3, 4, 103, 104, 118, 120, 122, 133, 139, 501, 512, 513, 514, 515, 516]);

/** Every other long is a bigint: snapshot ids use all 63 bits. */
const exactType = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: (value: bigint) => value.toString(),
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

export type AvroSchemaJson = Record<string, unknown>;

/** Compiled types by their schema's text: a table's files mostly have the same one. */
const compiled = new Map<string, avsc.Type>();
const MAX_COMPILED = 64;

/** The codec of a schema: longs are bigint, except the small ones. */
export function avroType(schema: AvroSchemaJson): avsc.Type {
  const key = JSON.stringify(schema);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const type = avsc.Type.forSchema(withExactLongs(schema) as avsc.Schema, {
    registry: { exact: exactType },
    wrapUnions: 'never',
  });
  if (compiled.size >= MAX_COMPILED) compiled.delete(compiled.keys().next().value!);
  compiled.set(key, type);
  return type;
}

function withExactLongs(node: unknown, id?: unknown): unknown {
  if (node === 'long') return SMALL_LONGS.has(id as number) ? 'long' : 'exact';
  if (Array.isArray(node)) return node.map((part) => withExactLongs(part, id));
  if (typeof node !== 'object' || node === null) return node;
  const { type, fields, items, values, ...rest } = node as AvroSchemaJson;
  return {
    ...rest,
    type: withExactLongs(type, rest['field-id'] ?? rest['element-id'] ?? id),
    ...(fields === undefined ? {} : { fields: withExactLongs(fields) }),
    ...(items === undefined ? {} : { items: withExactLongs(items, rest['element-id'] ?? id) }),
    ...(values === undefined ? {} : { values: withExactLongs(values, id) }),
  };
}

/** One file, deflate. `records` are values of the schema's type. */
export function writeContainer(
  schema: AvroSchemaJson,
  type: avsc.Type,
  metadata: Record<string, string>,
  records: readonly unknown[],
): Buffer {
  const sync = randomBytes(SYNC_BYTES);
  const entries = Object.entries({ 'avro.schema': JSON.stringify(schema), 'avro.codec': 'deflate', ...metadata });
  const parts: Buffer[] = [MAGIC, encodeLong(entries.length)];
  for (const [key, value] of entries) {
    for (const text of [key, value]) {
      const bytes = Buffer.from(text);
      parts.push(encodeLong(bytes.length), bytes);
    }
  }
  parts.push(encodeLong(0), sync);
  for (let start = 0; start < records.length; start += BLOCK_RECORDS) {
    const block = records.slice(start, start + BLOCK_RECORDS);
    const bytes = zlib.deflateRawSync(Buffer.concat(block.map((record) => type.toBuffer(record))));
    parts.push(encodeLong(block.length), encodeLong(bytes.length), bytes, sync);
  }
  return Buffer.concat(parts);
}

export interface Container {
  schema: AvroSchemaJson;
  metadata: Record<string, string>;
  records: Generator<Record<string, unknown>>;
}

/** Opens a file of any writer; codecs null, deflate and zstandard. Errors are `corrupt` or `unsupported` and name `what`. */
export function readContainer(file: Uint8Array, what: string): Container {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const reader = new Cursor(bytes, what);
  if (!reader.take(MAGIC.length).equals(MAGIC)) throw corrupt(what, 'it does not start with "Obj" 0x01');
  const metadata: Record<string, string> = {};
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    // A negative count is followed by the block's length in bytes.
    if (count < 0) reader.long();
    for (let i = Math.abs(count); i > 0; i--) metadata[reader.text()] = reader.text();
  }
  const sync = reader.take(SYNC_BYTES);
  const schema = parseSchema(metadata['avro.schema'], what);
  const type = guarded(what, () => avroType(schema));
  return { schema, metadata, records: readBlocks(reader, type, metadata['avro.codec'] ?? 'null', sync) };
}

function* readBlocks(reader: Cursor, type: avsc.Type, codec: string, sync: Buffer): Generator<Record<string, unknown>> {
  while (!reader.done) {
    const count = reader.long();
    const block = decompress(reader.take(reader.long()), codec, reader.what);
    if (!reader.take(SYNC_BYTES).equals(sync)) throw corrupt(reader.what, 'a sync marker differs');
    // Every record of ours takes a byte or more.
    if (count < 0 || count > block.length) throw corrupt(reader.what, `a block can't hold ${count} records`);
    let position = 0;
    for (let i = 0; i < count; i++) {
      const decoded = guarded(reader.what, () => type.decode(block, position));
      if (decoded.offset < 0) throw corrupt(reader.what, `record ${i} of a block ends early`);
      position = decoded.offset;
      yield decoded.value as Record<string, unknown>;
    }
    if (position !== block.length) throw corrupt(reader.what, 'a block is longer than its records');
  }
}

/** The Avro library's own errors say what is wrong, not where. */
function guarded<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw corrupt(what, (error as Error).message);
  }
}

function decompress(bytes: Buffer, codec: string, what: string): Buffer {
  try {
    switch (codec) {
      case 'null':
        return bytes;
      case 'deflate':
        return zlib.inflateRawSync(bytes, { maxOutputLength: MAX_BLOCK_BYTES });
      case 'zstandard':
        return zlib.zstdDecompressSync(bytes, { maxOutputLength: MAX_BLOCK_BYTES });
    }
  } catch (error) {
    throw corrupt(what, `a block can't be decompressed: ${(error as Error).message}`);
  }
  throw new MillraceError('unsupported', `${what} uses Avro codec ${codec}; readable: null, deflate, zstandard`, {
    code: 'avro-codec',
  });
}

function parseSchema(text: string | undefined, what: string): AvroSchemaJson {
  try {
    return JSON.parse(text ?? '') as AvroSchemaJson;
  } catch {
    throw corrupt(what, 'avro.schema is not JSON');
  }
}

function encodeLong(value: number): Buffer {
  let rest = BigInt(value) * 2n;
  if (rest < 0n) rest = -rest - 1n;
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

class Cursor {
  private position = 0;
  private readonly bytes: Buffer;
  readonly what: string;

  constructor(bytes: Buffer, what: string) {
    this.bytes = bytes;
    this.what = what;
  }

  get done(): boolean {
    return this.position >= this.bytes.length;
  }

  take(length: number): Buffer {
    if (length < 0 || length > MAX_BLOCK_BYTES || this.position + length > this.bytes.length) {
      throw corrupt(this.what, `it ends early at byte ${this.position}`);
    }
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  long(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
    throw corrupt(this.what, `a number at byte ${this.position} is too long`);
  }

  text(): string {
    return this.take(this.long()).toString('utf8');
  }
}

const corrupt = (what: string, why: string): MillraceError =>
  new MillraceError('corrupt', `${what} is not a readable Avro file: ${why}`, { code: 'avro-invalid' });
