import {
  type AvroType,
  branchName,
  bytesBigint,
  mapAvro,
  type PrimitiveType,
  type SingleValue,
  singleValueToJson,
  uuidText,
} from '@millrace/schema';

/** What is wrong with a record, and in which field: "items.element.price". */
export class BadRecord extends Error {
  path: string;

  constructor(reason: string) {
    super(reason);
    this.name = 'BadRecord';
    this.path = '';
  }

  /** Puts the name of an enclosing field before the path. */
  within(name: string): this {
    if (name !== '') this.path = this.path === '' ? name : `${name}.${this.path}`;
    return this;
  }
}

/** Reads Avro's binary encoding one value at a time, plainly: the generated decoders are proved against it. */
export interface Cursor {
  bytes: Uint8Array;
  at: number;
  end: number;
  /** Items so far in this record that took no bytes. */
  emptyItems: number;
}

/** Items without bytes (null, an empty record) cost memory and no input: so many may be in one record. */
export const MAX_EMPTY_ITEMS = 1000;
/** How deep a recursive value may be nested. */
export const MAX_DEPTH = 500;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** int and long: 7 bits a byte, least significant first, zigzag. */
export function readLong(cursor: Cursor): bigint {
  let raw = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (cursor.at >= cursor.end) throw new BadRecord('the record ends inside a number');
    const byte = cursor.bytes[cursor.at++]!;
    if (shift === 63n && byte > 1) throw new BadRecord('a number has more than 64 bits');
    raw |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return (raw >> 1n) ^ -(raw & 1n);
  }
}

function readInt(cursor: Cursor): number {
  const value = readLong(cursor);
  if (BigInt.asIntN(32, value) !== value) throw new BadRecord(`the int ${value} has more than 32 bits`);
  return Number(value);
}

export function take(cursor: Cursor, length: number | bigint): Uint8Array {
  if (length < 0 || length > cursor.end - cursor.at)
    throw new BadRecord(`${length} bytes are announced where ${cursor.end - cursor.at} are left`);
  const start = cursor.at;
  cursor.at += Number(length);
  return cursor.bytes.subarray(start, cursor.at);
}

export function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new BadRecord('a string is not valid UTF-8');
  }
}

/** A leaf's value as it belongs in its column, logical types applied; other than that as it was written. */
export function readLeaf(type: AvroType, cursor: Cursor): SingleValue {
  switch (type.kind) {
    case 'boolean': {
      const byte = take(cursor, 1)[0]!;
      if (byte > 1) throw new BadRecord(`a boolean is ${byte}, neither 0 nor 1`);
      return byte === 1;
    }
    case 'int': {
      const value = readInt(cursor);
      return type.logical?.kind === 'time-millis' ? BigInt(value) * 1000n : value;
    }
    case 'long': {
      const value = readLong(cursor);
      const micros = type.logical?.kind.endsWith('timestamp-millis') ? value * 1000n : value;
      if (BigInt.asIntN(64, micros) !== micros)
        throw new BadRecord(`the timestamp ${value} ms does not fit 64 bits in microseconds`);
      return micros;
    }
    case 'float':
      return view(take(cursor, 4)).getFloat32(0, true);
    case 'double':
      return view(take(cursor, 8)).getFloat64(0, true);
    case 'string':
      return text(take(cursor, readLong(cursor)));
    case 'enum': {
      const at = readInt(cursor);
      if (at < 0 || at >= type.symbols.length)
        throw new BadRecord(`symbol ${at} is not one of the enum's ${type.symbols.length}`);
      return type.symbols[at]!;
    }
    case 'bytes':
    case 'fixed': {
      const bytes = take(cursor, type.kind === 'fixed' ? type.size : readLong(cursor));
      if (type.logical?.kind === 'uuid') return uuidText(bytes);
      if (type.logical?.kind !== 'decimal') return bytes;
      const unscaled = bytesBigint(bytes);
      const { precision, scale } = type.logical;
      if (unscaled >= 10n ** BigInt(precision) || unscaled <= -(10n ** BigInt(precision)))
        throw new BadRecord(`a decimal has more than ${precision} digits (scale ${scale}): ${bytes.length} bytes`);
      return unscaled;
    }
    default:
      throw new BadRecord(`a ${type.kind} is no leaf`);
  }
}

