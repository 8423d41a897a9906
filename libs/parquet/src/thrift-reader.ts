import { corrupt } from './corrupt.ts';
import { THRIFT } from './thrift-writer.ts';

export type ThriftValue = number | boolean | Uint8Array | ThriftValue[] | ThriftStruct;

const MAX_DEPTH = 32;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A struct as read: its fields by number. What has the wrong type or is missing is a `corrupt` error. */
export class ThriftStruct {
  readonly #name: string;
  readonly #fields: Map<number, ThriftValue>;

  constructor(name: string, fields: Map<number, ThriftValue>) {
    this.#name = name;
    this.#fields = fields;
  }

  number(id: number): number {
    const value = this.optionalNumber(id);
    if (value === undefined) throw this.#wrong(id);
    return value;
  }

  /** A number that counts or places something: neither negative nor beyond 2^53. */
  size(id: number): number {
    const value = this.number(id);
    if (!Number.isSafeInteger(value) || value < 0) throw this.#wrong(id);
    return value;
  }

  optionalNumber(id: number): number | undefined {
    const value = this.#fields.get(id);
    if (value !== undefined && typeof value !== 'number') throw this.#wrong(id);
    return value;
  }

  bool(id: number, fallback: boolean): boolean {
    const value = this.#fields.get(id) ?? fallback;
    if (typeof value !== 'boolean') throw this.#wrong(id);
    return value;
  }

  binary(id: number): Uint8Array | undefined {
    const value = this.#fields.get(id);
    if (value !== undefined && !(value instanceof Uint8Array)) throw this.#wrong(id);
    return value;
  }

  string(id: number): string | undefined {
    const value = this.binary(id);
    return value && decoder.decode(value);
  }

  struct(id: number, name: string): ThriftStruct | undefined {
    const value = this.#fields.get(id);
    if (value === undefined) return undefined;
    if (!(value instanceof ThriftStruct)) throw this.#wrong(id);
    return new ThriftStruct(name, value.#fields);
  }

  structs(id: number, name: string): ThriftStruct[] {
    return this.#list(id).map((value) => {
      if (!(value instanceof ThriftStruct)) throw this.#wrong(id);
      return new ThriftStruct(name, value.#fields);
    });
  }

  numbers(id: number): number[] {
    return this.#list(id).map((value) => {
      if (typeof value !== 'number') throw this.#wrong(id);
      return value;
    });
  }

  bools(id: number): boolean[] {
    return this.#list(id).map((value) => {
      if (typeof value !== 'boolean') throw this.#wrong(id);
      return value;
    });
  }

  binaries(id: number): Uint8Array[] {
    return this.#list(id).map((value) => {
      if (!(value instanceof Uint8Array)) throw this.#wrong(id);
      return value;
    });
  }

  strings(id: number): string[] {
    return this.binaries(id).map((value) => decoder.decode(value));
  }

  /** The member of a union: its number and its fields. */
  member(): { id: number; fields: ThriftStruct } | undefined {
    for (const [id, fields] of this.#fields) if (fields instanceof ThriftStruct) return { id, fields };
    return undefined;
  }

  #list(id: number): ThriftValue[] {
    const value = this.#fields.get(id) ?? [];
    if (!Array.isArray(value)) throw this.#wrong(id);
    return value;
  }

  #wrong(id: number) {
    return corrupt(`field ${id} of ${this.#name} is missing or of a wrong type`);
  }
}

/** Reads one struct of the compact protocol (grammar: thrift-writer.ts); `end` = the byte after it. */
export function readThrift(bytes: Uint8Array, from: number, name: string): { struct: ThriftStruct; end: number } {
  let at = from;

  const byte = (): number => {
    if (at >= bytes.length) throw corrupt(`${name} is cut short`);
    return bytes[at++]!;
  };
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const part = byte();
      value += (part & 127) * scale;
      if (part < 128) return value;
      scale *= 128;
    }
    throw corrupt(`${name} has a number of more than 64 bits`);
  };
  // Beyond 2^53 the result is rounded: such numbers are no sizes, and size() refuses them.
  const zigzag = (): number => {
    const value = varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw corrupt(`${name} is cut short`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  const read = (type: number, depth: number): ThriftValue => {
    switch (type) {
      case THRIFT.TRUE:
      case THRIFT.FALSE:
        return type === THRIFT.TRUE;
      case THRIFT.I8:
        return (byte() << 24) >> 24;
      case THRIFT.I16:
      case THRIFT.I32:
      case THRIFT.I64:
        return zigzag();
      case THRIFT.DOUBLE: {
        const eight = take(8);
        return new DataView(eight.buffer, eight.byteOffset, 8).getFloat64(0, true);
      }
      case THRIFT.BINARY:
        return take(varint());
      case THRIFT.LIST:
      case THRIFT.SET:
        return readList(depth);
      case THRIFT.MAP: {
        const size = varint();
        const types = size === 0 ? 0 : byte();
        for (let i = 0; i < size; i++) {
          readElement(types >> 4, depth + 1);
          readElement(types & 15, depth + 1);
        }
        // No field of Parquet's is a map: one of a later format version is passed over.
        return [];
      }
      case THRIFT.STRUCT:
        return readStruct(depth);
      default:
        throw corrupt(`${name} has a field of unknown type ${type}`);
    }
  };
  const readElement = (type: number, depth: number): ThriftValue =>
    type === THRIFT.TRUE || type === THRIFT.FALSE ? byte() === 1 : read(type, depth);
  const readList = (depth: number): ThriftValue[] => {
    if (depth > MAX_DEPTH) throw corrupt(`${name} is nested too deeply`);
    const head = byte();
    const size = head >> 4 === 15 ? varint() : head >> 4;
    // Every element takes a byte at the least.
    if (size > bytes.length - at) throw corrupt(`${name} has a list of ${size} elements in ${bytes.length - at} bytes`);
    const list: ThriftValue[] = [];
    for (let i = 0; i < size; i++) list.push(readElement(head & 15, depth + 1));
    return list;
  };
  const readStruct = (depth: number): ThriftStruct => {
    if (depth > MAX_DEPTH) throw corrupt(`${name} is nested too deeply`);
    const fields = new Map<number, ThriftValue>();
    let id = 0;
    for (;;) {
      const head = byte();
      if (head === 0) return new ThriftStruct(name, fields);
      id = head >> 4 === 0 ? zigzag() : id + (head >> 4);
      fields.set(id, read(head & 15, depth + 1));
    }
  };
  const struct = readStruct(0);
  return { struct, end: at };
}