/** Reads a union's branch. */
export function readBranch<T>(branches: readonly T[], cursor: Cursor): T {
  const at = readLong(cursor);
  if (at < 0 || at >= branches.length) throw new BadRecord(`branch ${at} is not one of the union's ${branches.length}`);
  return branches[Number(at)]!;
}

/** The counts of an array's or map's blocks, checked against the bytes that are left before anything is made of them. */
export function* readBlocks(cursor: Cursor, itemBytes: number): Generator<number> {
  for (;;) {
    let count = readLong(cursor);
    if (count === 0n) return;
    if (count < 0n) {
      count = -count;
      const size = readLong(cursor);
      if (size < 0n || size > cursor.end - cursor.at)
        throw new BadRecord(`a block announces ${size} bytes where ${cursor.end - cursor.at} are left`);
    }
    const most =
      itemBytes === 0 ? MAX_EMPTY_ITEMS - cursor.emptyItems : Math.floor((cursor.end - cursor.at) / itemBytes);
    if (count > most) throw new BadRecord(`a block announces ${count} items, more than the record can hold`);
    if (itemBytes === 0) cursor.emptyItems += Number(count);
    yield Number(count);
  }
}

/** Reads any value and answers its JSON text, or nothing when `quiet`. Leaves are in Iceberg's JSON single-value form. */
export function readJson(type: AvroType, cursor: Cursor, quiet: boolean, depth = 0): string {
  if (depth > MAX_DEPTH) throw new BadRecord(`a recursive value is nested deeper than ${MAX_DEPTH} levels`);
  switch (type.kind) {
    case 'null':
      return 'null';
    case 'record': {
      const parts: string[] = [];
      for (const field of type.fields) {
        const value = readJson(field.type, cursor, quiet, depth + 1);
        if (!quiet) parts.push(`${JSON.stringify(field.name)}:${value}`);
      }
      return `{${parts.join(',')}}`;
    }
    case 'union': {
      const branch = readBranch(type.branches, cursor);
      const value = readJson(branch, cursor, quiet, depth + 1);
      const several = type.branches.filter((other) => other.kind !== 'null').length > 1;
      return several && branch.kind !== 'null' ? `{${JSON.stringify(branchName(branch))}:${value}}` : value;
    }
    case 'array': {
      const parts: string[] = [];
      for (const count of readBlocks(cursor, leastBytes(type.items)))
        for (let i = 0; i < count; i++) {
          const value = readJson(type.items, cursor, quiet, depth + 1);
          if (!quiet) parts.push(value);
        }
      return `[${parts.join(',')}]`;
    }
    case 'map': {
      const parts: string[] = [];
      for (const count of readBlocks(cursor, 1 + leastBytes(type.values)))
        for (let i = 0; i < count; i++) {
          const key = text(take(cursor, readLong(cursor)));
          const value = readJson(type.values, cursor, quiet, depth + 1);
          if (!quiet) parts.push(`${JSON.stringify(key)}:${value}`);
        }
      return `{${parts.join(',')}}`;
    }
    default:
      return leafJson(type, readLeaf(type, cursor));
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function leafJson(type: AvroType, value: SingleValue): string {
  let column = leafColumns.get(type);
  if (column === undefined) {
    const mapped = mapAvro(type);
    // A duration has no column of its own: its three numbers as bytes.
    column = mapped.kind === 'leaf' ? mapped.column : { kind: 'binary' };
    leafColumns.set(type, column);
  }
  return JSON.stringify(singleValueToJson(column, value));
}

const leafColumns = new WeakMap<AvroType, PrimitiveType>();

/** The fewest bytes that a value of a type is encoded in; 0 means that it is always 0. */
export function leastBytes(type: AvroType, within: AvroType[] = []): number {
  switch (type.kind) {
    case 'null':
      return 0;
    case 'float':
      return 4;
    case 'double':
      return 8;
    case 'fixed':
      return type.size;
    case 'record': {
      if (within.includes(type)) return 0;
      let sum = 0;
      for (const field of type.fields) sum += leastBytes(field.type, [...within, type]);
      return sum;
    }
    default:
      return 1;
  }
}
